# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What the latents of two neighbouring slices, or their motion, tell about the latent between them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

#: Side of the neighbourhood, in latent cells, over which the neighbours' difference is averaged.
LOCAL_CELLS = 9
#: Least prior variance, of latents of unit variance: what an autoencoder's noise leaves even between equal slices.
LEAST_VARIANCE = 0.01


class LatentPrior(nn.Module):
    """Expected latent between two, and how far from it the true one is expected to lie.

    A base of networks that start from this guess; the share is a buffer of theirs.
    """

    def __init__(self) -> None:
        super().__init__()
        # Share of a squared difference that the latent between varies by; measured before training. The difference is
        # that of the neighbours' latents, or the error that the motion network expects of its guess.
        self.register_buffer("prior_share", torch.tensor(0.25))

    def expect(self, neighbour_latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean `(B, c, *latent)` and variance `(B, 1, *latent)` of the latent between `(B, 2, c, *latent)`.

        The variance is a fixed share of the neighbours' squared difference around each place, so that the prior is as
        sure between slices that hardly differ, such as those of a late bisection, as it is loose across a wide gap.
        """
        before, after = neighbour_latents.unbind(1)
        square = (before - after).square().mean(1, keepdim=True)
        if square.ndim == 5:
            square = square.mean(2, keepdim=True).expand_as(square)  # phases of a slice are alike in what they miss
        flat = square.flatten(0, -4) if square.ndim == 5 else square
        flat = F.avg_pool2d(flat, LOCAL_CELLS, 1, LOCAL_CELLS // 2, count_include_pad=False)
        return (before + after) / 2, self.variance(flat.reshape(square.shape))

    def variance(self, square: torch.Tensor) -> torch.Tensor:
        """Variance of the latent between where a squared difference is this large, any shape."""
        return (self.prior_share * square).clamp_min(LEAST_VARIANCE)
