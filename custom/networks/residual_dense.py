# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The residual dense network (RDN) of Zhang et al., CVPR 2018 (arXiv:1802.08797), without its upsampling."""

from __future__ import annotations

import torch
from torch import nn


class ResidualDenseBlock(nn.Module):
    """Convolutions that each see all features before them, fused to the input's width and added to it (section 3.3).

    Args:
        features: channels in and out.
        growth: channels that each convolution adds.
        layers: number of convolutions.
    """

    def __init__(self, features: int, growth: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(features + k * growth, growth, 3, padding=1) for k in range(layers))
        self.fusion = nn.Conv2d(features + layers * growth, features, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features `(N, features, h, w)` to features of the same shape."""
        seen = x
        for layer in self.layers:
            seen = torch.cat([seen, layer(seen).relu()], dim=1)
        return x + self.fusion(seen)


class ResidualDenseNetwork(nn.Module):
    """Shallow features, residual dense blocks, the fusion of all blocks' outputs, and a last convolution (Eq. 1 to 8).

    Args:
        in_channels: of the input.
        out_channels: of the output.
        features: channels between blocks.
        growth: see :class:`ResidualDenseBlock`.
        num_blocks: residual dense blocks.
        layers: convolutions of a block.
    """

    def __init__(
        self, in_channels: int, out_channels: int, features: int, growth: int, num_blocks: int, layers: int
    ) -> None:
        super().__init__()
        self.shallow = nn.Conv2d(in_channels, features, 3, padding=1)
        self.entry = nn.Conv2d(features, features, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualDenseBlock(features, growth, layers) for _ in range(num_blocks))
        self.fusion = nn.Sequential(
            nn.Conv2d(num_blocks * features, features, 1), nn.Conv2d(features, features, 3, padding=1)
        )
        self.last = nn.Conv2d(features, out_channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images or features `(N, in_channels, h, w)` to `(N, out_channels, h, w)`."""
        shallow = self.shallow(x)
        outputs = [self.entry(shallow)]
        for block in self.blocks:
            outputs.append(block(outputs[-1]))
        return self.last(shallow + self.fusion(torch.cat(outputs[1:], dim=1)))
