# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""DiffAE (Preechakul et al., CVPR 2022) as an interpolator: two slices' codes and noises, mixed and rendered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from custom.diffusion.ddim import ddim_invert, ddim_sample, predict_clean, to_epsilon
from custom.diffusion.interpolation import lerp, slerp
from custom.diffusion.schedules import alpha_bar_at, alphas_cumprod, betas, inversion_pairs, timestep_pairs
from custom.interpolators.base import Interpolator, central_pair, check_steps
from custom.networks.padding import pad_slices
from custom.networks.parts import build_part
from custom.networks.semantic_encoder import SemanticDenoiser
from custom.switches import is_on

#: The size of slice that `batch_size` counts.
_USUAL_PIXELS = 128 * 128


class DiffAE(Interpolator):
    """Any position of a gap, without bisection; its state dict is the bundle's `models/model.pt`.

    Each known slice becomes a semantic code z_sem and, by DDIM inversion given that code, a noise x_T. At a position
    between two slices their z_sem are mixed linearly, their x_T spherically (one angle per slice), and the mixture is
    rendered by DDIM. Nothing is random. A slice beside two gaps, and for all positions of a gap, is inverted once.

    Slices of any size are padded to whole cells and run whole, never in tiles: z_sem is one code of the whole slice.

    Args:
        denoiser: encoder and denoiser, which see slices in [-1, 1]; a module, or what differs from the defaults of
            `SemanticDenoiser`.
        num_inference_steps: DDIM steps of the rendering.
        inversion_steps: DDIM steps of each inversion; None for as many, on the same grid.
        clip_clean: keep the estimate of the clean slice in [-1, 1] at every step, of both walks, as DiffAE does.
        batch_size: slices of 128x128 that go through the network at once; fewer of larger slices.
        schedule: what differs from DiffAE's noise schedule, arguments of `custom.diffusion.schedules.betas`.
    """

    # Errors of an inversion add up from step to step: 3/255 and more at every hundredth pixel.
    half_precision_safe = False

    def __init__(
        self,
        denoiser: SemanticDenoiser | Mapping[str, Any] | None = None,
        num_inference_steps: int = 20,
        inversion_steps: int | None = None,
        clip_clean: bool = True,
        batch_size: int = 16,
        schedule: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.denoiser = build_part(denoiser, SemanticDenoiser)
        self.num_inference_steps, self.inversion_steps = num_inference_steps, inversion_steps
        self.clip_clean, self.batch_size = is_on(clip_clean), batch_size
        self.schedule = {"kind": "linear", "beta_start": 1e-4, "beta_end": 0.02, **(schedule or {})}
        self.register_buffer("alphas_cumprod", alphas_cumprod(betas(**self.schedule)), persistent=False)
        self._alpha_bars = tuple(self.alphas_cumprod.tolist())

    def validate(self) -> None:
        """See `Interpolator.validate`."""
        super().validate()
        check_steps(self.num_inference_steps, len(self.alpha_bars))
        if self.inversion_steps is not None:
            check_steps(self.inversion_steps, len(self.alpha_bars), "inversion_steps")

    @property
    def alpha_bars(self) -> tuple[float, ...]:
        """The noise schedule as numbers, for the sampler: no device has to be asked for them."""
        return self._alpha_bars

    @property
    def divisor(self) -> int:
        """What height and width of a slice must be multiples of."""
        return self.denoiser.divisor

    @torch.no_grad()
    def forward(self, image: torch.Tensor, count: int = 1) -> torch.Tensor:
        """Evenly spaced slices between two: `(B, 2, H, W)` to `(B, count, H, W)`, in [0, 1]; for validation."""
        return self.interpolate(image.unsqueeze(2), torch.arange(1, count + 1) / (count + 1))[:, :, 0]

    @torch.no_grad()
    def interpolate(
        self,
        neighbours: torch.Tensor,
        positions: torch.Tensor,
        seeds: Sequence[int] | None = None,
        wrap_rows: bool = False,
        callback: Callable[[int, torch.Tensor], bool | None] | None = None,
    ) -> torch.Tensor:
        """See `Interpolator.interpolate`; `callback` is that of `custom.diffusion.ddim.ddim_sample`."""
        slices, window = pad_slices(torch.stack(central_pair(neighbours), dim=1), (self.divisor, self.divisor))
        gaps, count = len(slices), len(positions)
        known, place = self._distinct(slices.flatten(0, 1))
        at_once = max(1, self.batch_size * _USUAL_PIXELS // known[0].numel())
        parts = []
        for chunk in known.split(at_once):
            codes = self.encode(chunk)
            parts.append((self.invert(chunk, codes), *codes))
        noise, *codes = (torch.cat(part) for part in zip(*parts, strict=True))
        before, after = (side.repeat_interleave(count) for side in place.view(gaps, 2).unbind(1))
        alpha = positions.to(noise).repeat(gaps)
        rendered = []
        for chunk in torch.arange(gaps * count, device=noise.device).split(at_once):
            a, b, at = before[chunk], after[chunk], alpha[chunk]
            mixed = self.mix([code[a] for code in codes], [code[b] for code in codes], at)
            rendered.append(self.render(slerp(noise[a], noise[b], at.view(-1, 1, 1, 1)), mixed, callback))
        return torch.cat(rendered).unflatten(0, (gaps, count))[(..., *window)]

    @staticmethod
    def _distinct(slices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The slices without their doubles, and where each is among them; how many there are, the device has to say."""
        return slices.unique(dim=0, return_inverse=True)

    def conditions(self, slices: torch.Tensor) -> dict[str, torch.Tensor]:
        """What the denoiser is told of slices `(n, 1, H, W)` in [0, 1] beside z_sem; keywords of its `forward`."""
        return {}

    def encode(self, slices: torch.Tensor) -> list[torch.Tensor]:
        """The codes of slices `(n, 1, H, W)` in [0, 1], each `(n, ...)`; z_sem `(n, c)` is the first."""
        return [self.denoiser.encoder(2 * slices - 1), *self.conditions(slices).values()]

    def mix(
        self, before: Sequence[torch.Tensor], after: Sequence[torch.Tensor], alpha: torch.Tensor
    ) -> list[torch.Tensor]:
        """The codes at fractions `alpha` `(n,)` of the way between two slices' codes."""
        return [lerp(before[0], after[0], alpha[:, None])]

    def invert(self, slices: torch.Tensor, codes: Sequence[torch.Tensor]) -> torch.Tensor:
        """x_T `(n, 1, H, W)` of slices `(n, 1, H, W)` in [0, 1], given their own codes."""
        pairs = inversion_pairs(self.inversion_steps or self.num_inference_steps, len(self.alpha_bars))
        # Each step asks for the timestep that it goes to; the slice that it starts from is at the one before.
        levels = {t_next: t for t, t_next in pairs}
        return ddim_invert(self._predictor(codes, levels), 2 * slices - 1, pairs, self.alpha_bars)

    def render(
        self,
        noise: torch.Tensor,
        codes: Sequence[torch.Tensor],
        callback: Callable[[int, torch.Tensor], bool | None] | None = None,
    ) -> torch.Tensor:
        """The slices `(n, 1, H, W)` in [0, 1] of x_T `(n, 1, H, W)` and codes; `callback` as in `interpolate`."""
        pairs = timestep_pairs(self.num_inference_steps, len(self.alpha_bars))
        levels = {t: t for t, _ in pairs}
        slices = ddim_sample(self._predictor(codes, levels), noise, pairs, self.alpha_bars, callback=callback)
        return ((slices + 1) / 2).clamp(0, 1)

    def _predictor(
        self, codes: Sequence[torch.Tensor], levels: dict[int, int]
    ) -> Callable[[torch.Tensor, int], torch.Tensor]:
        """`(x, t) -> eps` for the sampler; `levels` says at which timestep x is when t is asked for."""

        def predict(x: torch.Tensor, t: int) -> torch.Tensor:
            eps = self.denoiser.unet(x, torch.full((len(x),), t, device=x.device), *codes)
            level = alpha_bar_at(self.alpha_bars, levels[t])
            if not self.clip_clean or level == 1:  # a clean slice is its own estimate
                return eps
            return to_epsilon(predict_clean(x, eps, level).clamp(-1, 1), x, level, "sample")

        return predict
