# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Temporal roughness tells flicker from motion."""

from __future__ import annotations

import pytest
import torch

from custom.metrics.temporal import roughness, roughness_ratio


def beating(phases: int = 8, amplitude: float = 0.3) -> torch.Tensor:
    wave = 0.5 + amplitude * torch.cos(2 * torch.pi * torch.arange(phases) / phases)
    return wave.reshape(1, 1, -1, 1, 1).expand(2, 1, phases, 6, 6)


def test_a_cosine_has_the_roughness_of_its_second_difference():
    # The second difference of cos(2 pi t / 8) is -(2 - 2 cos(pi / 4)) times itself.
    wave = torch.cos(torch.pi * torch.arange(8) / 4)
    expected = 0.3 * (2 - 2 * torch.cos(torch.tensor(torch.pi / 4))) * wave.abs().mean()
    torch.testing.assert_close(roughness(beating()), expected.expand(2))


def test_time_is_cyclic():
    cine = torch.rand(1, 1, 6, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(roughness(cine), roughness(cine.roll(2, dims=2)))
    ramp = torch.arange(6.0).reshape(1, 1, 6, 1, 1)
    assert roughness(ramp).item() == pytest.approx(2.0)  # |6| at each end of the six phases: the cycle does not close


def test_flicker_is_above_one_and_smoothing_below():
    truth = beating()
    noise = 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    smooth = (truth.roll(1, 2) + truth + truth.roll(-1, 2)) / 3
    assert (roughness_ratio(truth + noise, truth) > 1.2).all()
    assert (roughness_ratio(smooth, truth) < 0.9).all()
    torch.testing.assert_close(roughness_ratio(truth, truth), torch.ones(2))
    assert torch.isfinite(roughness_ratio(truth, truth.mean(2, keepdim=True).expand_as(truth))).all()


def test_what_is_no_cine_is_refused():
    for wrong in (torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 2, 4, 4)):
        with pytest.raises(ValueError, match="at least 3 phases"):
            roughness(wrong)
    with pytest.raises(ValueError, match="one shape"):
        roughness_ratio(beating(), beating(6))
