# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""TSCNet's second stage: a slice must come back out of the two slices interpolated on either side of it.

Of three neighbouring acquired slices, G(s0, s1) and G(s1, s2) lie half a step before and after s1, so G of the two is a
guess at s1 itself (arXiv:2106.15395; notes 6.2): no slice between acquired ones is needed. A discriminator tells the
guess from s1. For MONAI's `SupervisedTrainer`; its `AdversarialTrainer` leaves the loss out of its output on the CPU
and cannot clip gradients or share a handler with the other stages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.engines.utils import IterationEvents
from monai.inferers import Inferer
from monai.utils.enums import CommonKeys as Keys
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from custom.errors import InputError
from custom.training.adversary import Adversary
from custom.training.losses import check_weights
from custom.training.task import Task
from custom.weights import unwrapped


class CycleTask(Task):
    """Makes triplets `(B, 3, 1, H, W)` inputs `(B, 3, H, W)`, with their middle slices `(B, 1, H, W)` as labels."""

    def check(self, length: int) -> None:
        """See `Task.check`."""
        if length != 3:
            raise InputError("--window", f"is {length}", "give 3: this stage learns from triplets")

    def make(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """See `Task.make`; no keywords."""
        slices = batch["image"].squeeze(2)
        return slices, slices[:, 1:2], {}


class CycleInferer(Inferer):
    """Asks a network for the slice between two, three times over: around the middle slice, and then for it.

    Args:
        direct: also ask for the middle slice of the outer two, which is the truth of a step twice as long.
    """

    def __init__(self, direct: bool = False) -> None:
        self.direct = direct

    def __call__(self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any):
        """Middle slices of triplets.

        Args:
            inputs: slices at equal distances, `(B, 3, H, W)` in [0, 1].
            network: two slices `(B, 2, H, W)` to the slice between them, `(B, 1, H, W)`.
            args: for the network.
            kwargs: for the network.

        Returns:
            G(G(s0, s1), G(s1, s2)), `(B, 1, H, W)`; with `direct` `(B, 2, H, W)`, G(s0, s2) being the second.
        """
        # Both pairs in one pass.
        around = network(torch.cat([inputs[:, :2], inputs[:, 1:]]), *args, **kwargs)
        middle = network(torch.cat(around.chunk(2), dim=1), *args, **kwargs)
        return torch.cat([middle, network(inputs[:, ::2], *args, **kwargs)], dim=1) if self.direct else middle


class CycleLoss(nn.Module):
    """Mean squared error of what came back, plus what a discriminator thinks of it.

    Args:
        discriminator: of slices `(B, 1, H, W)`; its output, or the last of a list of outputs, is the map of scores
            (`monai.networks.nets.PatchDiscriminator`).
        adversarial_weight: of the binary cross-entropy (paper: 0.1).
        direct_weight: of the squared error of G(s0, s2). The unofficial code drops this term; it is 0 by default, so
            that no slice between two given ones is ever a target.

    Attributes:
        terms: of the last call, by name, without graphs.

    Raises:
        InputError: a weight below 0.
    """

    def __init__(self, discriminator: nn.Module, adversarial_weight: float = 0.1, direct_weight: float = 0.0) -> None:
        super().__init__()
        check_weights(adversarial=adversarial_weight, direct=direct_weight)
        self.discriminator = unwrapped(discriminator)
        self.adversarial_weight, self.direct_weight = adversarial_weight, direct_weight
        self.terms: dict[str, torch.Tensor] = {}

    def forward(self, prediction: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Scalar, computed in float32.

        Args:
            prediction: `(B, 1, H, W)`, or `(B, 2, H, W)` as :class:`CycleInferer` gives it with `direct`.
            label: `(B, 1, H, W)` in [0, 1].

        Raises:
            ValueError: a direct term is asked for and the prediction has none.
        """
        if self.direct_weight and prediction.shape[1] < 2:
            raise ValueError("direct_weight needs an inferer with direct=True.")
        prediction, label = prediction.float(), label.float()
        self.terms = {"cycle": mse_loss(prediction[:, :1], label)}
        loss = self.terms["cycle"]
        if self.adversarial_weight:
            self.discriminator.requires_grad_(False)
            self.terms["adversarial"] = _cross_entropy(self.discriminator, prediction[:, :1], real=True)
            loss = loss + self.adversarial_weight * self.terms["adversarial"]
        if self.direct_weight:
            self.terms["direct"] = mse_loss(prediction[:, 1:], label)
            loss = loss + self.direct_weight * self.terms["direct"]
        self.terms = {name: term.detach() for name, term in self.terms.items()}
        return loss


class DiscriminatorStep:
    """Handler: one step of the discriminator in each iteration of the generator, on the same slices.

    Puts the loss's terms and "discriminator" beside the trainer's loss.

    Args:
        loss: of the generator.
        adversary: the loss's discriminator, with its optimizer.
    """

    def __init__(self, loss: CycleLoss, adversary: Adversary) -> None:
        self.loss, self.adversary = loss, adversary

    def attach(self, engine: Any) -> None:
        # Before decollation, which turns the output into a list.
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        output = engine.state.output
        terms = dict(self.loss.terms)
        if self.loss.adversarial_weight:
            discriminator = self.adversary.network.requires_grad_(True).train()
            self.adversary.optimizer.zero_grad(set_to_none=True)
            real = _cross_entropy(discriminator, output[Keys.LABEL], real=True)
            fake = _cross_entropy(discriminator, output[Keys.PRED][:, :1].detach(), real=False)
            terms["discriminator"] = 0.5 * (real + fake)
            terms["discriminator"].backward()
            self.adversary.optimizer.step()
        output.update({name: term.detach() for name, term in terms.items()})


def _cross_entropy(discriminator: nn.Module, slices: torch.Tensor, real: bool) -> torch.Tensor:
    """Of the discriminator's map of scores with "all real" or "none real"; in full precision, as BCE needs it."""
    with torch.autocast(slices.device.type, enabled=False):
        output = discriminator(slices.float())
    scores = output[-1] if isinstance(output, (list, tuple)) else output
    return binary_cross_entropy_with_logits(scores, torch.full_like(scores, float(real)))
