# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The other side of an adversarial training: a discriminator with its own optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.networks.nets import PatchDiscriminator

from custom.data.sizes import whole_number
from custom.training.processes import shared
from custom.weights import unwrapped


class Adversary:
    """A PatchGAN discriminator of gray images and its optimizer, saved and restored together.

    Args:
        device: to train on.
        channels: of the discriminator's first layer; each of the two after it has twice as many as the one before.
        lr: learning rate of Adam.
        betas: of Adam.

    Raises:
        InputError: no channels.

    Attributes:
        network: the discriminator of `(N, 1, H, W)`, shared by the processes where there are several.
        optimizer: of its parameters.
    """

    def __init__(
        self, device: torch.device | str, channels: int = 16, lr: float = 1e-4, betas: Sequence[float] = (0.9, 0.999)
    ) -> None:
        whole_number("--discriminator_channels", channels)
        network = PatchDiscriminator(2, channels, in_channels=1, out_channels=1, num_layers_d=3, norm="INSTANCE")
        self.network = shared(network.to(device), device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr, betas=tuple(betas))

    def state_dict(self) -> dict[str, Any]:
        """For `StageCheckpoint`."""
        return {"network": unwrapped(self.network).state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What :meth:`state_dict` gave."""
        unwrapped(self.network).load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
