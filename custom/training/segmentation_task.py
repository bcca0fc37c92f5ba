# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Training of a segmenter with masks that may know some structures only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.handlers import MeanDice
from monai.networks import one_hot
from monai.utils.enums import CommonKeys as Keys
from torch import nn

from custom.data.sizes import number

SMOOTH_PIXELS = 1.0
"""Added above and below in Dice: a structure absent from both counts as agreement."""


class PartialLabelLoss(nn.Module):
    """Cross-entropy and Dice of MedFormer's recipe (methods.md 6.5) for masks that leave classes open.

    Cross-entropy is marginal: where a pixel may be one of several classes, it asks for the sum of their probabilities
    (marginal loss of Shi et al., Medical Image Analysis 2021), so an unknown structure is neither taught nor punished.
    Dice is a Tversky index over the whole batch, whose weight of false positives adapts: it is their share among all
    errors. For each class it looks at the slices only whose mask knows that class.

    Args:
        class_weights: of the cross-entropy, one per class; a pixel of several candidates gets the least of theirs.
        head_weights: of the final and the auxiliary scores, where the network gives both.
        share_range: least and most weight of false positives.

    Raises:
        InputError: a weight below 0.
    """

    def __init__(
        self,
        class_weights: Sequence[float] = (0.5, 1.0, 1.0, 1.0),
        head_weights: Sequence[float] = (0.5, 0.5),
        share_range: Sequence[float] = (0.2, 0.8),
    ) -> None:
        super().__init__()
        for option, weights in (("--class_weights", class_weights), ("--head_weights", head_weights)):
            for weight in weights:
                number(option, weight)
        self.head_weights, self.share_range = tuple(head_weights), tuple(share_range)
        self.register_buffer("class_weights", torch.tensor(class_weights, dtype=torch.float32), persistent=False)

    def forward(self, scores: torch.Tensor | Sequence[torch.Tensor], candidates: torch.Tensor) -> torch.Tensor:
        """Scalar loss, computed in float32.

        Args:
            scores: before softmax, `(B, C, H, W)`, or several of them, one per head.
            candidates: `(B, C, H, W)` of 0 and 1, see `custom.scans.labels.candidate_classes`.
        """
        if isinstance(scores, torch.Tensor):
            return self._of_head(scores, candidates.bool())
        weighted = zip(self.head_weights, scores, strict=True)
        return sum(weight * self._of_head(head, candidates.bool()) for weight, head in weighted)

    def _of_head(self, scores: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
        log_probabilities = scores.float().log_softmax(dim=1)
        return self.cross_entropy(log_probabilities, candidates) + self.dice(log_probabilities.exp(), candidates)

    def cross_entropy(self, log_probabilities: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
        """Marginal cross-entropy, averaged over pixels by their weights."""
        allowed = log_probabilities.masked_fill(~candidates, -torch.inf).logsumexp(dim=1)
        weights = self.class_weights.to(allowed.device)[:, None, None]
        per_pixel = torch.where(candidates, weights, torch.inf).amin(dim=1)
        return -(per_pixel * allowed).sum() / per_pixel.sum()

    def dice(self, probabilities: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
        """1 minus the adaptive Tversky index, averaged over the classes that the batch knows."""
        truth, known = certain_classes(candidates)
        counted = known[:, :, None, None]
        probabilities, truth = probabilities * counted, truth.float()
        hits = (probabilities * truth).sum((0, 2, 3))
        extra, missed = probabilities.sum((0, 2, 3)) - hits, truth.sum((0, 2, 3)) - hits
        share = (extra / (extra + missed).clamp(min=1e-6)).detach().clamp(*self.share_range)
        index = (hits + SMOOTH_PIXELS) / (hits + share * extra + (1 - share) * missed + SMOOTH_PIXELS)
        return (1 - index)[known.any(0)].mean() if known.any() else probabilities.sum() * 0


def certain_classes(candidates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What a mask says for sure.

    Args:
        candidates: `(B, C, H, W)` of 0 and 1.

    Returns:
        One-hot classes `(B, C, H, W)`, empty for classes the mask does not know; whether it knows them, `(B, C)`.
    """
    candidates = candidates.bool()
    undecided = candidates.sum(dim=1, keepdim=True) > 1
    known = ~(candidates & undecided).flatten(2).any(dim=2)
    return candidates & known[:, :, None, None], known


def mean_dice() -> MeanDice:
    """Dice of the structures, averaged over slices and over the structures that a slice's mask knows."""
    return MeanDice(include_background=False, output_transform=dice_inputs)


def dice_inputs(output: Sequence[dict]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """An evaluator's decollated output as MONAI's `MeanDice(include_background=False)` wants it.

    Returns:
        One-hot predictions and truths, `(C, H, W)` each. A class that the mask does not know is empty in the truth, and
        MONAI leaves empty classes out.
    """
    predictions, truths = [], []
    for item in output:
        scores = item[Keys.PRED]
        predictions.append(one_hot(scores.argmax(0, keepdim=True), len(scores), dim=0))
        truths.append(certain_classes(item[Keys.LABEL][None])[0][0].float())
    return predictions, truths
