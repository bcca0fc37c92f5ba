# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What the networks of one forward pass share: linear interpolation of the central gap, as where they start."""

from __future__ import annotations

import torch
from torch import nn


class CentralBlend(nn.Module):
    """Linear interpolation between the two central ones of the known slices.

    Args:
        num_outputs: slices at equal distances in the central gap; odd, so that the middle is among them.

    Raises:
        ValueError: an even `num_outputs`.
    """

    def __init__(self, num_outputs: int = 1) -> None:
        super().__init__()
        if num_outputs < 1 or num_outputs % 2 == 0:
            raise ValueError(f"num_outputs is odd, so that the middle is among them; got {num_outputs}")
        shares = torch.arange(1, num_outputs + 1) / (num_outputs + 1)
        self.register_buffer("shares", shares.view(1, -1, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Known slices in order `(B, K, H, W)`, K even, to `(B, num_outputs, H, W)`."""
        left = images.shape[1] // 2 - 1
        return torch.lerp(images[:, left, None], images[:, left + 1, None], self.shares)
