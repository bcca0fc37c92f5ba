# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Blocks of MedFormer: convolutions, and attention both ways between a feature map and a small semantic map.

Gao et al., "A Data-scalable Transformer for Medical Image Segmentation: Architecture, Model Efficiency, and Benchmark"
(arXiv:2203.00131); dimensions follow the authors' public repository (yhygao/CBIM-Medical-Image-Segmentation).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from monai.networks.blocks import ChannelSELayer, TransformerBlock
from torch import nn


def activated_convolution(in_channels: int, out_channels: int, kernel_size: int = 3, groups: int = 1) -> nn.Sequential:
    """Batch norm, ReLU, convolution without bias, sizes kept: every block here is pre-activated."""
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, groups=groups, bias=False),
    )


def separable_convolution(in_channels: int, out_channels: int) -> nn.Sequential:
    """3 x 3 convolution of each channel, then 1 x 1 across channels."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
    )


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut; `(B, channels, H, W)` to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(activated_convolution(channels, channels), activated_convolution(channels, channels))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.body(features)


class MBConv(nn.Module):
    """Inverted bottleneck with squeeze-and-excitation and a shortcut; `(B, channels, H, W)` to the same."""

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        inner = expansion * channels
        self.body = nn.Sequential(
            activated_convolution(channels, inner, 1),
            activated_convolution(inner, inner, 3, groups=inner),
            ChannelSELayer(2, inner, r=4),
            nn.BatchNorm2d(inner),
            nn.Conv2d(inner, channels, 1, bias=False),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.body(features)


class PatchMerging(nn.Module):
    """Four neighbouring pixels to one of `out_channels` features: `(B, c, H, W)` to `(B, out_channels, H/2, W/2)`."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(4 * in_channels)
        self.reduction = separable_convolution(4 * in_channels, out_channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.reduction(self.norm(F.pixel_unshuffle(features, 2)))


class SemanticMap(nn.Module):
    """Sums up a feature map in `size` x `size` tokens: each is a mean over all pixels with weights of its own.

    Args:
        channels: of the features and of the tokens.
        size: edge of the map, in tokens.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.values = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.weights = nn.Conv2d(channels, size * size, 3, padding=1, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """`(B, c, H, W)` to the map `(B, c, size, size)`."""
        weights = self.weights(features).flatten(2).softmax(dim=2)
        tokens = torch.einsum("bcp,bkp->bck", self.values(features).flatten(2), weights)
        return tokens.unflatten(2, (self.size, self.size))


class BidirectionalAttention(nn.Module):
    """B-MHA: features attend to the tokens of a semantic map, and these to the features, by one shared matrix.

    The similarity of pixel p and token k is computed once. Softmax over the tokens updates pixels, softmax over the
    pixels updates tokens; the cost is linear in the number of pixels.

    Args:
        channels: of features and map; a multiple of `heads`.
        heads: of the attention.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (channels // heads) ** -0.5
        self.feature_qv = separable_convolution(channels, 2 * channels)
        self.map_qv = nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.feature_out = separable_convolution(channels, channels)
        self.map_out = nn.Conv2d(channels, channels, 1, bias=False)

    def similarity(self, feature_query: torch.Tensor, map_query: torch.Tensor) -> torch.Tensor:
        """Pixels against tokens, `(B, heads, H * W, tokens)`, from queries `(B, heads, n, d)`."""
        return feature_query @ map_query.transpose(-1, -2) * self.scale

    def forward(self, features: torch.Tensor, semantic_map: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Updates of features `(B, c, H, W)` and map `(B, c, k, k)`, of the same shapes."""
        feature_query, feature_value = self._split(self.feature_qv(features))
        map_query, map_value = self._split(self.map_qv(semantic_map))
        shared = self.similarity(feature_query, map_query)
        to_features = shared.softmax(dim=-1) @ map_value
        to_map = shared.softmax(dim=-2).transpose(-1, -2) @ feature_value
        return (
            self.feature_out(self._join(to_features, features.shape[-1])),
            self.map_out(self._join(to_map, semantic_map.shape[-1])),
        )

    def _split(self, query_and_value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        halves = query_and_value.chunk(2, dim=1)
        return tuple(rearrange(half, "b (n d) h w -> b n (h w) d", n=self.heads) for half in halves)

    @staticmethod
    def _join(values: torch.Tensor, width: int) -> torch.Tensor:
        return rearrange(values, "b n (h w) d -> b (n d) h w", w=width)


class BidirectionalBlock(nn.Module):
    """B-MHA and an :class:`MBConv` as its feed-forward part, with shortcuts for features and map."""

    def __init__(self, channels: int, heads: int, expansion: int) -> None:
        super().__init__()
        self.feature_norm, self.map_norm = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.attention = BidirectionalAttention(channels, heads)
        self.feed_forward = MBConv(channels, expansion)

    def forward(self, features: torch.Tensor, semantic_map: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        to_features, to_map = self.attention(self.feature_norm(features), self.map_norm(semantic_map))
        return self.feed_forward(features + to_features), semantic_map + to_map


class MapFusion(nn.Module):
    """The semantic maps of several scales exchange what they know through one small transformer.

    Args:
        channels: of each map.
        width: of the transformer, a multiple of `heads`.
        heads: of its attention.
        depth: number of its blocks.
    """

    def __init__(self, channels: list[int], width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.enter = nn.ModuleList(nn.Linear(c, width, bias=False) for c in channels)
        self.blocks = nn.Sequential(*(TransformerBlock(width, width, heads) for _ in range(depth)))
        self.leave = nn.ModuleList(nn.Linear(width, c, bias=False) for c in channels)

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Maps `(B, c_i, k, k)` to maps of the same shapes."""
        edge = maps[0].shape[-1]
        tokens = [enter(rearrange(m, "b c h w -> b (h w) c")) for enter, m in zip(self.enter, maps, strict=True)]
        fused = self.blocks(torch.cat(tokens, dim=1)).chunk(len(maps), dim=1)
        return [
            rearrange(leave(part), "b (h w) c -> b c h w", w=edge)
            for leave, part in zip(self.leave, fused, strict=True)
        ]
