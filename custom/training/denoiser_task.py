# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Stage 2: what the masked video denoiser is given and what it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from custom.data.sizes import number, whole_number, whole_numbers
from custom.diffusion.ddim import add_noise, target_for
from custom.diffusion.schedules import alpha_bar_at
from custom.errors import InputError
from custom.interpolators.cardiointerp import CardioInterp
from custom.training.task import Task


class MaskedVideoTask(Task):
    """Draws timestep, noise and mask for a batch of windows (CardioInterp section 2.1, Eq. 2 to 6).

    Known frames are the first and the last; with probability `unconditional_probability` none is, which is what makes
    guidance possible (A17). The network gets known latents clean (Eq. 5; the mask acts on latent channels only, A14)
    and predicts every frame; the loss looks at unknown frames (A15).

    Args:
        network: the composite with its trained autoencoder; its denoiser has the schedule and the loss weight.
        window_lengths: lengths to choose from for each batch, which is then cut after that many frames; None for the
            whole window, as the paper trains. Shorter windows teach the network how little a frame between close
            neighbours varies, which it cannot know at x2 and x4 from windows of 7 alone (A19).
        unconditional_probability: of a window without known frames.
        loss_region: "unknown" frames (A15) or "all".
        condition_noise: known latents are noised to a timestep drawn below this one, as in LVDM (with 250) but
            unknown to the network; 0 leaves them clean (A13).
        seed: of all draws.

    Raises:
        InputError: lengths with nothing between the ends, a share that is none, noise beyond the schedule.
        ValueError: unknown `loss_region`.
    """

    def __init__(
        self,
        network: CardioInterp,
        window_lengths: Sequence[int] | None = None,
        unconditional_probability: float = 0.1,
        loss_region: str = "unknown",
        condition_noise: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(seed)
        if loss_region not in ("unknown", "all"):
            raise ValueError(f"loss_region is 'unknown' or 'all', got {loss_region!r}.")
        self.network, self.alphas_cumprod = network, network.denoiser.alphas_cumprod.cpu()
        self.window_lengths = None if window_lengths is None else whole_numbers("--window_lengths", window_lengths, 3)
        self.condition_noise = whole_number("--condition_noise", condition_noise, 0, len(self.alphas_cumprod))
        self.unconditional_probability = number("--unconditional_probability", unconditional_probability, 0, 1)
        self.loss_region = loss_region

    def check(self, length: int) -> None:
        """See `Task.check`."""
        longest = max(self.window_lengths or (0,))
        if longest > length:
            fault = f"has {longest}, and a window has {length} frames"
            raise InputError("--window_lengths", fault, f"give at most {length}, or a longer --window")

    def make(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """See `Task.make`: noisy and known latents, label of `WeightedNoiseLoss`, keywords "mask" and "timesteps".

        Args:
            batch: has "image" `(B, L, 1, h, w)`.

        Raises:
            RuntimeError: it is not among the engine's handlers.
        """
        generator = self.generator()
        frames = batch["image"]
        if self.window_lengths is not None:
            choice = torch.randint(len(self.window_lengths), (1,), generator=generator)
            frames = frames[:, : self.window_lengths[choice]]
        clean = self.encode(self.network, frames)
        size, length = clean.shape[:2]
        timesteps = torch.randint(len(self.alphas_cumprod), (size,), generator=generator)
        conditional = torch.rand(size, generator=generator) >= self.unconditional_probability
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        mask = torch.zeros(size, length)
        mask[:, [0, -1]] = conditional.float()[:, None]

        alpha_bar = alpha_bar_at(self.alphas_cumprod, timesteps)
        known = clean
        if self.condition_noise > 0:
            levels = torch.randint(self.condition_noise, (size,), generator=generator)
            known = add_noise(clean, noise, alpha_bar_at(self.alphas_cumprod, levels))
        is_known = mask.bool().to(clean.device)[:, :, None, None, None]
        inputs = torch.where(is_known, known, add_noise(clean, noise, alpha_bar))

        weights = torch.ones_like(mask) if self.loss_region == "all" else 1 - mask
        mask, timesteps, weights = (x.to(clean.device) for x in (mask, timesteps, weights))
        keywords = {"mask": mask, "timesteps": timesteps}
        if getattr(self.network, "motion", None) is not None:
            with torch.no_grad(), self._codec_precision(frames):
                expected = torch.cat(self.network.expected_between(frames), dim=2).float()
            keywords["expected"] = expected
        with torch.no_grad():
            balance = self.network.denoiser.loss_weight(timesteps, mask, keywords.get("expected"))
        target = target_for(self.network.prediction_type, clean, noise, alpha_bar)
        plane = (weights[:, :, None, None, None] * balance).expand(-1, -1, 1, *clean.shape[3:])
        return inputs, torch.cat([target, plane], dim=2), keywords
