# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from custom.metrics.fidelity import detail_ratio


def noise(std, side=96, seed=0):
    return 0.5 + std * torch.randn(2, 1, side, side, generator=torch.Generator().manual_seed(seed))


def test_white_noise_beside_white_noise_is_the_ratio_of_their_deviations():
    found = detail_ratio(noise(0.05), noise(0.1, seed=1))
    torch.testing.assert_close(found, torch.full((2,), 0.5), rtol=0.03, atol=0)


def test_equal_images_are_equally_sharp_blurred_ones_less_and_noisy_ones_more():
    true = noise(0.05)
    torch.testing.assert_close(detail_ratio(true, true), torch.ones(2))
    # A mean of nine less a mean of nine such means: far less than the ninth of the variance that it keeps.
    assert (detail_ratio(F.avg_pool2d(true, 3, 1, 1, count_include_pad=False), true) < 0.4).all()
    noisy = true + noise(0.05, seed=1) - 0.5
    torch.testing.assert_close(detail_ratio(noisy, true), torch.full((2,), 2**0.5), rtol=0.05, atol=0)


def test_level_and_slow_changes_do_not_count_and_two_flat_images_are_equal():
    ramp = torch.linspace(-0.2, 0.2, 96).expand(2, 1, 96, 96)
    torch.testing.assert_close(detail_ratio(noise(0.02) + ramp, noise(0.02)), torch.ones(2), rtol=0.02, atol=0)
    flat = torch.full((1, 1, 32, 32), 0.4)
    torch.testing.assert_close(detail_ratio(flat, flat), torch.ones(1))


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="share one"):
        detail_ratio(torch.rand(1, 1, 16, 16), torch.rand(2, 1, 16, 16))
