# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""DiffAE's semantic encoder, and encoder and denoiser as the one network that is trained (Preechakul et al., 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from custom.networks.parts import build_part
from custom.networks.semantic_unet import SemanticResBlock, SemanticUNet, attention_block


class SemanticEncoder(nn.Module):
    """A slice to one code: the downward half of the U-Net, told nothing, then the mean over all places.

    Args:
        channels: features of each scale, each half the size of the one before.
        num_res_blocks: residual blocks per scale.
        attention: for each scale, whether places attend to each other.
        code_channels: length of the code (z_sem).
        norm_num_groups: groups of the group norms.
        patch_size: see `SemanticUNet`.
        dropout: in each residual block.

    Attributes:
        divisor: what height and width of a slice must be multiples of.
    """

    def __init__(
        self,
        channels: Sequence[int] = (16, 24, 48, 64, 96),
        num_res_blocks: int = 1,
        attention: Sequence[bool] = (False, False, True, False, False),
        code_channels: int = 128,
        norm_num_groups: int = 8,
        patch_size: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.divisor = patch_size * 2 ** (len(channels) - 1)
        width = channels[0]
        layers: list[nn.Module] = [nn.PixelUnshuffle(patch_size), nn.Conv2d(patch_size**2, width, 3, padding=1)]

        def block(after: int, resample: str = "none") -> SemanticResBlock:
            return SemanticResBlock(width, after, norm_num_groups, resample=resample, dropout=dropout)

        for level, (features, attend) in enumerate(zip(channels, attention, strict=True)):
            if level:
                layers.append(block(width, "down"))
            for _ in range(num_res_blocks):
                layers += [block(features), attention_block(features, norm_num_groups, attend)]
                width = features
        layers += [block(width), attention_block(width, norm_num_groups, True), block(width)]
        layers += [nn.GroupNorm(norm_num_groups, width), nn.SiLU(), nn.AdaptiveAvgPool2d(1)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, code_channels, 1), nn.Flatten())

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Codes `(B, code_channels)` of slices `(B, 1, H, W)` in [-1, 1], sizes multiples of `divisor`."""
        return self.layers(slices)


class SemanticDenoiser(nn.Module):
    """Encoder and U-Net: what the training fits, by the noise in a slice whose own code the U-Net is given.

    Args:
        encoder: slice to code; a module, or what differs from the defaults of `SemanticEncoder`.
        unet: the conditional denoiser; a module, or what differs from the defaults of `SemanticUNet`.
        unet_defaults: of the U-Net, where they differ from its own; `unet` goes before.
    """

    def __init__(
        self,
        encoder: SemanticEncoder | Mapping[str, Any] | None = None,
        unet: SemanticUNet | Mapping[str, Any] | None = None,
        **unet_defaults: Any,
    ) -> None:
        super().__init__()
        self.encoder = build_part(encoder, SemanticEncoder)
        self.unet = build_part(unet, SemanticUNet, **unet_defaults)

    @property
    def divisor(self) -> int:
        """What height and width must be multiples of; both parts take powers of two."""
        return max(self.encoder.divisor, self.unet.divisor)

    def forward(
        self,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
        slices: torch.Tensor,
        morphology: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Noise in `noisy` `(B, 1, H, W)`, made of `slices` `(B, 1, H, W)` in [-1, 1]; for the rest `SemanticUNet`."""
        return self.unet(noisy, timesteps, self.encoder(slices), morphology)
