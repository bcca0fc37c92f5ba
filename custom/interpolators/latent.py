# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What methods have in common that work in the latent space of an autoencoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from custom.diffusion.ddim import PREDICTION_KINDS
from custom.interpolators.base import MIDDLE, Interpolator, check_choice
from custom.networks.padding import pad_slices
from custom.networks.tiling import FrameTiler


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
        shape = (autoencoder.latent_channels, *(1,) * spatial_dims)
        self.register_buffer("latent_shift", torch.zeros(shape))
        self.register_buffer("latent_scale", torch.ones(shape))

    @property
    def cell(self) -> int:
        """Pixels of a latent cell, each way."""
        return self.autoencoder.factor

    def validate(self) -> None:
        """See `Interpolator.validate`."""
        super().validate()
        self.tiler.validate(self.cell * self.denoiser.divisor)

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


class LatentMidpoint(LatentInterpolator):
    """A method that makes the slice between two; its codec decodes a slice by itself.

    Slices of any size are padded to whole cells; the phases of a cine are continued cyclically, as the heart does.

    Args:
        autoencoder: see `LatentInterpolator`; also has `factors`, the factor of each spatial axis, and `decode`.
        denoiser: see `LatentInterpolator`.
        resampling: see `Interpolator`.
        tile_size: see `LatentInterpolator`.
        tile_overlap: see `LatentInterpolator`.
        batch_size: see `LatentInterpolator`.
    """

    reach = MIDDLE

    def __init__(
        self,
        autoencoder: nn.Module,
        denoiser: nn.Module,
        resampling: str,
        tile_size: Sequence[int],
        tile_overlap: float,
        batch_size: int,
    ) -> None:
        super().__init__(autoencoder, denoiser, tile_size, tile_overlap, batch_size, len(autoencoder.factors))
        self.resampling, self.takes_phases = resampling, len(autoencoder.factors) == 3

    @property
    def divisor(self) -> tuple[int, ...]:
        """What the sizes of a slice must be multiples of, one number per spatial axis."""
        return tuple(factor * self.denoiser.divisor for factor in self.autoencoder.factors)

    @torch.no_grad()
    def decode_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """Slices `(B, L, 1, *space)` in [0, 1] of normalised latents `(B, L, c, *latent)`."""
        return ((self.autoencoder.decode(self.to_codec(latents)) + 1) / 2).clamp(0, 1)

    @torch.no_grad()
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The slice between two: `(B, 2, *space)` to `(B, 1, *space)`, in [0, 1]; for validation and the Zoo."""
        return self.interpolate(image.unsqueeze(2), torch.tensor([0.5])).squeeze(2)

    @torch.no_grad()
    def reconstruct(self, slices: torch.Tensor) -> torch.Tensor:
        """Slices `(B, L, 1, *space)` in [0, 1] through the autoencoder alone: the upper bound of any method with it."""
        padded, window = pad_slices(slices, self.divisor)
        return self.decode_latents(self.encode_latents(padded))[(..., *window)]

    def _encode_tiles(self, slices: torch.Tensor) -> torch.Tensor:
        """Normalised latents `(B, L, c, *latent)` of slices `(B, L, *space)`, sizes as `divisor` says, in tiles."""
        return self.tiler(lambda tiles: self.encode_latents(tiles.unsqueeze(2)), (slices, self.cell), out_scale=1)

    def _decode_tiles(self, latents: torch.Tensor) -> torch.Tensor:
        """Slices `(B, 1, 1, *space)` in [0, 1] of normalised latents `(B, c, *latent)`, in tiles."""
        return self.tiler(lambda tiles: self.decode_latents(tiles.unsqueeze(1)), (latents, 1), out_scale=self.cell)


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
