# Copyright 2026 The CardioInterp Bundles Authors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.


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
