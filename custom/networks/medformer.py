# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""MedFormer in 2D: segmentation of short-axis slices (Gao et al., arXiv:2203.00131; methods.md 6.5).

Convolutions where resolution is high; below it, at 1/4, 1/8 and 1/16, blocks in which feature map and semantic map, of
3 x 3 tokens, attend to each other. The maps of the three scales are fused and handed to the decoder.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from custom.networks.medformer_blocks import (
    BasicBlock,
    BidirectionalBlock,
    MapFusion,
    PatchMerging,
    SemanticMap,
)
from custom.networks.padding import pad_slices

DIVISOR = 16
"""What height and width of a slice must be multiples of."""


class EncoderStage(nn.Module):
    """One scale down: patch merging, convolutions, then B-MHA blocks with a semantic map of their own.

    Args:
        in_channels: of the features that come in.
        channels: of those that leave.
        num_convolutions: :class:`BasicBlock`s.
        num_attentions: :class:`BidirectionalBlock`s; with 0 there is no semantic map.
        heads: of the attention.
        expansion: of its feed-forward part.
        map_size: edge of the semantic map, in tokens.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        num_convolutions: int,
        num_attentions: int,
        heads: int,
        expansion: int,
        map_size: int,
    ) -> None:
        super().__init__()
        self.merge = PatchMerging(in_channels, channels)
        self.convolutions = nn.Sequential(*(BasicBlock(channels) for _ in range(num_convolutions)))
        self.summarise = SemanticMap(channels, map_size) if num_attentions else None
        self.attentions = nn.ModuleList(BidirectionalBlock(channels, heads, expansion) for _ in range(num_attentions))

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """`(B, in_channels, H, W)` to features `(B, channels, H/2, W/2)` and semantic map `(B, channels, k, k)`."""
        features = self.convolutions(self.merge(features))
        if self.summarise is None:
            return features, None
        semantic_map = self.summarise(features)
        for block in self.attentions:
            features, semantic_map = block(features, semantic_map)
        return features, semantic_map


class DecoderStage(nn.Module):
    """One scale up: bilinear, joined with the encoder's features; semantic maps are joined alike.

    Args:
        in_channels: of the coarse features, and of their map.
        channels: of the encoder's features at the finer scale, of their map and of what leaves.
        num_convolutions: see :class:`EncoderStage`.
        num_attentions: see :class:`EncoderStage`; with 0 the stage takes and gives no map.
        heads: see :class:`EncoderStage`.
        expansion: see :class:`EncoderStage`.
    """

    def __init__(
        self, in_channels: int, channels: int, num_convolutions: int, num_attentions: int, heads: int, expansion: int
    ) -> None:
        super().__init__()
        joined = in_channels + channels
        self.reduce = nn.Sequential(nn.BatchNorm2d(joined), nn.Conv2d(joined, channels, 1, bias=False))
        self.reduce_map = nn.Conv2d(joined, channels, 1, bias=False) if num_attentions else None
        self.attentions = nn.ModuleList(BidirectionalBlock(channels, heads, expansion) for _ in range(num_attentions))
        self.convolutions = nn.Sequential(*(BasicBlock(channels) for _ in range(num_convolutions)))

    def forward(
        self,
        coarse: torch.Tensor,
        fine: torch.Tensor,
        coarse_map: torch.Tensor | None = None,
        fine_map: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Features `(B, channels, H, W)` and map `(B, channels, k, k)` of `fine` `(B, channels, H, W)` and `coarse`."""
        coarse = F.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=True)
        features, semantic_map = self.reduce(torch.cat([coarse, fine], dim=1)), None
        if self.reduce_map is not None:
            semantic_map = self.reduce_map(torch.cat([coarse_map, fine_map], dim=1))
            for block in self.attentions:
                features, semantic_map = block(features, semantic_map)
        return self.convolutions(features), semantic_map


class MedFormer(nn.Module):
    """Slices to class scores.

    The paper's size is `base_channels=32, channels=(64, 128, 256, 512), heads=(4, 8, 16), fusion_width=512,
    fusion_heads=16`: 19.2 million parameters.

    Args:
        in_channels: of a slice.
        num_classes: background included.
        base_channels: features at full resolution.
        channels: features at 1/2, 1/4, 1/8 and 1/16.
        num_convolutions: :class:`BasicBlock`s at 1/2, and in the decoder at 1/2 and at full resolution.
        num_attentions: :class:`BidirectionalBlock`s at 1/4, 1/8 and 1/16, in encoder and decoder alike.
        heads: of their attention.
        expansion: of their feed-forward parts.
        map_size: edge of a semantic map, in tokens.
        fusion_width: of the transformer that fuses the maps.
        fusion_heads: of its attention.
        fusion_depth: its blocks.

    Attributes:
        code_channels: of the bottleneck, the "morphology code" of DMCVR (methods.md 4.2).

    Raises:
        ValueError: numbers of channels and heads do not go together.
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 4,
        base_channels: int = 16,
        channels: Sequence[int] = (32, 64, 128, 192),
        num_convolutions: int = 2,
        num_attentions: int = 2,
        heads: Sequence[int] = (4, 4, 4),
        expansion: int = 2,
        map_size: int = 3,
        fusion_width: int = 128,
        fusion_heads: int = 4,
        fusion_depth: int = 2,
    ) -> None:
        super().__init__()
        if len(channels) != 4 or len(heads) != 3 or any(c % h for c, h in zip(channels[1:], heads, strict=True)):
            raise ValueError(
                f"channels are four numbers, the last three multiples of the three heads; got {channels} and {heads}."
            )
        self.num_classes, self.code_channels = num_classes, channels[-1]
        half, quarter, eighth, sixteenth = channels
        attention = {"num_attentions": num_attentions, "expansion": expansion}
        convolution = {"num_attentions": 0, "heads": 1, "expansion": 1}
        self.enter = nn.Sequential(
            nn.Conv2d(in_channels, base_channels, 3, padding=1, bias=False), BasicBlock(base_channels)
        )
        self.down = nn.ModuleList(
            [EncoderStage(base_channels, half, num_convolutions, map_size=map_size, **convolution)]
        )
        for k in range(3):
            stage = EncoderStage(channels[k], channels[k + 1], 0, heads=heads[k], map_size=map_size, **attention)
            self.down.append(stage)
        self.fuse_maps = MapFusion([quarter, eighth, sixteenth], fusion_width, fusion_heads, fusion_depth)
        self.up = nn.ModuleList(
            [
                DecoderStage(sixteenth, eighth, 0, heads=heads[1], **attention),
                DecoderStage(eighth, quarter, 0, heads=heads[0], **attention),
                DecoderStage(quarter, half, num_convolutions, **convolution),
                DecoderStage(half, base_channels, num_convolutions, **convolution),
            ]
        )
        self.leave = nn.Conv2d(base_channels, num_classes, 1)
        self.auxiliary = nn.Conv2d(quarter, num_classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Class scores before softmax.

        Args:
            images: `(B, in_channels, H, W)` in [0, 1], of any size: edges are continued to multiples of 16.

        Returns:
            `(B, num_classes, H, W)`; in training mode also those of the auxiliary head at 1/4, brought to this size.
        """
        images, window = pad_slices(images, (DIVISOR, DIVISOR))
        features, maps = self._encode(images)
        fused = self.fuse_maps(maps)
        out, semantic_map = self.up[0](features[4], features[3], fused[2], fused[1])
        out, _ = self.up[1](out, features[2], semantic_map, fused[0])
        # The coarse head only helps training: scores from it must not change what a trained network says.
        coarse = self.auxiliary(out) if self.training else None
        out, _ = self.up[2](out, features[1])
        out, _ = self.up[3](out, features[0])
        scores = self.leave(out)[..., *window]
        if coarse is None:
            return scores
        coarse = F.interpolate(coarse, size=images.shape[-2:], mode="bilinear", align_corners=True)
        return scores, coarse[..., *window]

    def encode_bottleneck(self, images: torch.Tensor) -> torch.Tensor:
        """Features of the coarsest scale: the morphology code of DMCVR.

        Args:
            images: `(B, in_channels, H, W)` in [0, 1], H and W multiples of 16.

        Returns:
            `(B, code_channels, H/16, W/16)`.

        Raises:
            ValueError: H or W is no multiple of 16.
        """
        return self._encode(images)[0][-1]

    def _encode(self, images: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Features at full resolution, 1/2, 1/4, 1/8, 1/16, and the semantic maps of the last three."""
        if images.ndim != 4 or images.shape[-2] % DIVISOR or images.shape[-1] % DIVISOR:
            raise ValueError(f"Images are (B, C, H, W) with H, W multiples of {DIVISOR}, got {tuple(images.shape)}.")
        features, maps = [self.enter(images)], []
        for stage in self.down:
            out, semantic_map = stage(features[-1])
            features.append(out)
            if semantic_map is not None:
                maps.append(semantic_map)
        return features, maps
