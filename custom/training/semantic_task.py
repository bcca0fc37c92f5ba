# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Training of DiffAE and DMCVR: what the semantic denoiser is given and asked for, for MONAI's `SupervisedTrainer`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from monai.engines import default_prepare_batch

from custom.diffusion.ddim import add_noise
from custom.diffusion.schedules import alpha_bar_at
from custom.interpolators.diffae import DiffAE
from custom.interpolators.dmcvr import DMCVR
from custom.training.prepare_batch import DrawingPrepareBatch
from custom.weights import load_model


class SemanticPrepareBatch(DrawingPrepareBatch):
    """Draws timestep and noise for each slice of a batch of triplets, all three alike.

    These methods learn slices one by one; that they interpolate comes of their codes.

    Args:
        network: the method, for its schedule and what its denoiser is told beside the slice.
        seed: of all draws.
    """

    def __init__(self, network: DiffAE, seed: int = 0) -> None:
        super().__init__(seed)
        self.network = network

    def __call__(
        self,
        batchdata: dict[str, torch.Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, tuple, dict]:
        """Input of the network, the noise as label, no arguments, and the network's keywords.

        Args:
            batchdata: has "image" `(B, L, 1, H, W)` in [0, 1]; a batch of `B L` slices comes of it.
            device: of everything returned.
            non_blocking: as in `Tensor.to`.
            kwargs: further arguments for `Tensor.to`.

        Raises:
            RuntimeError: it is not among the engine's handlers.
        """
        generator = self.generator()
        slices = default_prepare_batch(batchdata, device, non_blocking, **kwargs)[0].flatten(0, 1)
        alphas = self.network.alphas_cumprod.cpu()
        timesteps = torch.randint(len(alphas), (len(slices),), generator=generator)
        noise = torch.randn(slices.shape, generator=generator).to(slices)
        clean = 2 * slices - 1
        noisy = add_noise(clean, noise, alpha_bar_at(alphas, timesteps))
        known = {"timesteps": timesteps.to(slices.device), "slices": clean, **self.network.conditions(slices)}
        return noisy, noise, (), known


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
