# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.metrics import DiceMetric
from torch.nn.functional import cross_entropy

from custom.scans.labels import candidate_classes
from custom.training.segmentation_task import PartialLabelLoss, certain_classes, dice_inputs


@pytest.fixture
def labels():
    labels = np.zeros((2, 8, 8), int)
    labels[:, 1:5, 1:5], labels[:, 5:7, 1:5], labels[:, 1:5, 5:7] = 1, 2, 3
    return labels


def candidates_of(labels, *known):
    return torch.stack([torch.from_numpy(candidate_classes(x, k)) for x, k in zip(labels, known, strict=True)])


FULL, LV = (1, 2, 3), (1,)


def test_with_complete_masks_it_is_the_usual_cross_entropy(labels):
    scores = torch.randn(2, 4, 8, 8)
    loss = PartialLabelLoss()
    ours = loss.cross_entropy(scores.log_softmax(1), candidates_of(labels, FULL, FULL).bool())
    usual = cross_entropy(scores, torch.from_numpy(labels), weight=torch.tensor([0.5, 1, 1, 1]))
    torch.testing.assert_close(ours, usual)


def test_unknown_classes_are_neither_taught_nor_punished(labels):
    candidates = candidates_of(labels, LV, LV)
    scores = torch.randn(2, 4, 8, 8, requires_grad=True)
    loss = PartialLabelLoss()
    value = loss(scores, candidates)
    # Probability that moves between the classes that stay open, at every pixel, changes nothing.
    moved = scores.detach().clone()
    moved[:, [0, 2, 3]] = moved[:, [3, 0, 2]]
    torch.testing.assert_close(loss(moved, candidates), value.detach())
    full = loss(scores, candidates_of(labels, FULL, FULL))
    assert not torch.isclose(loss(moved, candidates_of(labels, FULL, FULL)), full.detach())
    # Cavity where it is not, and none where it is, costs.
    wrong = torch.where(torch.from_numpy(labels)[:, None] == 1, -5.0, 5.0) * torch.tensor([0, 1.0, 0, 0])[:, None, None]
    assert loss(wrong, candidates) > loss(-wrong, candidates) + 1


def test_dice_looks_only_at_the_slices_that_know_a_class(labels):
    loss = PartialLabelLoss()
    candidates = candidates_of(labels, FULL, LV).bool()
    truth, known = certain_classes(candidates)
    assert known.tolist() == [[True] * 4, [False, True, False, False]]
    assert truth[1, [0, 2, 3]].sum() == 0 and truth[0].sum() == 64
    perfect = torch.from_numpy(np.eye(4)[labels]).movedim(-1, 1).float()
    assert loss.dice(perfect, candidates) == pytest.approx(0, abs=1e-6)
    spoilt = perfect.clone()
    spoilt[1, [2, 3]], spoilt[1, 0] = spoilt[1, [3, 2]], 0.5
    assert loss.dice(spoilt, candidates) == pytest.approx(0, abs=1e-6)
    spoilt[0, 2] = 0
    assert loss.dice(spoilt, candidates) > 0.2


def test_training_with_partial_masks_keeps_what_complete_ones_taught(labels):
    torch.manual_seed(0)
    scores, loss = torch.zeros(2, 4, 8, 8, requires_grad=True), PartialLabelLoss()
    for _ in range(20):
        value = loss((scores, scores), candidates_of(labels, FULL, LV))
        (gradient,) = torch.autograd.grad(value, scores)
        scores = (scores.detach() - 0.3 * gradient.sign()).requires_grad_()
    predicted = scores.argmax(1).numpy()
    np.testing.assert_array_equal(predicted[0], labels[0])
    np.testing.assert_array_equal(predicted[1] == 1, labels[1] == 1)


def test_heads_are_weighted(labels):
    candidates, scores = candidates_of(labels, FULL, LV), torch.randn(2, 4, 8, 8)
    loss = PartialLabelLoss(head_weights=(0.7, 0.1))
    torch.testing.assert_close(loss((scores, scores), candidates), 0.8 * loss(scores, candidates))


def test_validation_leaves_unknown_classes_out(labels):
    scores = torch.from_numpy(np.eye(4)[labels]).movedim(-1, 1).float()
    scores[1, :, 5:] = torch.tensor([0, 0, 0, 1.0])[:, None, None]  # nobody knows what is there
    output = [{"pred": s, "label": c} for s, c in zip(scores, candidates_of(labels, FULL, LV).float(), strict=True)]
    metric = DiceMetric(include_background=False, reduction="none")
    values = metric(*dice_inputs(output))
    assert values[0].tolist() == [1, 1, 1] and values[1, 0] == 1 and values[1, 1:].isnan().all()
