# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Stage 2 of CaLID: what the conditional denoiser is given and asked for."""

from __future__ import annotations

from typing import Any

import torch

from custom.data.sizes import number
from custom.diffusion.ddim import add_noise, target_for
from custom.diffusion.schedules import alpha_bar_at
from custom.interpolators.calid import CaLID
from custom.training.task import Task


class NeighbourTask(Task):
    """Draws timestep and noise for a batch of slice triplets (CaLID, Eq. 5).

    The slice in the middle becomes a noisy latent, its two neighbours the condition, moved by the motion network where
    there is one.

    Args:
        network: the composite with its trained autoencoder; its denoiser has schedule, prior and loss weight.
        high_noise_share: share of the batch that gets a timestep from the upper tenth of the schedule, where sampling
            in few steps begins; the others, and with 0 (the paper) all, are drawn evenly.
        seed: of all draws.

    Raises:
        InputError: a share that is none.
    """

    reads = ("image", "positions")

    def __init__(self, network: CaLID, high_noise_share: float = 0.0, seed: int = 0) -> None:
        super().__init__(seed)
        self.network, self.high_noise_share = network, number("--high_noise_share", high_noise_share, 0, 1)
        self.alphas_cumprod = network.denoiser.alphas_cumprod.cpu()

    def make(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """See `Task.make`: the noisy latent of the middle slice, label of `WeightedNoiseLoss`, and the condition.

        Args:
            batch: has "image" `(B, 3, 1, *space)` and may have "positions" `(B, 3)` from 0 to 1 (evenly spaced).

        Raises:
            RuntimeError: it is not among the engine's handlers.
        """
        generator = self.generator()
        from_latents = self.network.denoiser.condition_space == "latent"
        clean, known = self.between(self.network, batch, from_latents)
        count, size = len(self.alphas_cumprod), len(clean)
        shares = torch.rand(size, generator=generator)
        lowest = torch.where(torch.rand(size, generator=generator) < self.high_noise_share, 0.9, 0.0)
        timesteps = ((lowest + (1 - lowest) * shares) * count).long().clamp(max=count - 1)
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        alpha_bar = alpha_bar_at(self.alphas_cumprod, timesteps)
        target = target_for(self.network.prediction_type, clean, noise, alpha_bar)
        inputs, timesteps = add_noise(clean, noise, alpha_bar), timesteps.to(clean.device)
        with torch.no_grad():
            weight = self.network.denoiser.loss_weight(timesteps, known.variance)
        keywords = {
            "timesteps": timesteps,
            "neighbours": known.latents if from_latents else 2 * known.sides - 1,
            "guess": known.guess,
            "variance": known.variance,
        }
        return inputs, torch.cat([target, weight.expand_as(target[:, :1])], dim=1), keywords
