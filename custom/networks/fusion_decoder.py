# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""CardioInterp's dual-path fusion decoder (paper section 2.2; A6 to A12 of the notes), and its form that moves first.

Scales are counted by depth: 0 is the image's own resolution, 3 is the latent's (1/8).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets.diffusion_model_unet import zero_module
from torch import nn

from custom.networks.feature_flow import flow_interpolation, linear_interpolation
from custom.networks.fusion_blocks import ResidualBlock, per_frame
from custom.networks.motion_view import IMAGE_CHANNELS, View, moved


class DualPathFusion(nn.Module):
    """Key-frame features, brought to every frame's position, enter one decoder scale through a zero-initialised 1x1.

    Args:
        channels: features of the scale.
        path: "flow" (deep scales, Eq. 8), "linear" (shallow scales, Eq. 9), "addition" (mean of both key frames, the
            "dual-path addition" row of the paper's Table 2) or "motion" (moved by the motion network, at every scale).
        search_radius: see `custom.networks.feature_flow.feature_flow`.
        median: the same.
        printed_weights: see `flow_interpolation`.
    """

    def __init__(self, channels: int, path: str, search_radius: int | None, median: int, printed_weights: bool) -> None:
        super().__init__()
        self.path, self.search_radius, self.median, self.printed_weights = path, search_radius, median, printed_weights
        self.project = zero_module(nn.Conv2d(channels, channels, 1))

    def forward(
        self, features: torch.Tensor, keys: torch.Tensor, positions: torch.Tensor, views: torch.Tensor | None = None
    ) -> torch.Tensor:
        first, last = keys[:, 0], keys[:, 1]
        if self.path == "motion":
            between = _moved_between(first, last, views)
        elif self.path == "flow":
            between = flow_interpolation(first, last, positions, self.search_radius, self.median, self.printed_weights)
        elif self.path == "linear":
            between = linear_interpolation(first, last, positions)
        else:
            between = ((first + last) / 2)[:, None].expand(-1, len(positions), -1, -1, -1)
        return features + per_frame(self.project, between)


def _moved_between(first: torch.Tensor, last: torch.Tensor, views: torch.Tensor) -> torch.Tensor:
    """Features of a whole window: the key frames' own, and between them as packed views `(B, L - 2, 9, H, W)` say."""
    inner = views.shape[1]
    repeated = (side.repeat_interleave(inner, dim=0) for side in (first, last))
    before, after, weight = moved(*repeated, View.of(views.flatten(0, 1)))
    between = (weight * before + (1 - weight) * after).unflatten(0, (-1, inner))
    return torch.cat([first[:, None], between, last[:, None]], dim=1)


def _upsampling(channels: int, kind: str) -> nn.Module:
    """Twice the size, half the channels."""
    if kind == "transposed":
        return nn.ConvTranspose2d(channels, channels // 2, 4, stride=2, padding=1)
    # A transposed convolution lays its kernel down every other pixel: a checkerboard shows (Odena et al. 2016).
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(channels, channels // 2, 3, padding=1))


class FusionDecoder(nn.Module):
    """Latents of a window of frames back to images, with the key frames' features at every scale."""

    def __init__(
        self,
        out_channels: int,
        channels: int,
        latent_channels: int,
        num_res_blocks: int,
        temporal: str,
        fusion: str,
        flow_depths: Sequence[int],
        search_radius: int | None,
        median: int,
        printed_weights: bool,
        upsampling: str,
    ) -> None:
        super().__init__()
        widths = [channels * 2**depth for depth in range(4)]
        self.stem = nn.Conv2d(latent_channels, widths[3], 3, padding=1)
        self.stem_block = ResidualBlock(widths[3], temporal)
        self.ups = nn.ModuleList(_upsampling(width, upsampling) for width in widths[:0:-1])
        self.blocks = nn.ModuleList(
            nn.Sequential(*[ResidualBlock(w, temporal) for _ in range(num_res_blocks)]) for w in widths[2::-1]
        )
        self.fusions = nn.ModuleList()  # depth 3 (deepest) first; empty without fusion
        if fusion != "none":
            for depth in (3, 2, 1, 0):
                path = "flow" if depth in flow_depths else "linear"
                path = path if fusion == "flow" else fusion
                self.fusions.append(DualPathFusion(widths[depth], path, search_radius, median, printed_weights))
        self.head = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.image = None
        if fusion == "motion":  # the head corrects a guess: untrained, that guess is what comes out
            self.head = zero_module(self.head)
            self.image = zero_module(nn.Conv2d(IMAGE_CHANNELS, channels, 3, padding=1))

    def forward(
        self,
        latents: torch.Tensor,
        key_features: list[torch.Tensor],
        positions: torch.Tensor,
        views: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """A window `(B, L, C, H, W)`; with `views` `(B, L - 2, 9, H, W)` of a motion network the frames between."""
        features = self.stem_block(per_frame(self.stem, latents))
        features = self._fuse(0, features, key_features, positions, views)
        for level, (up, block) in enumerate(zip(self.ups, self.blocks, strict=True), start=1):
            features = per_frame(up, features)
            if self.image is not None and level == len(self.ups):
                shown = per_frame(self.image, 2 * views[:, :, :IMAGE_CHANNELS] - 1)
                features = features + nn.functional.pad(shown, (0, 0, 0, 0, 0, 0, 1, 1))
            features = block(features)
            features = self._fuse(level, features, key_features, positions, views)
        if self.image is None:
            return per_frame(self.head, features)
        return 2 * views[:, :, :1] - 1 + per_frame(self.head, features[:, 1:-1])

    def _fuse(
        self,
        level: int,
        features: torch.Tensor,
        keys: list[torch.Tensor],
        positions: torch.Tensor,
        views: torch.Tensor | None,
    ) -> torch.Tensor:
        return self.fusions[level](features, keys[3 - level], positions, views) if len(self.fusions) else features
