# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A decoder that carries the neighbours' texture past the bottleneck (CardioInterp section 2.2, brought to CaLID).

At each scale the encoder's features of both neighbours, moved by the motion network, enter the decoder; at the image's
own the guess does as well. The last convolution, which starts at zero, corrects that guess, so that the decoder knows
from the first iteration on what motion knows.
"""

from __future__ import annotations

import torch
from monai.networks.blocks import UpSample
from monai.networks.nets import AutoencoderKL
from monai.networks.nets.autoencoderkl import AEKLDownsample
from monai.networks.nets.diffusion_model_unet import zero_module
from torch import nn

from custom.networks.motion_view import IMAGE_CHANNELS, View, moved


class SliceFusion(nn.Module):
    """How the neighbours' features enter each scale of an `AutoencoderKL`'s decoder; the autoencoder is the caller's.

    Args:
        spatial_dims: 2 or 3.
        channels: features of each scale of the autoencoder, the image's first.
    """

    def __init__(self, spatial_dims: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        conv = nn.Conv2d if spatial_dims == 2 else nn.Conv3d
        entries = [channels[-1], *channels[:0:-1]]  # of the decoder's scales as they begin, the deepest first
        self.projections = nn.ModuleList(
            zero_module(conv(2 * features, entry, 1))
            for features, entry in zip(reversed(channels), entries, strict=True)
        )
        kernel = (3, 3) if spatial_dims == 2 else (1, 3, 3)
        self.image = zero_module(conv(IMAGE_CHANNELS, entries[-1], kernel, padding=tuple(k // 2 for k in kernel)))

    def decode(
        self, vae: AutoencoderKL, latents: torch.Tensor, features: list[torch.Tensor], view: View
    ) -> torch.Tensor:
        """Slices `(N, 1, *space)` in about [-1, 1].

        Args:
            vae: the autoencoder.
            latents: `(N, c, *latent)`.
            features: of both neighbours at each scale, the image's first, `(N, 2, c, *cells)`.
            view: of the asked positions.
        """
        x = vae.post_quant_conv(latents)
        level = 0
        for number, block in enumerate(vae.decoder.blocks):
            x = block(x)
            if number == 0 or isinstance(block, UpSample):
                first, last, weight = moved(*features[-1 - level].unbind(1), view)
                x = x + self.projections[level](torch.cat([weight * first, (1 - weight) * last], dim=1))
                level += 1
                if level == len(features):
                    x = x + self.image(2 * view.packed()[:, :IMAGE_CHANNELS] - 1)
        return 2 * view.image - 1 + x


def encoder_features(vae: AutoencoderKL, slices: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Features of each scale, the image's first, and what `AutoencoderKL` makes its posterior of.

    Args:
        vae: an autoencoder without attention.
        slices: `(N, 1, *space)` in [-1, 1].
    """
    levels, x = [], slices
    for block in vae.encoder.blocks:
        if isinstance(block, (AEKLDownsample, nn.GroupNorm)):
            levels.append(x)
        x = block(x)
    return levels, x
