# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Interpolation that learns nothing: the floor under every table.

Frames are `(C, *space)`, space `(H, W)` or `(T, H, W)`: nothing here looks at a pixel's neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from custom.diffusion.interpolation import lerp
from custom.interpolators.base import Interpolator, central_pair


class NearestFrame(Interpolator):
    """The nearer of the two known frames; halfway between them, the earlier."""

    def interpolate(
        self,
        neighbours: torch.Tensor,
        positions: torch.Tensor,
        seeds: Sequence[int] | None = None,
        wrap_rows: bool = False,
    ) -> torch.Tensor:
        before, after = (frame[:, None] for frame in central_pair(neighbours))
        return torch.where(_per_frame(positions, neighbours) > 0.5, after, before)


class LinearFrames(Interpolator):
    """The average of the two known frames, pixel by pixel, weighted by distance ("bilinear" in CaLID's tables)."""

    def interpolate(
        self,
        neighbours: torch.Tensor,
        positions: torch.Tensor,
        seeds: Sequence[int] | None = None,
        wrap_rows: bool = False,
    ) -> torch.Tensor:
        before, after = (frame[:, None] for frame in central_pair(neighbours))
        return lerp(before, after, _per_frame(positions, neighbours))


class CubicFrames(Interpolator):
    """Cubic convolution through four known frames (Catmull and Rom, 1974; Keys, 1981, a = -1/2), clipped to [0, 1].

    It passes through both central frames and reproduces quadratic change exactly; between them it may overshoot,
    hence the clipping.
    """

    num_neighbours = 4

    def interpolate(
        self,
        neighbours: torch.Tensor,
        positions: torch.Tensor,
        seeds: Sequence[int] | None = None,
        wrap_rows: bool = False,
    ) -> torch.Tensor:
        t = positions.to(neighbours)
        weights = torch.stack(
            (
                ((2 - t) * t - 1) * t / 2,
                ((3 * t - 5) * t * t + 2) / 2,
                ((4 - 3 * t) * t + 1) * t / 2,
                (t - 1) * t * t / 2,
            )
        )
        return torch.einsum("km,bk...->bm...", weights, neighbours).clamp(0, 1)


def _per_frame(positions: torch.Tensor, neighbours: torch.Tensor) -> torch.Tensor:
    """Positions `(m,)` as `(1, m, 1, ...)`, as many axes as the frames, on their device and in their dtype."""
    return positions.to(neighbours).reshape(1, -1, *[1] * (neighbours.ndim - 2))
