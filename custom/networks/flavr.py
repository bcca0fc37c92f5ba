# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""FLAVR: frame interpolation with 3D convolutions alone, no flow (Kalluri et al., WACV 2023, section 3).

Four known frames go in as a short video; a 3D residual encoder (R3D-18 whose strides spare time) and a decoder of
transposed 3D convolutions keep all four moments apart until time is folded into channels and a 2D head writes every
frame of the central gap at once. Sizes and order of layers follow the authors' repository, tarun005/FLAVR; one channel
takes the place of three.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets.diffusion_model_unet import zero_module
from torch import nn

from custom.networks.central_gap import CentralBlend

#: Slope of the decoder's leaky ReLUs.
SLOPE = 0.2


class SpaceTimeGate(nn.Module):
    """Channel weights in (0, 1) from the average over time and space (FLAVR section 3.2); no reduction, unlike SE."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.mix = nn.Conv3d(channels, channels, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """`(B, c, T, H, W)`, each channel times its weight."""
        return features * self.mix(self.pool(features)).sigmoid()


class _Block(nn.Module):
    """R3D's basic block with the gate behind its second convolution, without batch norm."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        strides = (1, stride, stride)
        self.branch = nn.Sequential(
            nn.Conv3d(in_channels, channels, 3, stride=strides, padding=1, bias=False), nn.ReLU(),
            nn.Conv3d(channels, channels, 3, padding=1, bias=False), SpaceTimeGate(channels),
        )  # fmt: skip
        same = stride == 1 and in_channels == channels
        self.identity = nn.Identity() if same else nn.Conv3d(in_channels, channels, 1, stride=strides, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return (self.identity(features) + self.branch(features)).relu()


def _same(in_channels: int, channels: int) -> nn.Sequential:
    """A decoder stage that keeps the size."""
    conv = nn.Conv3d(in_channels, channels, 3, padding=1)
    return nn.Sequential(conv, SpaceTimeGate(channels), nn.LeakyReLU(SLOPE))


def _double(in_channels: int, channels: int) -> nn.Sequential:
    """A decoder stage that doubles height and width and keeps time."""
    conv = nn.ConvTranspose3d(in_channels, channels, (3, 4, 4), stride=(1, 2, 2), padding=1)
    return nn.Sequential(conv, SpaceTimeGate(channels), nn.LeakyReLU(SLOPE))


class FLAVR(nn.Module):
    """The frames between the two central ones of four, in one pass.

    Args:
        channels: features of the four encoder stages, at 1/2, 1/4, 1/8 and 1/8 of the size; (64, 128, 256, 512) in
            the paper.
        blocks: residual blocks per stage; (2, 2, 2, 2) is R3D-18.
        num_outputs: frames made at equal distances in the central gap (the paper's k - 1); odd, 1 is the middle.
        residual: add the linear interpolation of the central gap; the untrained network is then that. The paper's
            (False) is not: it adds the mean over time and space back.

    Attributes:
        num_neighbours: 4; there are no others.
        divisor: 8, what height and width must be multiples of.

    Raises:
        ValueError: an even `num_outputs`, or not four stages.
    """

    num_neighbours = 4
    divisor = 8

    def __init__(
        self,
        channels: Sequence[int] = (16, 32, 64, 128),
        blocks: Sequence[int] = (2, 2, 2, 2),
        num_outputs: int = 1,
        residual: bool = True,
    ) -> None:
        super().__init__()
        if len(channels) != 4 or len(blocks) != 4:
            raise ValueError(f"channels and blocks have four numbers, got {list(channels)} and {list(blocks)}")
        self.num_outputs, self.residual, self.blend = num_outputs, residual, CentralBlend(num_outputs)
        first, second, third, fourth = channels
        self.stem = nn.Sequential(
            nn.Conv3d(1, first, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False), nn.ReLU()
        )
        widths, strides = [first, *channels], (1, 2, 2, 1)
        self.stages = nn.ModuleList()
        for before, width, stride, count in zip(widths[:-1], channels, strides, blocks, strict=True):
            rest = (_Block(width, width, 1) for _ in range(count - 1))
            self.stages.append(nn.Sequential(_Block(before, width, stride), *rest))
        # Each stage but the first reads the previous one beside the encoder features of the same size.
        self.decoder = nn.ModuleList(
            [
                _same(fourth, third),
                _double(2 * third, second),
                _double(2 * second, first),
                _same(2 * first, first),
                _double(2 * first, first),
            ]
        )
        self.fuse = nn.Sequential(nn.Conv2d(self.num_neighbours * first, first, 1, bias=False), nn.LeakyReLU(SLOPE))
        self.head = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(first, num_outputs, 7))
        for module in self.stages.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if residual:
            zero_module(self.head)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Interpolate the central gap.

        Args:
            images: four known frames in order, `(B, 4, H, W)` in [0, 1], height and width multiples of 8.

        Returns:
            `(B, num_outputs, H, W)`, about [0, 1], not clamped.

        Raises:
            ValueError: another number of frames, or a size that is no multiple of 8.
        """
        if images.shape[1] != self.num_neighbours or images.shape[-2] % self.divisor or images.shape[-1] % self.divisor:
            raise ValueError(f"FLAVR takes (B, 4, H, W) with H and W multiples of 8, got {tuple(images.shape)}")
        # One number per item, over time and space: the network works on what differs from the overall brightness.
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        skips = [self.stem((images - mean)[:, None])]
        for stage in self.stages:
            skips.append(stage(skips[-1]))
        features = self.decoder[0](skips.pop())
        for stage in self.decoder[1:]:
            features = stage(torch.cat([features, skips.pop()], dim=1))
        # Moments become channels in order, so that the fusion knows which frame a feature came from.
        start = self.blend(images) if self.residual else mean
        return start + self.head(self.fuse(features.transpose(1, 2).flatten(1, 2)))
