# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Training of DiffAE and DMCVR: what the semantic denoiser is given and asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from custom.diffusion.ddim import add_noise
from custom.diffusion.schedules import alpha_bar_at
from custom.interpolators.diffae import DiffAE
from custom.interpolators.dmcvr import DMCVR
from custom.training.task import Task
from custom.weights import load_model


class SemanticTask(Task):
    """Draws timestep and noise for each slice of a batch of triplets, all three alike.

    These methods learn slices one by one; that they interpolate comes of their codes.

    Args:
        network: the method, for its schedule and what its denoiser is told beside the slice.
        seed: of all draws.
    """

    def __init__(self, network: DiffAE, seed: int = 0) -> None:
        super().__init__(seed)
        self.network, self.alphas_cumprod = network, network.alphas_cumprod.cpu()

    def make(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """See `Task.make`: noisy slices, their noise, and what the denoiser is told.

        Args:
            batch: has "image" `(B, L, 1, H, W)`; a batch of `B L` slices comes of it.

        Raises:
            RuntimeError: it is not among the engine's handlers.
        """
        generator = self.generator()
        slices, alphas = batch["image"].flatten(0, 1), self.alphas_cumprod
        timesteps = torch.randint(len(alphas), (len(slices),), generator=generator)
        noise = torch.randn(slices.shape, generator=generator).to(slices)
        clean = 2 * slices - 1
        noisy = add_noise(clean, noise, alpha_bar_at(alphas, timesteps))
        known = {"timesteps": timesteps.to(slices.device), "slices": clean, **self.network.conditions(slices)}
        return noisy, noise, known


def with_segmenter(network: DMCVR, weights: str | Path) -> DMCVR:
    """Fill the segmentation network of a DMCVR that is about to be trained.

    Args:
        network: the method.
        weights: `models/model.pt` of the bundle `medformer_sax`.

    Returns:
        The same network.

    Raises:
        InputError: the file is missing, damaged, or of another segmentation network.
    """
    load_model(network.segmenter, weights)
    return network
