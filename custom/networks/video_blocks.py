# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Layers of the masked video denoiser: attention over frames, which MONAI lacks, and what stands at each scale."""

from __future__ import annotations

import math

import torch
from monai.networks.blocks import SpatialAttentionBlock
from monai.networks.nets.diffusion_model_unet import DiffusionUNetResnetBlock, zero_module
from torch import nn


class FrameAttention(nn.Module):
    """Self-attention over the frames at each place, with relative positions in keys and values (LVDM).

    Relative positions are real numbers, embedded by sines and cosines, so that a window may have any length and frames
    at any distance.

    Args:
        channels: features.
        num_head_channels: channels of one head.
        norm_num_groups: groups of the group norm.
    """

    num_frequencies = 8

    def __init__(self, channels: int, num_head_channels: int, norm_num_groups: int) -> None:
        super().__init__()
        self.num_heads = channels // num_head_channels
        self.norm = nn.GroupNorm(norm_num_groups, channels, eps=1e-6)
        self.to_qkv = nn.Linear(channels, 3 * channels)
        self.relative_key = nn.Linear(2 * self.num_frequencies, num_head_channels, bias=False)
        self.relative_value = nn.Linear(2 * self.num_frequencies, num_head_channels, bias=False)
        self.project = zero_module(nn.Linear(channels, channels))

    def forward(self, frames: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Frames `(B, L, C, h, w)` at `positions` `(L,)`, in units of the frame step of training."""
        batch, length, channels, height, width = frames.shape
        tokens = self.norm(frames.flatten(0, 1)).unflatten(0, (batch, length))
        tokens = tokens.permute(0, 3, 4, 1, 2).reshape(-1, length, channels)
        query, key, value = self.to_qkv(tokens).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        offsets = self._embed(positions[None, :] - positions[:, None]).to(tokens.dtype)
        scores = query @ key.transpose(-1, -2) + torch.einsum("nhic,ijc->nhij", query, self.relative_key(offsets))
        weights = (scores / math.sqrt(query.shape[-1])).softmax(-1)
        mixed = weights @ value + torch.einsum("nhij,ijc->nhic", weights, self.relative_value(offsets))
        mixed = self.project(mixed.transpose(1, 2).flatten(2))
        return frames + mixed.view(batch, height, width, length, channels).permute(0, 3, 4, 1, 2)

    def _embed(self, offsets: torch.Tensor) -> torch.Tensor:
        # Wavelengths from 2 to about 40 frames: the shortest tells neighbours apart, the longest spans any window.
        frequencies = math.pi * torch.logspace(0, -1.3, self.num_frequencies, device=offsets.device)
        angles = offsets[..., None] * frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class VideoLevel(nn.Module):
    """Residual block, then attention in space and in time where the level has them."""

    def __init__(
        self, in_channels: int, channels: int, embedding: int, groups: int, head: int, spatial: bool, temporal: bool
    ) -> None:
        super().__init__()
        self.block = DiffusionUNetResnetBlock(2, in_channels, embedding, channels, norm_num_groups=groups)
        self.space = SpatialAttentionBlock(2, channels, head, groups, use_flash_attention=True) if spatial else None
        self.time = FrameAttention(channels, head, groups) if temporal else None

    def forward(self, frames: torch.Tensor, embedding: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        shape = frames.shape[:2]
        features = self.block(frames.flatten(0, 1), embedding)
        if self.space is not None:
            features = self.space(features)
        features = features.unflatten(0, shape)
        return features if self.time is None else self.time(features, positions)
