# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Stage 2: what the masked video denoiser is given and what it is asked for, for MONAI's `SupervisedTrainer`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.engines import default_prepare_batch

from custom.diffusion.ddim import add_noise, target_for
from custom.diffusion.schedules import alpha_bar_at
from custom.training.prepare_batch import Codec, DrawingPrepareBatch


class MaskedVideoPrepareBatch(DrawingPrepareBatch):
    """Draws timestep, noise and mask for a batch of windows (CardioInterp section 2.1, Eq. 2 to 6).

    Known frames are the first and the last; with probability `unconditional_probability` none is, which is what makes
    guidance possible (A17). The network gets known latents clean (Eq. 5; the mask acts on latent channels only, A14)
    and predicts every frame; the loss looks at unknown frames (A15).

    Args:
        codec: the trained autoencoder.
        alphas_cumprod: of the noise schedule, `(T,)`.
        window_lengths: lengths to choose from for each batch, which is then cut after that many frames; None for the
            whole window, as the paper trains. Shorter windows teach the network how little a frame between close
            neighbours varies, which it cannot know at x2 and x4 from windows of 7 alone (A19).
        unconditional_probability: of a window without known frames.
        prediction_type: "epsilon", "v_prediction" or "sample" (`custom.diffusion.ddim.target_for`).
        loss_region: "unknown" frames (A15) or "all".
        condition_noise: known latents are noised to a timestep drawn below this one, as in LVDM (with 250) but
            unknown to the network; 0 leaves them clean (A13).
        weighting: further weight of a window's loss, called with timesteps `(B,)` and mask `(B, L)`, returns `(B,)`.
        seed: of all draws.

    Raises:
        ValueError: unknown `loss_region`.
    """

    def __init__(
        self,
        codec: Codec,
        alphas_cumprod: torch.Tensor,
        window_lengths: Sequence[int] | None = None,
        unconditional_probability: float = 0.1,
        prediction_type: str = "epsilon",
        loss_region: str = "unknown",
        condition_noise: int = 0,
        weighting: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(seed)
        if loss_region not in ("unknown", "all"):
            raise ValueError(f"loss_region is 'unknown' or 'all', got {loss_region!r}.")
        self.codec, self.alphas_cumprod, self.prediction_type = codec, alphas_cumprod.cpu(), prediction_type
        self.window_lengths = window_lengths
        self.unconditional_probability, self.loss_region = unconditional_probability, loss_region
        self.condition_noise, self.weighting = condition_noise, weighting

    def __call__(
        self,
        batchdata: dict[str, torch.Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, tuple, dict]:
        """Inputs of the network, label of `WeightedNoiseLoss`, no arguments, keywords "mask" and "timesteps".

        Args:
            batchdata: has "image" `(B, L, 1, h, w)` in [0, 1].
            device: of everything returned.
            non_blocking: as in `Tensor.to`.
            kwargs: further arguments for `Tensor.to`.

        Raises:
            RuntimeError: it is not among the engine's handlers.
        """
        generator = self.generator()
        frames, _ = default_prepare_batch(batchdata, device, non_blocking, **kwargs)
        if self.window_lengths is not None:
            choice = torch.randint(len(self.window_lengths), (1,), generator=generator)
            frames = frames[:, : self.window_lengths[choice]]
        with torch.no_grad():
            clean = self.codec.encode_latents(frames)
        batch, length = clean.shape[:2]
        timesteps = torch.randint(len(self.alphas_cumprod), (batch,), generator=generator)
        conditional = torch.rand(batch, generator=generator) >= self.unconditional_probability
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        mask = torch.zeros(batch, length)
        mask[:, [0, -1]] = conditional.float()[:, None]

        alpha_bar = alpha_bar_at(self.alphas_cumprod, timesteps)
        known = clean
        if self.condition_noise > 0:
            levels = torch.randint(self.condition_noise, (batch,), generator=generator)
            known = add_noise(clean, noise, alpha_bar_at(self.alphas_cumprod, levels))
        is_known = mask.bool().to(clean.device)[:, :, None, None, None]
        inputs = torch.where(is_known, known, add_noise(clean, noise, alpha_bar))

        weights = torch.ones_like(mask) if self.loss_region == "all" else 1 - mask
        mask, timesteps, weights = (x.to(clean.device) for x in (mask, timesteps, weights))
        if self.weighting is not None:
            weights = weights * self.weighting(timesteps, mask)[:, None]
        target = target_for(self.prediction_type, clean, noise, alpha_bar)
        plane = weights[:, :, None, None, None].expand(-1, -1, 1, *clean.shape[3:])
        return inputs, torch.cat([target, plane], dim=2), (), {"mask": mask, "timesteps": timesteps}
