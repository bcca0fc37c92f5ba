# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Where the tissue of a slice comes from: flows to both neighbours, what each of them shows of it, and the rest.

The scheme is that of RIFE (Huang et al. 2022): intermediate flows from the asked position to both known slices, a
fusion weight, a residual. Here the position is an input, both heads start at zero, so that an untrained network is
linear interpolation, and the network says how far off it expects to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from monai.networks.nets import BasicUNet
from torch import nn

from custom.networks.feature_flow import backward_warp

FLOW_SCALE = 8.0
"""Pixels per unit of the first U-Net's flow channels: its outputs stay near one."""
LEAST_LOG_SCALE, START_LOG_SCALE = -7.0, -3.0


class Motion(NamedTuple):
    """What a `MotionNetwork` says of the slice at the asked position.

    Attributes:
        image: the slice, `(B, 1, H, W)`, not clamped.
        blend: the same before the residual: nothing but what the neighbours show, displaced, `(B, 1, H, W)`.
        flows: from the asked position to the slice before and to the one after, in pixels, (x, y) each,
            `(B, 2, 2, H, W)`; reading a neighbour at a pixel plus its flow gives that pixel.
        sides: both neighbours read so, as they lie at the asked position, `(B, 2, H, W)`.
        weight: share of the slice before in `blend`, in (0, 1), `(B, 1, H, W)`.
        log_scale: log of the Laplace scale of the error that is to be expected of `image`, `(B, 1, H, W)`.
    """

    image: torch.Tensor
    blend: torch.Tensor
    flows: torch.Tensor
    sides: torch.Tensor
    weight: torch.Tensor
    log_scale: torch.Tensor


class MotionNetwork(nn.Module):
    """Two known slices and a position between them to the slice there.

    Args:
        motion_features: of the U-Net that finds flows and weight, on neighbours at half resolution
            (pixel-unshuffled), as MONAI's `BasicUNet` takes them.
        residual_features: of the U-Net that finds the residual and the expected error.
        norm_num_groups: groups of the group norms.
        num_neighbours: known slices that it looks at, half of them on each side of the position: 2, or 4, of which the
            outer two help to find the flows and the residual; only the inner two are displaced.
    """

    def __init__(
        self,
        motion_features: Sequence[int] = (48, 48, 64, 96, 128, 48),
        residual_features: Sequence[int] = (32, 32, 48, 64, 96, 32),
        norm_num_groups: int = 8,
        num_neighbours: int = 2,
    ) -> None:
        super().__init__()
        if num_neighbours not in (2, 4):
            raise ValueError(f"num_neighbours is 2 or 4, got {num_neighbours!r}.")
        norm = ("group", {"num_groups": norm_num_groups})
        self.motion = BasicUNet(
            2, 4 * num_neighbours + 1, 5, tuple(motion_features), norm=norm, upsample="nontrainable"
        )
        self.residual = BasicUNet(
            2, 4 * (num_neighbours + 7) + 1, 8, tuple(residual_features), norm=norm, upsample="nontrainable"
        )
        self.num_neighbours, self.divisor = num_neighbours, 32
        for head in (self.motion.final_conv, self.residual.final_conv):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        with torch.no_grad():
            self.residual.final_conv.bias[4:] = START_LOG_SCALE

    def forward(self, neighbours: torch.Tensor, positions: torch.Tensor) -> Motion:
        """Look from one side.

        Args:
            neighbours: the slices before and after, in order, in [0, 1], `(B, num_neighbours, H, W)`, sizes multiples
                of `divisor`.
            positions: where between the two in the middle, in (0, 1), `(B,)`.
        """
        unshuffled = F.pixel_unshuffle(neighbours, 2)
        plane = positions.to(neighbours).view(-1, 1, 1, 1).expand(-1, 1, *unshuffled.shape[-2:])
        # Places of pixels need single precision, also where the convolutions run in less (mixed precision).
        found = self.motion(torch.cat([unshuffled, plane], dim=1)).float()
        found = F.interpolate(found, scale_factor=2, mode="bilinear", align_corners=False)
        flows = FLOW_SCALE * found[:, :4].unflatten(1, (2, 2))
        share = positions.to(neighbours).view(-1, 1, 1, 1)
        weight = torch.sigmoid(found[:, 4:] + torch.log((1 - share) / share))
        sides = self._moved(neighbours, flows)
        blend = weight * sides[:, :1] + (1 - weight) * sides[:, 1:]

        known = torch.cat([neighbours, sides, flows.flatten(1, 2) / FLOW_SCALE, weight], dim=1)
        rest = self.residual(torch.cat([F.pixel_unshuffle(known, 2), plane], dim=1)).float()
        correction, log_scale = F.pixel_shuffle(rest, 2).split(1, dim=1)
        return Motion(blend + correction, blend, flows, sides, weight, log_scale.clamp(min=LEAST_LOG_SCALE))

    def both_ways(self, neighbours: torch.Tensor, positions: torch.Tensor) -> Motion:
        """The mean of looking from either side: the order of the slices then makes no difference.

        Args:
            neighbours: as in `forward`.
            positions: as in `forward`.
        """
        ahead = self(neighbours, positions)
        back = self(neighbours.flip(1), 1 - positions)
        back = back._replace(flows=back.flows.flip(1), weight=1 - back.weight)
        mean = Motion(*((one + other) / 2 for one, other in zip(ahead, back, strict=True)))
        return mean._replace(sides=self._moved(neighbours, mean.flows))

    def _moved(self, neighbours: torch.Tensor, flows: torch.Tensor) -> torch.Tensor:
        """The two in the middle of `neighbours`, read at each pixel plus its flow, `(B, 2, H, W)`."""
        left = self.num_neighbours // 2 - 1
        return torch.cat([backward_warp(neighbours[:, [left + side]], flows[:, side]) for side in (0, 1)], dim=1)
