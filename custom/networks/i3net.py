# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""I3Net: inter- and intra-slice interpolation with views along all three axes (Song et al., TMI 2024).

Four known slices go in as channels. Each I2Block adds a branch for the through-plane direction, which is the channels,
and one for the slice plane, in the frequency domain; CrossView blocks look at the features along rows and along
columns. Sizes and order follow the authors' repository, eeeric-code/I3Net. There the tail gives all slices from the
first known one to the fourth and results of sliding windows are averaged; here it gives the unknown slices of the
central gap, the only one with known slices on both sides, and each is made once.
"""

from __future__ import annotations

import torch
from monai.networks.nets.diffusion_model_unet import zero_module
from torch import nn

from custom.networks.central_gap import CentralBlend
from custom.networks.frequency_mixer import ChannelNorm, FrequencyMixer


class _ViewBranch(nn.Module):
    """Convolutions over a map whose rows are taken as channels: the stack as seen from the side."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        # PixelShuffle trades four rows for twice the width and twice the channels, so that the view has a size.
        rows = size // 4
        self.enter = nn.Conv2d(channels, channels, 1)
        self.view = nn.Sequential(
            nn.PixelShuffle(2), nn.Conv2d(rows, rows, 3, padding=1), nn.ReLU(),
            nn.Conv2d(rows, rows, 3, padding=1), nn.PixelUnshuffle(2),
        )  # fmt: skip

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """`(B, c, size, W)` to the same shape."""
        return self.view(self.enter(features).transpose(1, 2)).transpose(1, 2)


class CrossView(nn.Module):
    """The sum of a sagittal view, rows as channels, and a coronal one, columns as channels (I3Net, section III).

    Args:
        channels: of the map.
        size: its height and width, which become the channels of the views: a multiple of 4.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.sagittal = _ViewBranch(channels, size)
        self.coronal = _ViewBranch(channels, size)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """`(B, channels, size, size)` to the same shape."""
        features = self.norm(features)
        return self.sagittal(features) + self.coronal(features.mT).mT


class I2Block(nn.Module):
    """Features plus inter-slice branch plus intra-slice branch.

    Args:
        channels: of the map.
        size: its height and width.
        unshuffle: how many pixels, in each direction, the inter-slice branch takes into the channels.
        window_size: see `FrequencyMixer`.
    """

    def __init__(self, channels: int, size: int, unshuffle: int = 2, window_size: int = 16) -> None:
        super().__init__()
        wide = channels * unshuffle**2
        self.inter = nn.Sequential(
            nn.PixelUnshuffle(unshuffle), nn.Conv2d(wide, wide, 3, padding=1), nn.ReLU(),
            nn.Conv2d(wide, wide, 3, padding=1), nn.PixelShuffle(unshuffle), nn.Conv2d(channels, channels, 1),
        )  # fmt: skip
        self.intra = FrequencyMixer(channels, size, window_size)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """`(B, channels, size, size)` to the same shape."""
        return features + self.inter(features) + self.intra(features)


class I3Net(nn.Module):
    """The slices between the two central ones of four, in one pass.

    Args:
        image_size: height and width of the images; the CrossView blocks and the spectrum are made for one size. A
            multiple of `window_size`, of `unshuffle` and of 8. 256 in the paper.
        channels: features at full resolution; 64 in the paper.
        num_groups: groups of blocks, an even number; views are taken before, halfway and after. 8 in the paper.
        blocks_per_group: I2Blocks of a group; 2 in the paper.
        unshuffle: see `I2Block`; 2 in the paper.
        window_size: side of the mixer's windows; 16 in the paper.
        num_outputs: slices made at equal distances in the central gap (the paper's factor less one); odd, 1 is the
            middle.
        residual: add the linear interpolation of the central gap; the untrained network is then that. The paper's
            (False) predicts the slices themselves.

    Attributes:
        num_neighbours: 4; there are no others.
        fixed_size: `image_size`, the only height and width it takes; larger slices go through it in tiles.
        divisor: 8, the grid on which those tiles may start.

    Raises:
        ValueError: sizes that do not divide, an odd `num_groups` or an even `num_outputs`.
    """

    num_neighbours = 4
    divisor = 8

    def __init__(
        self,
        image_size: int = 128,
        channels: int = 16,
        num_groups: int = 2,
        blocks_per_group: int = 1,
        unshuffle: int = 4,
        window_size: int = 16,
        num_outputs: int = 1,
        residual: bool = True,
    ) -> None:
        super().__init__()
        if any(image_size % part for part in (self.divisor, unshuffle, window_size)):
            raise ValueError(f"image_size is a multiple of 8, {unshuffle} and {window_size}, got {image_size}")
        if num_groups < 2 or num_groups % 2:
            raise ValueError(f"num_groups is even, because views are taken halfway; got {num_groups}")
        self.num_outputs, self.fixed_size = num_outputs, image_size
        self.residual, self.blend = residual, CentralBlend(num_outputs)

        def pair(before: int, between: int, after: int) -> nn.Sequential:
            first, second = nn.Conv2d(before, between, 3, padding=1), nn.Conv2d(between, after, 3, padding=1)
            return nn.Sequential(first, nn.ReLU(), second)

        self.head = pair(self.num_neighbours, channels, channels)
        half = num_groups // 2 * blocks_per_group
        self.halves = nn.ModuleList(
            nn.Sequential(*(I2Block(channels, image_size, unshuffle, window_size) for _ in range(half)))
            for _ in range(2)
        )
        self.views = nn.ModuleList(CrossView(channels, image_size) for _ in range(3))
        self.fuse = nn.Conv2d(3 * channels, channels, 1)
        self.tail = pair(channels, channels, num_outputs)
        if residual:
            zero_module(self.tail[-1])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Interpolate the central gap.

        Args:
            images: four known slices in order, `(B, 4, image_size, image_size)` in [0, 1].

        Returns:
            `(B, num_outputs, image_size, image_size)`, about [0, 1], not clamped.

        Raises:
            ValueError: another number of slices or another size.
        """
        expected = (self.num_neighbours, self.fixed_size, self.fixed_size)
        if images.shape[1:] != expected:
            raise ValueError(f"this I3Net takes (B, {', '.join(map(str, expected))}), got {tuple(images.shape)}")
        shallow = self.head(images)
        features = shallow + self.views[0](shallow)
        aligned = [features]
        for blocks, view in zip(self.halves, self.views[1:], strict=True):
            features = blocks(features)
            features = features + view(features)
            aligned.append(features)
        slices = self.tail(self.fuse(torch.cat(aligned, dim=1)) + shallow)
        return self.blend(images) + slices if self.residual else slices
