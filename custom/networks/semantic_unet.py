# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""DiffAE's denoiser (Preechakul et al., CVPR 2022): a pixel-space U-Net that is told the timestep and a slice's code.

Each residual block knows both, each by a path of its own: after its second norm the features are scaled and shifted by
the timestep, then scaled, not shifted, by the code (the paper's AdaGN, and its code). DMCVR (He et al., MICCAI 2023)
adds a second code, a map, at one block of the encoder.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.blocks import SpatialAttentionBlock
from monai.networks.nets.diffusion_model_unet import get_timestep_embedding, zero_module
from torch import nn
from torch.nn import functional as F


class SemanticResBlock(nn.Module):
    """A residual block, told the timestep and the slice's code, one of them, or neither.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        norm_num_groups: groups of the group norms.
        embed_channels: length of the timestep's embedding; 0 for a block that is not told.
        code_channels: length of the slice's code; 0 for a block that is not told.
        resample: "down" averages 2x2 pixels, "up" repeats them, in both branches; "none" keeps the size.
        dropout: before the last convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm_num_groups: int,
        embed_channels: int = 0,
        code_channels: int = 0,
        resample: str = "none",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.resample = {
            "none": nn.Identity(), "down": nn.AvgPool2d(2), "up": nn.Upsample(scale_factor=2, mode="nearest"),
        }[resample]  # fmt: skip
        self.norm_in = nn.GroupNorm(norm_num_groups, in_channels)
        self.conv_in = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm_out = nn.GroupNorm(norm_num_groups, out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv_out = zero_module(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        self.identity = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()
        self.of_time = nn.Linear(embed_channels, 2 * out_channels) if embed_channels else None
        self.of_code = nn.Linear(code_channels, out_channels) if code_channels else None

    def forward(
        self, features: torch.Tensor, embedding: torch.Tensor | None = None, code: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Features `(B, in_channels, H, W)`, embedding `(B, embed_channels)`, code `(B, code_channels)`."""
        inner = self.conv_in(self.resample(F.silu(self.norm_in(features))))
        inner = self.norm_out(inner)
        if self.of_time is not None:
            scale, shift = self.of_time(F.silu(embedding))[..., None, None].chunk(2, dim=1)
            inner = inner * (1 + scale) + shift
        if self.of_code is not None:
            inner = inner * (1 + self.of_code(F.silu(code))[..., None, None])
        return self.identity(self.resample(features)) + self.conv_out(self.dropout(F.silu(inner)))


def attention_block(channels: int, norm_num_groups: int, wanted: bool) -> nn.Module:
    """One head over all places of a map, or nothing."""
    if not wanted:
        return nn.Identity()
    return SpatialAttentionBlock(2, channels, norm_num_groups=norm_num_groups, use_flash_attention=True)


class _Step(nn.Module):
    """A residual block and, where asked for, attention."""

    def __init__(self, block: SemanticResBlock, attention: nn.Module) -> None:
        super().__init__()
        self.block, self.attention = block, attention

    def forward(self, features: torch.Tensor, embedding: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        return self.attention(self.block(features, embedding, code))


class SemanticUNet(nn.Module):
    """Predicts the noise in a noisy slice.

    Args:
        channels: features of each scale, each half the size of the one before.
        num_res_blocks: residual blocks per scale of the encoder; the decoder has one more.
        attention: for each scale, whether places attend to each other.
        embed_channels: length of the timestep's embedding.
        code_channels: length of the slice's code.
        norm_num_groups: groups of the group norms.
        patch_size: pixels of a slice, each way, that are one place of the first scale: 1 is the papers' network, 2
            spares the convolutions at full size, which cost most.
        dropout: in each residual block.
        morphology_channels: of DMCVR's map; 0 for DiffAE, which has none.
        morphology_level: the scale of the encoder whose first block reads the map.

    Attributes:
        divisor: what height and width of a slice must be multiples of.
        morphology_factor: size of a slice over that of the map.

    Raises:
        ValueError: `channels` and `attention` differ in length, or there is no such `morphology_level`.
    """

    def __init__(
        self,
        channels: Sequence[int] = (16, 32, 64, 96, 128),
        num_res_blocks: int = 1,
        attention: Sequence[bool] = (False, False, True, False, False),
        embed_channels: int = 128,
        code_channels: int = 128,
        norm_num_groups: int = 8,
        patch_size: int = 2,
        dropout: float = 0.0,
        morphology_channels: int = 0,
        morphology_level: int = 3,
    ) -> None:
        super().__init__()
        if len(attention) != len(channels):
            raise ValueError(f"channels and attention are one per scale, got {len(channels)} and {len(attention)}.")
        if morphology_channels and not 0 < morphology_level < len(channels):
            raise ValueError(f"morphology_level is from 1 to {len(channels) - 1}, got {morphology_level}.")
        self.patch_size, self.embed_channels = patch_size, embed_channels
        self.divisor = patch_size * 2 ** (len(channels) - 1)
        self.morphology_level = morphology_level if morphology_channels else None
        self.morphology_factor = patch_size * 2**morphology_level

        def step(before: int, after: int, attend: bool = False, resample: str = "none") -> _Step:
            block = SemanticResBlock(
                before, after, norm_num_groups, embed_channels, code_channels, resample, dropout
            )  # fmt: skip
            return _Step(block, attention_block(after, norm_num_groups, attend))

        self.embed = nn.Sequential(
            nn.Linear(embed_channels, embed_channels), nn.SiLU(), nn.Linear(embed_channels, embed_channels)
        )
        self.stem = nn.Conv2d(patch_size**2, channels[0], 3, padding=1)
        self.morphology_stem = None
        if morphology_channels:
            self.morphology_stem = nn.Conv2d(morphology_channels, channels[morphology_level], 3, padding=1)
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        width, skips = channels[0], [channels[0]]
        for level, (features, attend) in enumerate(zip(channels, attention, strict=True)):
            steps = nn.ModuleList([step(width, width, resample="down")] if level else [])
            skips += [width] * len(steps)
            for k in range(num_res_blocks):
                extra = features if morphology_channels and level == morphology_level and k == 0 else 0
                steps.append(step(width + extra, features, attend))
                width = features
                skips.append(width)
            self.encoder.append(steps)
        self.middle = nn.ModuleList([step(width, width, attend=True), step(width, width)])
        for level in reversed(range(len(channels))):
            steps = nn.ModuleList()
            for _ in range(num_res_blocks + 1):
                steps.append(step(width + skips.pop(), channels[level], attention[level]))
                width = channels[level]
            if level:
                # Fewer channels before the larger size, not after it: the same network at less cost.
                steps.append(step(width, channels[level - 1], resample="up"))
                width = channels[level - 1]
            self.decoder.append(steps)
        self.norm = nn.GroupNorm(norm_num_groups, width)
        self.end = zero_module(nn.Conv2d(width, patch_size**2, 3, padding=1))

    def forward(
        self,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
        code: torch.Tensor,
        morphology: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Noise in `noisy`.

        Args:
            noisy: slices of about [-1, 1] with noise, `(B, 1, H, W)`, sizes multiples of `divisor`.
            timesteps: `(B,)`, from 0.
            code: of each slice, `(B, code_channels)`.
            morphology: `(B, morphology_channels, H / morphology_factor, W / morphology_factor)` where the network has
                such a block.
        """
        embedding = self.embed(get_timestep_embedding(timesteps, self.embed_channels).to(noisy))
        features = self.stem(F.pixel_unshuffle(noisy, self.patch_size))
        kept = [features]
        for level, steps in enumerate(self.encoder):
            for place, step in enumerate(steps):
                if level == self.morphology_level and place == 1:  # behind the step down
                    features = torch.cat([features, self.morphology_stem(morphology)], dim=1)
                features = step(features, embedding, code)
                kept.append(features)
        for step in self.middle:
            features = step(features, embedding, code)
        for steps in self.decoder:
            for step in steps:
                if not isinstance(step.block.resample, nn.Upsample):
                    features = torch.cat([features, kept.pop()], dim=1)
                features = step(features, embedding, code)
        return F.pixel_shuffle(self.end(F.silu(self.norm(features))), self.patch_size)
