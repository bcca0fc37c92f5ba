# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""CaLID: the slice between two slices by latent diffusion with a two-part condition, and CaLID+ (section III)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from custom.diffusion.ddim import ddim_invert, ddim_sample, to_epsilon
from custom.diffusion.interpolation import slerp
from custom.diffusion.schedules import inversion_pairs, timestep_pairs
from custom.interpolators.base import check_choice, check_number, check_steps
from custom.interpolators.latent import check_prediction
from custom.interpolators.latent_midpoint import MOVING_CODEC, Between, LatentMidpoint
from custom.networks.neighbour_denoiser import NeighbourDenoiser, Pair
from custom.networks.parts import build_part
from custom.networks.slice_autoencoder import SliceAutoencoder
from custom.switches import is_on


class CaLID(LatentMidpoint):
    """All that CaLID needs in one module; its state dict is the bundle's `models/model.pt`.

    One class does slices and cine slices: the number of spatial dimensions is that of its networks. Slices of any size
    are padded to whole cells and go through the networks in overlapping tiles whose noise estimates are blended at
    every step; the phases of a cine are continued cyclically, as the heart does.

    The compact default moves first: a motion network guesses the slice, the denoiser starts from that guess's latent
    and sees both neighbours as they lie at the asked position, and the decoder corrects the guess by the sample and by
    the neighbours' features. It knows any position of a gap; without motion, as in the paper, halfway only (bisection).

    Args:
        autoencoder: the slice codec; a module, or what differs from the defaults of `SliceAutoencoder`.
        denoiser: the conditional denoiser; a module, or what differs from those of `NeighbourDenoiser`. What it must
            know of the codec (`spatial_dims`, `latent_channels`, `latent_factors`) it is told here.
        num_inference_steps: DDIM steps, of the sampling and of each inversion.
        refine: CaLID+: start from the slerp of both neighbours' inverted latents (Eq. 7 and 8) instead of noise.
        inversion_condition: condition of the two inversions: "pair" as the sampling has, "self" the inverted neighbour
            twice (B10). The neighbours beyond would show the network the very slice that is asked for.
        slerp_per_phase: one angle per latent phase instead of one per slice (B11).
        realism: standard deviation of the noise that sampling starts from, from 0, the likeliest slice, for which one
            step suffices and no seed matters, to 1, one draw of what was learnt (the paper). The slices of a gap share
            their noise.
        eta: share of DDPM's noise added back at each DDIM step.
        prediction_type: what the denoiser predicts, see `custom.diffusion.ddim.target_for`.
        resampling: see `Interpolator`.
        tile_size: tile in pixels, (height, width); slices up to this size are run whole.
        tile_overlap: share of a tile in common with the next.
        batch_size: gaps, and tiles, that go through the network at once.
        texture: see `LatentMidpoint`.
    """

    #: Where the compact networks differ from the defaults of their classes.
    autoencoder_defaults: Mapping[str, Any] = MOVING_CODEC
    denoiser_defaults: Mapping[str, Any] = {"pair_channels": (8, 32, 64), "condition_attention": (False, True, True)}

    def __init__(
        self,
        autoencoder: SliceAutoencoder | Mapping[str, Any] | None = None,
        denoiser: NeighbourDenoiser | Mapping[str, Any] | None = None,
        num_inference_steps: int = 8,
        refine: bool = False,
        inversion_condition: str = "pair",
        slerp_per_phase: bool = False,
        realism: float = 0.0,
        eta: float = 0.0,
        prediction_type: str = "epsilon",
        resampling: str = "linear",
        tile_size: Sequence[int] = (320, 320),
        tile_overlap: float = 0.2,
        batch_size: int = 8,
        texture: float = 0.0,
    ) -> None:
        autoencoder = build_part(autoencoder, SliceAutoencoder, **self.autoencoder_defaults)
        if len(autoencoder.factors) == 2:  # on CPUs convolutions of this order of memory take a fifth less time
            autoencoder.to(memory_format=torch.channels_last)
        of_codec = {
            "spatial_dims": len(autoencoder.factors),
            "latent_channels": autoencoder.latent_channels,
            "latent_factors": autoencoder.factors,
            "prior": "linear" if autoencoder.motion is None else "motion",
        }
        denoiser = build_part(denoiser, NeighbourDenoiser, **of_codec, **self.denoiser_defaults)
        super().__init__(autoencoder, denoiser, resampling, tile_size, tile_overlap, batch_size, texture)
        self.num_inference_steps, self.refine, self.eta = num_inference_steps, is_on(refine), eta
        self.inversion_condition, self.slerp_per_phase = inversion_condition, is_on(slerp_per_phase)
        self.realism = realism
        self.prediction_type = prediction_type

    def validate(self) -> None:
        """See `Interpolator.validate`."""
        super().validate()
        check_steps(self.num_inference_steps, len(self.denoiser.alpha_bars))
        check_number("realism", self.realism, 0, 1)
        check_number("eta", self.eta, 0, 1)
        check_choice("inversion_condition", self.inversion_condition, ("pair", "self"))
        check_prediction(self.prediction_type, self.denoiser)

    @property
    def needs_latents(self) -> bool:
        """See `LatentMidpoint`."""
        return self.refine or self.denoiser.condition_space == "latent"

    @property
    def draws(self) -> bool:
        """See `LatentMidpoint`."""
        return self.realism > 0 or self.refine

    def draw(
        self,
        known: Between,
        noise: Callable[[torch.Tensor], torch.Tensor],
        callback: Callable[[int, torch.Tensor], bool | None] | None = None,
    ) -> torch.Tensor:
        """See `LatentMidpoint.draw`; `callback` is that of `custom.diffusion.ddim.ddim_sample`."""
        pair, alphas = self._pair(known.sides, known.latents, known), self.denoiser.alpha_bars
        grid = self.num_inference_steps if self.draws else 1, len(alphas)
        if self.refine:
            start = self._refined_start(known, pair, grid)
        else:
            start = self.realism * noise(known.guess) if self.realism else torch.zeros_like(known.guess)
        steps = timestep_pairs(*grid)
        return ddim_sample(self._predictor(pair), start, steps, alphas, self.eta, noise, callback=callback)

    def _refined_start(self, known: Between, pair: Pair, grid: tuple[int, int]) -> torch.Tensor:
        """CaLID+: the slerp, halfway, of what inverting each neighbour ends at."""
        ends = []
        for side in (0, 1):
            if self.inversion_condition == "self":
                pair = self._pair(known.sides[:, [side, side]], known.latents[:, [side, side]], known)
            predict = self._predictor(pair)
            ends.append(ddim_invert(predict, known.latents[:, side], inversion_pairs(*grid), self.denoiser.alpha_bars))
        if not self.slerp_per_phase:
            return slerp(*ends, 0.5)
        return slerp(*(end.transpose(1, 2) for end in ends), 0.5, start_dim=2).transpose(1, 2)

    def _pair(self, sides: torch.Tensor, latents: torch.Tensor | None, known: Between) -> Pair:
        """What the denoiser knows of the slices on both sides, `(N, 2, *space)`, and their latents."""
        space = self.denoiser.condition_space

        def embed(tile: torch.Tensor) -> torch.Tensor:
            return self.denoiser.embed_pair(2 * tile - 1 if space == "image" else tile)

        seen = (sides, self.cell) if space == "image" else (latents, 1)
        expected = (known.guess, known.variance) if self.motion is not None else self.denoiser.expect(latents)
        return Pair(self.tiler(embed, seen, out_scale=1), *expected)

    def _predictor(self, pair: Pair) -> Callable[[torch.Tensor, int], torch.Tensor]:
        """`(z, t) -> eps` for the sampler."""
        alphas = self.denoiser.alpha_bars

        def predict(z: torch.Tensor, t: int) -> torch.Tensor:
            def denoise(tile: torch.Tensor, *known: torch.Tensor) -> torch.Tensor:
                prediction = self.denoiser.estimate(tile, torch.full((len(tile),), t, device=z.device), Pair(*known))
                return to_epsilon(prediction, tile, alphas[t], self.prediction_type)

            return self.tiler(denoise, *((part, 1) for part in (z, *pair)), out_scale=1)

        return predict


class CaLIDCine(CaLID):
    """CaLID of whole cine slices `(T, H, W)`, every convolution in 3D (section III-D).

    Each phase keeps its latent (B14) and places attend to each other on the coarsest scale only, by default.

    Args:
        arguments: see `CaLID`.
        batch_size: see `CaLID`.
        options: see `CaLID`.
    """

    autoencoder_defaults = {**CaLID.autoencoder_defaults, "spatial_dims": 3, "phase_downsampling": False}
    denoiser_defaults = {
        **CaLID.denoiser_defaults,
        "attention": (False, False, True),
        "condition_attention": (False, False, True),
    }

    def __init__(self, *arguments: Any, batch_size: int = 1, **options: Any) -> None:
        super().__init__(*arguments, batch_size=batch_size, **options)
