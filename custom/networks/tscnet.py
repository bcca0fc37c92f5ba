# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""TSCNet's generator: two slices to the slice between them (Lu et al., "Two-Stage Self-Supervised Cycle-Consistency
Network for Reconstruction of Thin-Slice MR Images", MICCAI 2021, arXiv:2106.15395; notes 6.2)."""

from __future__ import annotations

import torch
from monai.networks.nets.diffusion_model_unet import zero_module
from torch import nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from custom.networks.residual_dense import ResidualDenseNetwork


class TSCNet(nn.Module):
    """A residual dense network for each of the two slices; a third turns the features of both into the slice between.

    Args:
        features: channels between dense blocks, and of the features that a slice is turned into.
        growth: channels that each convolution of a dense block adds.
        num_blocks: dense blocks of each of the three networks.
        layers: convolutions of a dense block.
        factor: each square of `factor` x `factor` pixels becomes one place with so many channels, and back at the end.
            1 is the paper's network, all of it at full resolution; multiply-adds fall with the square of the factor.
        residual: add the mean of both slices. The untrained network is then linear interpolation. The paper's is not.

    Attributes:
        num_neighbours: 2.
        num_outputs: 1, the slice halfway.
        divisor: what height and width must be multiples of.
    """

    num_neighbours = 2
    num_outputs = 1

    def __init__(
        self,
        features: int = 64,
        growth: int = 40,
        num_blocks: int = 3,
        layers: int = 5,
        factor: int = 8,
        residual: bool = True,
    ) -> None:
        super().__init__()
        self.divisor, self.residual = factor, residual
        size = {"features": features, "growth": growth, "num_blocks": num_blocks, "layers": layers}
        self.before, self.after = (ResidualDenseNetwork(factor**2, features, **size) for _ in range(2))
        self.between = ResidualDenseNetwork(2 * features, factor**2, **size)
        if residual:
            zero_module(self.between.last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The slice between `images` `(B, 2, H, W)` in [0, 1], as `(B, 1, H, W)`, not clamped."""
        before, after = (pixel_unshuffle(image, self.divisor) for image in images.split(1, dim=1))
        features = torch.cat([self.before(before), self.after(after)], dim=1)
        middle = pixel_shuffle(self.between(features), self.divisor)
        return middle + images.mean(dim=1, keepdim=True) if self.residual else middle
