# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What methods have in common that work in the latent space of an autoencoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from custom.diffusion.ddim import PREDICTION_KINDS
from custom.interpolators.base import Interpolator, check_choice
from custom.networks.motion_view import View, look, squared_error
from custom.networks.padding import pad_slices
from custom.networks.tiling import FrameTiler

MOTION_TILE = (704, 704)
"""Of the motion network, in pixels: memory is all that limits it."""


class LatentInterpolator(Interpolator):
    """An autoencoder, the scale of its latents, and a network that works on them, in overlapping tiles.

    Args:
        autoencoder: the codec; has `factor`, pixels of a latent cell, `latent_channels`, and `encode`.
        denoiser: works on its latents; has `divisor`, what the sizes of a latent must be multiples of.
        tile_size: tile in pixels, (height, width); frames up to this size are run whole.
        tile_overlap: share of a tile in common with the next.
        batch_size: gaps, and tiles, that go through the network at once.
        spatial_dims: of a frame: 2, or 3 for whole cine slices.
    """

    #: Whether the motion network looks from either side, where there is one.
    both_ways = False

    def __init__(
        self,
        autoencoder: nn.Module,
        denoiser: nn.Module,
        tile_size: Sequence[int],
        tile_overlap: float,
        batch_size: int,
        spatial_dims: int = 2,
    ) -> None:
        super().__init__()
        self.autoencoder, self.denoiser, self.batch_size = autoencoder, denoiser, batch_size
        self.tiler = FrameTiler(tile_size, tile_overlap, batch_size, autoencoder.factor)
        if self.motion is not None:
            self._motion_tiler = FrameTiler(MOTION_TILE, tile_overlap, batch_size, self.motion.divisor)
        shape = (autoencoder.latent_channels, *(1,) * spatial_dims)
        self.register_buffer("latent_shift", torch.zeros(shape))
        self.register_buffer("latent_scale", torch.ones(shape))

    @property
    def cell(self) -> int:
        """Pixels of a latent cell, each way."""
        return self.autoencoder.factor

    @property
    def cell_size(self) -> tuple[int, ...]:
        """Pixels of a latent cell along each spatial axis."""
        return getattr(self.autoencoder, "factors", (self.cell, self.cell))

    @property
    def divisor(self) -> tuple[int, ...]:
        """What the sizes of a frame must be multiples of, one number per spatial axis."""
        return tuple(factor * self.denoiser.divisor for factor in self.cell_size)

    @property
    def motion(self) -> nn.Module | None:
        """The motion network of the codec, where it has one."""
        return getattr(self.autoencoder, "motion", None)

    @torch.no_grad()
    def look(self, frames: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Packed views `(N, 9, *space)` of places `(N,)` between pairs of frames `(N, 2, *space)` in [0, 1]."""
        unit = self.motion.divisor
        padded, window = pad_slices(frames, (unit, unit))
        plane = places.to(padded).view(-1, *(1,) * (padded.ndim - 1)).expand(-1, 1, *padded.shape[2:])

        def see(tiles: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
            return look(self.motion, tiles, planes.flatten(1)[:, 0], self.both_ways).packed()

        return self._motion_tiler(see, (padded, unit), (plane, unit), out_scale=unit)[(..., *window)]

    @torch.no_grad()
    def expected(self, views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What motion tells of latents: those of the guesses and the square of their expected error in pixels.

        Args:
            views: `(N, 9, *space)`.

        Returns:
            Normalised latents `(N, c, *latent)` and `(N, 1, *latent)`.
        """
        guess = self.tiler(
            lambda tiles: self.encode_latents(tiles[:, None])[:, 0], (views[:, :1], self.cell), out_scale=1
        )
        return guess, squared_error(View.of(views), self.cell_size)

    def validate(self) -> None:
        """See `Interpolator.validate`."""
        super().validate()
        self.tiler.validate(self.cell * self.denoiser.divisor)

    @torch.no_grad()
    def expected_between(
        self, frames: torch.Tensor, positions: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What motion tells of the latents between the first and the last frame of windows, see `expected`.

        Args:
            frames: `(B, L, 1, *space)` in [0, 1].
            positions: of the frames from 0 to 1, `(B, L)`; evenly spaced by default.

        Returns:
            `(B, L - 2, c, *latent)` and `(B, L - 2, 1, *latent)`.
        """
        batch, length = frames.shape[:2]
        positions = torch.linspace(0, 1, length).expand(batch, -1) if positions is None else positions
        known = frames[:, [0, -1], 0].repeat_interleave(length - 2, dim=0)
        found = self.expected(self.look(known, positions[:, 1:-1].flatten()))
        return tuple(part.unflatten(0, (batch, length - 2)) for part in found)

    def set_latent_statistics(self, mean: torch.Tensor | float, std: torch.Tensor | float) -> None:
        """Make latents of this mean and standard deviation (scalars or one per channel) zero-mean, unit-variance."""
        shape = (-1, *self.latent_shift.shape[1:])
        self.latent_shift.copy_(torch.as_tensor(mean).reshape(shape).expand_as(self.latent_shift))
        self.latent_scale.copy_((1 / torch.as_tensor(std)).reshape(shape).expand_as(self.latent_scale))

    @torch.no_grad()
    def encode_latents(self, frames: torch.Tensor) -> torch.Tensor:
        """Normalised latents `(B, L, c, *latent)` of frames `(B, L, C, *space)` in [0, 1], sizes in whole cells."""
        return (self.autoencoder.encode(2 * frames - 1) - self.latent_shift) * self.latent_scale

    def to_codec(self, latents: torch.Tensor) -> torch.Tensor:
        """The autoencoder's own latents of normalised ones."""
        return latents / self.latent_scale + self.latent_shift


def noise_of(seeds: Sequence[int] | None, count: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """A function that gives standard normal noise like a batch, the same for an item whatever else is in the batch.

    Args:
        seeds: one per batch item; None for 0 in each. Each further call goes on drawing from them.
        count: of batch items.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in ([0] * count if seeds is None else seeds)]

    def noise(like: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.randn(like.shape[1:], generator=g) for g in generators]).to(like)

    return noise


def check_prediction(prediction_type: str, denoiser: nn.Module) -> None:
    """Raise ValueError unless a denoiser, which has a `prior`, may be taken to predict such a thing."""
    check_choice("prediction_type", prediction_type, PREDICTION_KINDS)
    if denoiser.prior != "none" and prediction_type != "epsilon":  # its prior estimates noise
        raise ValueError(f"prediction_type {prediction_type!r} needs a denoiser with prior 'none'")
