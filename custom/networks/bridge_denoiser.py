# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The network of the latent bridge: estimates the latent between two from a place on the way to it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets import DiffusionModelUNet

from custom.networks.latent_prior import LatentPrior

#: What the network's sinusoidal embedding of time is made for: timesteps up to a thousand.
TIME_SCALE = 1000.0


class BridgeDenoiser(LatentPrior):
    """End of a bridge, the latent of the slice halfway, from a place on the bridge and the neighbours' latents.

    The network is MONAI's `DiffusionModelUNet`. It sees and returns latents as departures from a guess (the neighbours'
    mean, or what motion tells), in units of how far from there the end is expected (`LatentPrior`): numbers about one
    at every distance of the neighbours. Untrained it answers with that guess.

    Args:
        spatial_dims: 2 for slices, 3 for cine slices.
        latent_channels: channels of a latent.
        channels: features of each scale.
        num_res_blocks: residual blocks per scale.
        attention: for each scale, whether places attend to each other.
        num_head_channels: channels of one attention head.
        norm_num_groups: groups of the group norms.
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        latent_channels: int = 3,
        channels: Sequence[int] = (48, 96, 128),
        num_res_blocks: int = 1,
        attention: Sequence[bool] = (False, True, True),
        num_head_channels: int = 32,
        norm_num_groups: int = 16,
    ) -> None:
        super().__init__()
        self.divisor = 2 ** (len(channels) - 1)
        self.unet = DiffusionModelUNet(
            spatial_dims=spatial_dims,
            in_channels=3 * latent_channels + 1,
            out_channels=latent_channels,
            channels=channels,
            num_res_blocks=(num_res_blocks,) * len(channels),
            attention_levels=attention,
            num_head_channels=num_head_channels,
            norm_num_groups=norm_num_groups,
            use_flash_attention=True,
        )

    def forward(
        self,
        x: torch.Tensor,
        times: torch.Tensor,
        neighbour_latents: torch.Tensor,
        guess: torch.Tensor,
        variance: torch.Tensor,
    ) -> torch.Tensor:
        """Estimated end of the bridge.

        Args:
            x: places on the bridge, `(B, c, *latent)`, sizes multiples of `divisor`.
            times: `(B,)`, in [0, 1).
            neighbour_latents: normalised latents of the slices on both sides, `(B, 2, c, *latent)`.
            guess: where the end is expected, as `x`.
            variance: expected squared distance from there, `(B, 1, *latent)`.

        Returns:
            As `x`.
        """
        deviation = variance.sqrt()
        departures = [(latent - guess) / deviation for latent in (x, *neighbour_latents.unbind(1))]
        return guess + deviation * self.unet(torch.cat([*departures, deviation.log()], dim=1), TIME_SCALE * times)
