# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Latent interpolation: what a codec alone can do, and how much of a latent method is its codec's doing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import nn

from custom.diffusion.interpolation import lerp
from custom.interpolators.base import Interpolator, central_pair
from custom.networks.padding import pad_slices


class LatentCodec(Protocol):
    """What `LatentAverage` needs of a network.

    Attributes:
        divisor: what the sizes of a slice must be multiples of, one number per spatial axis.
        takes_phases: whether a slice is a whole cine slice.
    """

    divisor: Sequence[int]
    takes_phases: bool

    def encode_latents(self, slices: torch.Tensor) -> torch.Tensor:
        """Latents `(B, L, c, *latent)` of slices `(B, L, 1, *space)` in [0, 1]."""

    def decode_between(self, latents: torch.Tensor, slices: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Slices `(B, P, 1, *space)` in [0, 1] of latents at `positions` `(P,)` between slices `(B, 2, *space)`."""


class LatentAverage(Interpolator):
    """The decoded average of the two neighbours' latents, weighted by distance ("Bilinear Latent" in CaLID, Table I).

    Args:
        network: any method with a codec, such as `custom.interpolators.calid.CaLID`; its weights are shared.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: LatentCodec = network
        self.takes_phases = network.takes_phases

    @torch.no_grad()
    def interpolate(
        self,
        neighbours: torch.Tensor,
        positions: torch.Tensor,
        seeds: Sequence[int] | None = None,
        wrap_rows: bool = False,
    ) -> torch.Tensor:
        """See `Interpolator.interpolate`."""
        slices, window = pad_slices(torch.stack(central_pair(neighbours), dim=1), self.network.divisor)
        latents = self.network.encode_latents(slices)
        t = positions.to(latents).reshape(1, -1, *[1] * (latents.ndim - 2))
        between = self.network.decode_between(lerp(latents[:, :1], latents[:, 1:], t), slices[:, :, 0], positions)
        return between[(..., *window)].to(neighbours)
