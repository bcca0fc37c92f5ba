# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from custom.diffusion.bridge import bridge_point, bridge_sample, bridge_times

COUNT = 100_000
MEAN, DEVIATION, START, SIGMA = 1.7, 0.6, -0.4, 0.9


def normal(like):
    return torch.randn(like.shape, dtype=torch.float64)


def test_a_bridge_passes_its_ends_and_is_widest_halfway():
    torch.manual_seed(0)
    start, end = torch.full((COUNT,), START, dtype=torch.float64), torch.full((COUNT,), MEAN, dtype=torch.float64)
    for time in (0.0, 0.25, 0.5, 1.0):
        place = bridge_point(start, end, torch.full((COUNT,), time), normal(start), SIGMA)
        assert place.mean() == pytest.approx((1 - time) * START + time * MEAN, abs=0.01)
        assert place.std() == pytest.approx(SIGMA * (time * (1 - time)) ** 0.5, abs=0.01)


def gaussian_end(x, s):
    """Expected end of a bridge whose end is N(MEAN, DEVIATION^2), given x at time s: conjugate normals."""
    if s == 0:
        return torch.full_like(x, MEAN)
    variance = SIGMA**2 * s * (1 - s)
    gain = s * DEVIATION**2 / (s**2 * DEVIATION**2 + variance)
    return MEAN + gain * (x - (1 - s) * START - s * MEAN)


def test_many_steps_of_a_brownian_bridge_end_in_the_distribution_of_the_ends():
    torch.manual_seed(1)
    errors = []
    for steps in (16, 64, 256):
        ends = bridge_sample(gaussian_end, torch.full((COUNT,), START, dtype=torch.float64), steps, SIGMA, normal)
        assert ends.mean() == pytest.approx(MEAN, abs=0.01)
        errors.append(abs(ends.std().item() - DEVIATION))
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.015


def test_one_step_is_the_expected_end_and_takes_no_noise():
    def refuse(like):
        raise AssertionError("no noise at the end")

    start = torch.full((3,), START, dtype=torch.float64)
    torch.testing.assert_close(bridge_sample(gaussian_end, start, 1, SIGMA, refuse), torch.full_like(start, MEAN))


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_without_noise_it_is_eulers_method_on_the_straight_flow(steps):
    """Rectified flow: each step moves by the velocity, which points at the estimated end."""
    start = torch.tensor([0.3, -1.0], dtype=torch.float64)

    def estimate_end(x, s):
        return x.sin() + s

    x = start
    for s, r in bridge_times(steps):
        x = x + (r - s) * (estimate_end(x, s) - x) / (1 - s)
    torch.testing.assert_close(bridge_sample(estimate_end, start, steps, 0.0, torch.zeros_like), x)


def test_a_straight_flow_between_paired_ends_is_exact_in_any_number_of_steps():
    start, end = torch.randn(2, 5, dtype=torch.float64)
    for steps in (1, 3, 8):
        torch.testing.assert_close(bridge_sample(lambda x, s: end, start, steps, 0.0, torch.zeros_like), end)
