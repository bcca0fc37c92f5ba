# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import torch

from custom.training.losses import FidelityLoss


def test_fidelity_loss_is_the_weighted_sum_of_its_terms():
    prediction, label = torch.rand(2, 2, 3, 16, 16, generator=torch.Generator().manual_seed(1)).unbind(0)
    l1, l2, ssim = (
        FidelityLoss(**weights)(prediction, label) for weights in ({}, {"l1": 0, "l2": 1}, {"l1": 0, "ssim": 1})
    )
    torch.testing.assert_close(l1, (prediction - label).abs().mean())
    torch.testing.assert_close(l2, (prediction - label).square().mean())
    torch.testing.assert_close(FidelityLoss(1, 2, 0.5)(prediction, label), l1 + 2 * l2 + 0.5 * ssim)
    per_slice = torch.stack([FidelityLoss(0, 0, 1)(prediction[:, k, None], label[:, k, None]) for k in range(3)])
    torch.testing.assert_close(ssim, per_slice.mean())
    assert FidelityLoss(1, 1, 1)(label, label) < 1e-6 < ssim
