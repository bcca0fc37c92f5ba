# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Stage 2 of CaLID: what the conditional denoiser is given and asked for, for MONAI's `SupervisedTrainer`."""

from __future__ import annotations

from typing import Any

import torch
from monai.engines import default_prepare_batch

from custom.diffusion.ddim import add_noise, target_for
from custom.diffusion.schedules import alpha_bar_at
from custom.networks.neighbour_denoiser import NeighbourDenoiser
from custom.training.prepare_batch import Codec, DrawingPrepareBatch


class NeighbourPrepareBatch(DrawingPrepareBatch):
    """Draws timestep and noise for a batch of slice triplets (CaLID, Eq. 5).

    The slice in the middle becomes a noisy latent, its two neighbours the condition.

    Args:
        codec: the trained autoencoder.
        denoiser: the network to be trained, for its prior and its loss weight.
        alphas_cumprod: of the noise schedule, `(T,)`.
        prediction_type: "epsilon", "v_prediction" or "sample" (`custom.diffusion.ddim.target_for`).
        high_noise_share: share of the batch that gets a timestep from the upper tenth of the schedule, where sampling
            in few steps begins; the others, and with 0 (the paper) all, are drawn evenly.
        seed: of all draws.
    """

    def __init__(
        self,
        codec: Codec,
        denoiser: NeighbourDenoiser,
        alphas_cumprod: torch.Tensor,
        prediction_type: str = "epsilon",
        high_noise_share: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(seed)
        self.codec, self.denoiser, self.alphas_cumprod = codec, denoiser, alphas_cumprod.cpu()
        self.prediction_type, self.high_noise_share = prediction_type, high_noise_share

    def __call__(
        self,
        batchdata: dict[str, torch.Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, tuple, dict]:
        """Input of the network, label of `WeightedNoiseLoss`, no arguments, and the network's keywords.

        Args:
            batchdata: has "image" `(B, 3, 1, *space)` in [0, 1].
            device: of everything returned.
            non_blocking: as in `Tensor.to`.
            kwargs: further arguments for `Tensor.to`.

        Raises:
            RuntimeError: it is not among the engine's handlers.
        """
        generator = self.generator()
        slices, _ = default_prepare_batch(batchdata, device, non_blocking, **kwargs)
        with torch.no_grad():
            latents = self.codec.encode_latents(slices)
        clean, neighbour_latents = latents[:, 1], latents[:, [0, 2]]
        count, batch = len(self.alphas_cumprod), len(clean)
        shares = torch.rand(batch, generator=generator)
        lowest = torch.where(torch.rand(batch, generator=generator) < self.high_noise_share, 0.9, 0.0)
        timesteps = ((lowest + (1 - lowest) * shares) * count).long().clamp(max=count - 1)
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        alpha_bar = alpha_bar_at(self.alphas_cumprod, timesteps)
        target = target_for(self.prediction_type, clean, noise, alpha_bar)
        inputs, timesteps = add_noise(clean, noise, alpha_bar), timesteps.to(clean.device)
        with torch.no_grad():
            weight = self.denoiser.loss_weight(timesteps, self.denoiser.expect(neighbour_latents)[1])
        keywords = {
            "timesteps": timesteps,
            "neighbours": 2 * slices[:, [0, 2], 0] - 1,
            "neighbour_latents": neighbour_latents,
        }
        return inputs, torch.cat([target, weight.expand_as(target[:, :1])], dim=1), (), keywords
