# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What methods have in common that work in the latent space of an autoencoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from custom.diffusion.ddim import PREDICTION_KINDS
from custom.diffusion.texture import texture_like
from custom.interpolators.base import ANYWHERE, MIDDLE, Interpolator, check_choice
from custom.networks.motion_view import View, look, squared_error
from custom.networks.padding import pad_slices
from custom.networks.tiling import FrameTiler

_TEXTURE = 0x7E87
"""Set apart from the seeds of latents: those of the texture."""
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
            return look(self.motion, tiles, planes.flatten(1)[:, 0]).packed()

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


class Between(NamedTuple):
    """What a method knows of a slice before it draws it.

    Attributes:
        sides: both neighbours in [0, 1], `(N, 2, *space)`; with motion as they lie at the asked position.
        latents: of the sides, normalised, `(N, 2, c, *latent)`; None where nothing needs them.
        guess: expected latent, `(N, c, *latent)`.
        variance: expected squared distance from it, `(N, 1, *latent)`.
        views: packed views, `(N, 9, *space)`; None without motion.
    """

    sides: torch.Tensor
    latents: torch.Tensor | None
    guess: torch.Tensor
    variance: torch.Tensor
    views: torch.Tensor | None


class LatentMidpoint(LatentInterpolator):
    """A method that makes the slice between two, halfway, or with a motion network anywhere.

    Slices of any size are padded to whole cells; the phases of a cine are continued cyclically, as the heart does.

    Args:
        autoencoder: a `custom.networks.slice_autoencoder.SliceAutoencoder`.
        denoiser: see `LatentInterpolator`; has `expect` and `variance` (`custom.networks.latent_prior`).
        resampling: see `Interpolator`.
        tile_size: see `LatentInterpolator`.
        tile_overlap: see `LatentInterpolator`.
        batch_size: see `LatentInterpolator`.
    """

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
        self.reach = MIDDLE if self.motion is None else ANYWHERE

    @property
    def divisor(self) -> tuple[int, ...]:
        """What the sizes of a slice must be multiples of, one number per spatial axis."""
        return tuple(factor * self.denoiser.divisor for factor in self.autoencoder.factors)

    @torch.no_grad()
    def between(self, slices: torch.Tensor, places: torch.Tensor, latents: bool = False) -> Between:
        """What is known of the slices at `places` `(N,)` between pairs of slices `(N, 2, *space)`, sizes padded.

        Args:
            slices: in [0, 1].
            places: in (0, 1); only with motion do they matter.
            latents: whether those of the sides are needed though the guess does without them.
        """
        if self.motion is None:
            known = self._encode_tiles(slices)
            return Between(slices, known, *self.denoiser.expect(known), None)
        views = self.look(slices, places)
        sides = View.of(views).sides
        guess, square = self.expected(views)
        known = self._encode_tiles(sides) if latents else None
        return Between(sides, known, guess, self.denoiser.variance(square), views)

    @torch.no_grad()
    def decode_latents(
        self, latents: torch.Tensor, slices: torch.Tensor | None = None, views: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Slices `(B, L, 1, *space)` in [0, 1] of normalised latents `(B, L, c, *latent)`.

        Args:
            latents: see above.
            slices: the slices around, `(B, 2, *space)` in [0, 1], if the decoder fuses.
            views: of the asked positions, `(B, L, 9, *space)`, likewise.
        """
        known = None if slices is None else 2 * slices - 1
        return ((self.autoencoder.decode(self.to_codec(latents), known, views) + 1) / 2).clamp(0, 1)

    @torch.no_grad()
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The slice between two: `(B, 2, *space)` to `(B, 1, *space)`, in [0, 1]; for validation and the Zoo."""
        return self.interpolate(image.unsqueeze(2), torch.tensor([0.5])).squeeze(2)

    @torch.no_grad()
    def decode_between(self, latents: torch.Tensor, slices: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Latents at positions of a gap, decoded whole and not in tiles.

        Args:
            latents: normalised, `(B, P, c, *latent)`.
            slices: on both sides of the gap, `(B, 2, *space)` in [0, 1].
            positions: `(P,)` in (0, 1).

        Returns:
            `(B, P, 1, *space)` in [0, 1].
        """
        if not self.autoencoder.knows_ends:
            return self.decode_latents(latents)
        views = self.look(slices.repeat_interleave(len(positions), dim=0), positions.repeat(len(slices)))
        return self.decode_latents(latents, slices, views.unflatten(0, latents.shape[:2]))

    @torch.no_grad()
    def reconstruct(self, slices: torch.Tensor) -> torch.Tensor:
        """Slices `(B, L, 1, *space)` in [0, 1] through the autoencoder alone: the upper bound of any method with it.

        A decoder that fuses knows the first and the last, which come back as they are.
        """
        padded, window = pad_slices(slices, self.divisor)
        latents = self.encode_latents(padded)
        if not self.autoencoder.knows_ends:
            return self.decode_latents(latents)[(..., *window)]
        places = torch.linspace(0, 1, slices.shape[1])[1:-1]
        inner = self.decode_between(latents[:, 1:-1], padded[:, [0, -1], 0], places)
        return torch.cat([slices[:, :1], inner[(..., *window)], slices[:, -1:]], dim=1)

    def _textured(self, made: torch.Tensor, slices: torch.Tensor, seeds: Sequence[int] | None) -> torch.Tensor:
        """Slices `(B, P, 1, *space)` with the texture that they lack beside those around, `(B, 2, *space)`."""
        grain = noise_of(None if seeds is None else [seed ^ _TEXTURE for seed in seeds], len(made))
        flat, beside = made.flatten(0, 1), slices.repeat_interleave(made.shape[1], dim=0)
        textured = texture_like(flat, beside, self.realism, lambda like: grain(like.view(made.shape)).view(like.shape))
        return textured.view(made.shape)

    def _encode_tiles(self, slices: torch.Tensor) -> torch.Tensor:
        """Normalised latents `(B, L, c, *latent)` of slices `(B, L, *space)`, sizes as `divisor` says, in tiles."""
        return self.tiler(lambda tiles: self.encode_latents(tiles.unsqueeze(2)), (slices, self.cell), out_scale=1)

    def _decode_tiles(self, latents: torch.Tensor, slices: torch.Tensor, views: torch.Tensor | None) -> torch.Tensor:
        """Slices `(B, P, 1, *space)` in [0, 1] of normalised latents `(B P, c, *latent)`, in tiles.

        Args:
            latents: the positions of a gap in succession.
            slices: on both sides of each gap, `(B, 2, *space)`.
            views: `(B P, 9, *space)`, or None without motion.
        """
        latents = latents.unflatten(0, (len(slices), -1))
        if not self.autoencoder.knows_ends:
            return self.tiler(self.decode_latents, (latents, 1), out_scale=self.cell)
        maps = (slices, self.cell), (views.unflatten(0, latents.shape[:2]), self.cell)
        return self.tiler(self.decode_latents, (latents, 1), *maps, out_scale=self.cell)


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


def shared_noise(
    noise: Callable[[torch.Tensor], torch.Tensor], positions: int, phases: bool
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Noise that the slices of a gap have in common, so that a sample is of one piece and does not flicker.

    Args:
        noise: of one latent a gap.
        positions: slices of a gap, in succession in a batch.
        phases: whether the phases of a cine slice `(c, T, h, w)` share it as well.
    """

    def draw(like: torch.Tensor) -> torch.Tensor:
        first = like[::positions, :, :1] if phases else like[::positions]
        return noise(first).expand(-1, *like.shape[1:]).repeat_interleave(positions, dim=0)

    return draw


def check_prediction(prediction_type: str, denoiser: nn.Module) -> None:
    """Raise ValueError unless a denoiser, which has a `prior`, may be taken to predict such a thing."""
    check_choice("prediction_type", prediction_type, PREDICTION_KINDS)
    if denoiser.prior != "none" and prediction_type != "epsilon":  # its prior estimates noise
        raise ValueError(f"prediction_type {prediction_type!r} needs a denoiser with prior 'none'")
