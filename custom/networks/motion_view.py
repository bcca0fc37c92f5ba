# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a motion network tells other networks about the slice at an asked position, and how features are moved by it.

A cine slice `(T, H, W)` is looked at phase by phase: motion is within the plane.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

from custom.networks.feature_flow import backward_warp
from custom.networks.motion import MotionNetwork
from custom.networks.padding import pad_slices

CHANNELS = 9
"""Of a packed view."""
IMAGE_CHANNELS = 5
"""Of a packed view, its first: all but the flows."""


class View(NamedTuple):
    """The slice at the asked position as motion alone knows it; images in [0, 1], `space` is `(H, W)` or `(T, H, W)`.

    Attributes:
        image: the guess, `(N, 1, *space)`.
        sides: both neighbours, moved to where they lie at that position, `(N, 2, *space)`.
        weight: share of the first of them, `(N, 1, *space)`.
        error: expected absolute error of the guess, the scale of a Laplace distribution, `(N, 1, *space)`.
        flows: to either neighbour in pixels, (x, y) each, `(N, 4, *space)`.
    """

    image: torch.Tensor
    sides: torch.Tensor
    weight: torch.Tensor
    error: torch.Tensor
    flows: torch.Tensor

    def packed(self) -> torch.Tensor:
        """All of it as one map, `(N, 9, *space)`, to be cut into tiles."""
        return torch.cat(self, dim=1)

    @classmethod
    def of(cls, packed: torch.Tensor) -> View:
        """The view in a map `(N, 9, *space)`."""
        return cls(*packed.split([1, 2, 1, 1, 4], dim=1))


@torch.no_grad()
def look(motion: MotionNetwork, neighbours: torch.Tensor, positions: torch.Tensor, both_ways: bool = False) -> View:
    """Ask a motion network, which learns nothing by it.

    Args:
        motion: the network.
        neighbours: the slices before and after, `(N, 2, *space)` in [0, 1], of any size.
        positions: between them, `(N,)` in (0, 1).
        both_ways: take the mean of looking from either side.
    """
    phases = neighbours.shape[2] if neighbours.ndim == 5 else None
    if phases is not None:
        neighbours, positions = neighbours.transpose(1, 2).flatten(0, 1), positions.repeat_interleave(phases)
    padded, window = pad_slices(neighbours, (motion.divisor, motion.divisor))
    found = (motion.both_ways if both_ways else motion)(padded.float(), positions)
    parts = (
        found.image.clamp(0, 1),
        found.sides,
        found.weight,
        found.log_scale.exp(),
        found.flows.flatten(1, 2),
    )
    view = torch.cat([part.to(neighbours) for part in parts], dim=1)[(..., *window)]
    return View.of(view if phases is None else view.unflatten(0, (-1, phases)).transpose(1, 2))


def moved(first: torch.Tensor, last: torch.Tensor, view: View) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features of both neighbours as they lie at the asked position, and the share of the first.

    Args:
        first: of the slice before, `(N, c, *cells)`; its height and width divide those of the view.
        last: of the slice after, likewise.
        view: of the asked position.

    Returns:
        Both, moved, and the weight at their resolution, `(N, 1, *cells)`.
    """
    factor = view.weight.shape[-1] // first.shape[-1]
    phases = first.shape[2] if first.ndim == 5 else None
    parts = [first, last, *view.flows.split(2, dim=1), view.weight]
    if phases is not None:
        parts = [part.transpose(1, 2).flatten(0, 1) for part in parts]
    first, last, *maps = parts
    to_first, to_last, weight = (F.avg_pool2d(part, factor) if factor > 1 else part for part in maps)
    found = backward_warp(first, to_first / factor), backward_warp(last, to_last / factor), weight
    if phases is None:
        return found
    return tuple(part.unflatten(0, (-1, phases)).transpose(1, 2) for part in found)


def squared_error(view: View, factors: tuple[int, ...]) -> torch.Tensor:
    """Mean square of the expected error around each latent cell, `(N, 1, *latent)`.

    Args:
        view: of the asked position.
        factors: pixels of a latent cell along each spatial axis.
    """
    square = view.error.square()
    pool = F.avg_pool2d if square.ndim == 4 else F.avg_pool3d
    around = (*(1 for _ in factors[:-2]), 3, 3)
    square = pool(square, factors)
    return pool(square, around, 1, tuple(edge // 2 for edge in around), count_include_pad=False)
