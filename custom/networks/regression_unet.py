# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The anchor of every table: a U-Net that predicts the unknown slices directly from their neighbours.

Studies of slice interpolation find it ahead of diffusion models in PSNR and SSIM (notes, section 7). The network is
MONAI's `BasicUNet`; ours is what it starts from, the average of the neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets import BasicUNet
from monai.networks.nets.diffusion_model_unet import zero_module
from torch import nn

from custom.networks.central_gap import CentralBlend


class RegressionUNet(nn.Module):
    """Known slices to the unknown ones between the central two, as a correction of their linear interpolation.

    Untrained it is linear interpolation: the last convolution starts at zero.

    Args:
        num_neighbours: known slices read, half of them on each side of the gap: 2 or 4.
        num_outputs: unknown slices, evenly spaced in the gap; 1 is the slice halfway.
        features: of the five scales, finest first, and of the last layers.
        norm_num_groups: groups of the group norms. MONAI's default, an instance norm, would take away how bright a
            slice is.
    """

    def __init__(
        self,
        num_neighbours: int = 2,
        num_outputs: int = 1,
        features: Sequence[int] = (16, 32, 64, 160, 352, 16),
        norm_num_groups: int = 8,
    ) -> None:
        super().__init__()
        self.num_neighbours, self.num_outputs, self.divisor = num_neighbours, num_outputs, 2 ** (len(features) - 2)
        self.unet = BasicUNet(
            spatial_dims=2,
            in_channels=num_neighbours,
            out_channels=num_outputs,
            features=features,
            act=("leakyrelu", {"inplace": True, "negative_slope": 0.1}),
            norm=("group", {"num_groups": norm_num_groups}),
        )
        zero_module(self.unet.final_conv)
        self.blend = CentralBlend(num_outputs)

    def forward(self, neighbours: torch.Tensor) -> torch.Tensor:
        """Slices `(B, num_neighbours, H, W)` in [0, 1] to `(B, num_outputs, H, W)`; H and W multiples of `divisor`."""
        return self.blend(neighbours) + self.unet(2 * neighbours - 1)
