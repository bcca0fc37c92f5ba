# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What methods have in common that draw the latent of the slice between two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from custom.interpolators.base import ANYWHERE, MIDDLE, ToldByPrediction, check_number
from custom.interpolators.latent import LatentInterpolator, noise_of
from custom.interpolators.texture import with_texture
from custom.networks.motion_view import View
from custom.networks.padding import pad_slices

MOVING_CODEC: Mapping[str, Any] = {"channels": (16, 32, 64), "motion": {}, "decoder": "fusion"}
"""Where the compact `SliceAutoencoder` differs from the defaults of its class."""


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


class LatentMidpoint(ToldByPrediction, LatentInterpolator):
    """A method that makes the slice between two, halfway, or with a motion network anywhere.

    Slices of any size are padded to whole cells; the phases of a cine are continued cyclically, as the heart does.
    A method says how a latent is drawn (`draw`); what comes before and after is the same for all.

    Args:
        autoencoder: a `custom.networks.slice_autoencoder.SliceAutoencoder`.
        denoiser: see `LatentInterpolator`; has `expect` and `variance` (`custom.networks.latent_prior`).
        resampling: see `Interpolator`.
        tile_size: see `LatentInterpolator`.
        tile_overlap: see `LatentInterpolator`.
        batch_size: see `LatentInterpolator`.
        texture: with motion, see `custom.interpolators.motion.MotionInterpolator`; a draw has at least as much of it as
            its realism.
    """

    #: As `error_scale` of `bundles/motion`, whose weights are inside.
    error_scale = 1.0
    #: Whether the latents of the sides are needed though the guess does without them.
    needs_latents = True

    def __init__(
        self,
        autoencoder: nn.Module,
        denoiser: nn.Module,
        resampling: str,
        tile_size: Sequence[int],
        tile_overlap: float,
        batch_size: int,
        texture: float = 0.0,
    ) -> None:
        super().__init__(autoencoder, denoiser, tile_size, tile_overlap, batch_size, len(autoencoder.factors))
        self.texture = texture
        self.resampling, self.takes_phases = resampling, len(autoencoder.factors) == 3
        self.reach = MIDDLE if self.motion is None else ANYWHERE

    def validate(self) -> None:
        """See `Interpolator.validate`."""
        super().validate()
        check_number("texture", self.texture, 0, 1)

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

    def draw(
        self,
        known: Between,
        noise: Callable[[torch.Tensor], torch.Tensor],
        callback: Callable[[int, torch.Tensor], bool | None] | None = None,
    ) -> torch.Tensor:
        """A latent of each slice that is asked for, normalised, `(N, c, *latent)`.

        Args:
            known: what is known of it.
            noise: standard normal noise like its argument.
            callback: of the method's sampler.
        """
        raise TypeError(f"{type(self).__name__} does not say how a latent is drawn: override draw().")

    @property
    def draws(self) -> bool:
        """See `Interpolator`."""
        return self.realism > 0

    @torch.no_grad()
    def predict(
        self,
        neighbours: torch.Tensor,
        positions: torch.Tensor,
        seeds: Sequence[int] | None = None,
        wrap_rows: bool = False,
        callback: Callable[[int, torch.Tensor], bool | None] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """See `Interpolator.predict`: of the likeliest slice the motion network says how far off it may be."""
        if self.motion is None:
            self.reach.places(positions)
        slices, window = pad_slices(neighbours.squeeze(2), self.divisor)
        count = len(positions)
        known = self.between(slices.repeat_interleave(count, dim=0), positions.repeat(len(slices)), self.needs_latents)
        noise = shared_noise(noise_of(seeds, len(slices)), count, self.takes_phases and self.motion is not None)
        made = self._decode_tiles(self.draw(known, noise, callback), slices, known.views)
        if self.motion is None:
            return made[(..., *window)], None
        view, flat = View.of(known.views[(..., *window)]), made[(..., *window)].flatten(0, 1)
        error = None if self.draws else self.error_scale * view.error
        amount = max(self.texture, self.realism)
        parts = with_texture(flat, view.sides, view.weight, slices[(..., *window)], amount, error)
        return tuple(None if part is None else part.unflatten(0, made.shape[:2]) for part in parts)

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
