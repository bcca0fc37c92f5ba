# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What methods have in common that make the slice between two in the latent space of an autoencoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from custom.interpolators.bisection import MidpointInterpolator
from custom.networks.padding import pad_slices
from custom.networks.slice_autoencoder import SliceAutoencoder
from custom.networks.tiling import FrameTiler


class LatentMidpoint(MidpointInterpolator):
    """An autoencoder, the scale of its latents, and a network that works on them, over slices of any size.

    Slices are padded to whole cells and go through the networks in overlapping tiles; the phases of a cine are
    continued cyclically, as the heart does. A subclass says what a midpoint is.

    Args:
        autoencoder: the slice codec.
        denoiser: works on its latents; has `divisor`, what the sizes of a latent must be multiples of.
        resampling: see `MidpointInterpolator`.
        tile_size: tile in pixels, (height, width); slices up to this size are run whole.
        tile_overlap: share of a tile in common with the next.
        batch_size: midpoints, and tiles, that go through the network at once.
    """

    def __init__(
        self,
        autoencoder: SliceAutoencoder,
        denoiser: nn.Module,
        resampling: str,
        tile_size: Sequence[int],
        tile_overlap: float,
        batch_size: int,
    ) -> None:
        super().__init__()
        self.autoencoder, self.denoiser = autoencoder, denoiser
        self.resampling, self.batch_size = resampling, batch_size
        self.takes_phases = len(autoencoder.factors) == 3
        self.tiler = FrameTiler(tile_size, tile_overlap, batch_size, cell=autoencoder.factor)
        shape = (autoencoder.latent_channels, *(1,) * len(autoencoder.factors))
        self.register_buffer("latent_shift", torch.zeros(shape))
        self.register_buffer("latent_scale", torch.ones(shape))

    @property
    def divisor(self) -> tuple[int, ...]:
        """What the sizes of a slice must be multiples of, one number per spatial axis."""
        return tuple(factor * self.denoiser.divisor for factor in self.autoencoder.factors)

    def set_latent_statistics(self, mean: torch.Tensor | float, std: torch.Tensor | float) -> None:
        """Make latents of this mean and standard deviation (scalars or one per channel) zero-mean, unit-variance."""
        shape = (-1, *self.latent_shift.shape[1:])
        self.latent_shift.copy_(torch.as_tensor(mean).reshape(shape).expand_as(self.latent_shift))
        self.latent_scale.copy_((1 / torch.as_tensor(std)).reshape(shape).expand_as(self.latent_scale))

    @torch.no_grad()
    def encode_latents(self, slices: torch.Tensor) -> torch.Tensor:
        """Normalised latents `(B, L, c, *latent)` of slices `(B, L, 1, *space)` in [0, 1], sizes as `divisor` says."""
        return (self.autoencoder.encode(2 * slices - 1) - self.latent_shift) * self.latent_scale

    @torch.no_grad()
    def decode_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """Slices `(B, L, 1, *space)` in [0, 1] of normalised latents `(B, L, c, *latent)`."""
        return ((self.autoencoder.decode(latents / self.latent_scale + self.latent_shift) + 1) / 2).clamp(0, 1)

    @torch.no_grad()
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The slice between two: `(B, 2, *space)` to `(B, 1, *space)`, in [0, 1]; for validation and the Zoo."""
        return self.midpoint(image.unsqueeze(2), [0] * len(image))

    @torch.no_grad()
    def reconstruct(self, slices: torch.Tensor) -> torch.Tensor:
        """Slices `(B, L, 1, *space)` in [0, 1] through the autoencoder alone: the upper bound of any method with it."""
        padded, window = pad_slices(slices, self.divisor)
        return self.decode_latents(self.encode_latents(padded))[(..., *window)]

    def _encode_tiles(self, slices: torch.Tensor) -> torch.Tensor:
        """Normalised latents `(B, L, c, *latent)` of slices `(B, L, *space)`, sizes as `divisor` says, in tiles."""
        latents = self._on_tiles(lambda x: self.encode_latents(x.unsqueeze(2)).flatten(1, 2), slices, slices=1)
        return latents.unflatten(1, (slices.shape[1], -1))

    def _decode_tiles(self, latents: torch.Tensor) -> torch.Tensor:
        """Slices `(B, 1, *space)` in [0, 1] of normalised latents `(B, c, *latent)`, in tiles."""
        return self._on_tiles(lambda x: self.decode_latents(x.unsqueeze(1)).squeeze(1), latents, to_slices=True)

    def _on_tiles(
        self, function: Callable[..., torch.Tensor], *maps: torch.Tensor, slices: int = 0, to_slices: bool = False
    ) -> torch.Tensor:
        """Apply `function` to tiles of maps `(B, C_i, *space)`, the first `slices` of them slices, the others latents.

        It returns tiles of latents, or of slices with `to_slices`. The tiler knows height and width only: phases go
        along as channels.
        """
        cell = self.autoencoder.factor
        scales = [cell if place < slices else 1 for place in range(len(maps))]
        folded = [m.shape[1:-2] for m in maps]
        unfolded: torch.Size | None = None

        def on_folded(*tiles: torch.Tensor) -> torch.Tensor:
            nonlocal unfolded
            result = function(*(t.unflatten(1, shape) for t, shape in zip(tiles, folded, strict=True)))
            unfolded = result.shape[1:-2]
            return result.flatten(1, -3)

        pairs = ((m.flatten(1, -3), scale) for m, scale in zip(maps, scales, strict=True))
        return self.tiler(on_folded, *pairs, out_scale=cell if to_slices else 1).unflatten(1, unfolded)


def noise_of(seeds: Sequence[int]) -> Callable[[torch.Tensor], torch.Tensor]:
    """A function that gives standard normal noise like a batch, the same for an item whatever else is in the batch.

    Args:
        seeds: one per batch item. Each further call goes on drawing from them.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def noise(like: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.randn(like.shape[1:], generator=g) for g in generators]).to(like)

    return noise
