# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Stage 2 of the latent bridge: places on the way from the neighbours' latents to the latent between them."""

from __future__ import annotations

from typing import Any

import torch

from custom.data.sizes import number
from custom.diffusion.bridge import bridge_point
from custom.interpolators.latent_bridge import LatentBridge
from custom.training.task import Task


class BridgeTask(Task):
    """Draws a time and noise for a batch of slice triplets and asks for the end of the bridge.

    Args:
        network: the composite with its trained autoencoder; says which kind of bridge, and how wide.
        start_share: share of the batch that is at the start of the bridge, where sampling in one step ends as well; the
            times of the others are even in [0, 1).
        seed: of all draws.

    Raises:
        InputError: a share that is none.
    """

    reads = ("image", "positions")

    def __init__(self, network: LatentBridge, start_share: float = 0.25, seed: int = 0) -> None:
        super().__init__(seed)
        self.network, self.start_share = network, number("--start_share", start_share, 0, 1)

    def make(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """See `Task.make`: a place on the bridge, label of `WeightedNoiseLoss`, the time and the condition.

        Args:
            batch: has "image" `(B, 3, 1, *space)` and may have "positions" `(B, 3)` from 0 to 1 (evenly spaced).

        Raises:
            RuntimeError: it is not among the engine's handlers.
        """
        generator = self.generator()
        end, known = self.between(self.network, batch, latents=True)
        guess, variance = known.guess, known.variance
        at_start, share = torch.rand(2, len(end), generator=generator)
        times = torch.where(at_start < self.start_share, 0.0, share).to(end)
        noise = torch.randn(end.shape, generator=generator).to(end)
        start, sigma = self.network.bridge_from(guess, variance, lambda _: noise)
        # A slice counts by how much of it is left open, whatever the distance of its neighbours; a place within it too.
        weight = 1 / variance.mean(dim=tuple(range(1, variance.ndim)), keepdim=True)
        label = torch.cat([end, weight.expand_as(end[:, :1])], dim=1)
        inputs = bridge_point(start, end, times, noise, sigma)
        condition = {"neighbour_latents": known.latents, "guess": guess, "variance": variance}
        return inputs, label, {"times": times, **condition}
