# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What encoder and decoder of CardioInterp are built from, and its encoder: 2D layers on windows of frames."""

from __future__ import annotations

import torch
from torch import nn

from custom.networks.temporal_shift import temporal_shift


def group_norm(channels: int) -> nn.GroupNorm:
    """Group norm with up to 32 groups of at least 4 channels."""
    return nn.GroupNorm(max(1, min(32, channels // 4)), channels, eps=1e-6)


def per_frame(module: nn.Module, frames: torch.Tensor) -> torch.Tensor:
    """Apply a 2D module to each frame of `(B, L, C, H, W)`."""
    return module(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])


class ResidualBlock(nn.Module):
    """Pre-activated residual block on frames `(B, L, C, H, W)`.

    Args:
        channels: input and output channels.
        temporal: how frames exchange features inside the residual branch: not at all, by temporal shift before the
            first convolution (the paper's choice; the identity path stays untouched), or by a convolution of
            kernel 3x1x1 over frames (the usual P-3D block, for comparison).
    """

    def __init__(self, channels: int, temporal: str = "none") -> None:
        super().__init__()
        self.temporal = temporal
        self.norm1, self.norm2 = group_norm(channels), group_norm(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        if temporal == "conv":
            self.frame_conv = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))
        self.activation = nn.SiLU()

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        branch = self.activation(per_frame(self.norm1, frames))
        if self.temporal == "shift":
            branch = temporal_shift(branch)
        branch = per_frame(self.conv1, branch)
        if self.temporal == "conv":
            branch = branch + self.frame_conv(branch.transpose(1, 2)).transpose(1, 2)
        return frames + per_frame(self.conv2, self.activation(per_frame(self.norm2, branch)))


class FrameEncoder(nn.Module):
    """Each frame on its own to a latent at 1/8 of its size, with the features of every scale on the way."""

    def __init__(self, in_channels: int, channels: int, latent_channels: int) -> None:
        super().__init__()
        widths = [channels * 2**depth for depth in range(4)]
        self.widths = widths
        self.stem = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.downs = nn.ModuleList(nn.Conv2d(w, 2 * w, 4, stride=2, padding=1) for w in widths[:-1])
        self.blocks = nn.ModuleList(ResidualBlock(w) for w in widths[1:])
        self.head = nn.Sequential(
            group_norm(widths[-1]), nn.SiLU(), nn.Conv2d(widths[-1], 2 * latent_channels, 3, padding=1)
        )

    def features(self, frames: torch.Tensor) -> list[torch.Tensor]:
        """Features of `(B, L, C, H, W)` at depths 0 to 3, each `(B, L, c, H / 2**depth, W / 2**depth)`."""
        levels = [per_frame(self.stem, frames)]
        for down, block in zip(self.downs, self.blocks, strict=True):
            levels.append(block(per_frame(down, levels[-1])))
        return levels

    def posterior(self, deepest: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of the latent, from the features at depth 3."""
        mean, log_variance = per_frame(self.head, deepest).chunk(2, dim=2)
        return mean, log_variance.clamp(-30, 20)
