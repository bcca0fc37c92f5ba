# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from custom.interpolators.classical import CubicFrames, LinearFrames, NearestFrame

POSITIONS = torch.tensor([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])


@pytest.fixture
def neighbours():
    return torch.rand(2, 4, 1, 8, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("method", (NearestFrame(), LinearFrames(), CubicFrames()))
def test_contract(method, neighbours):
    known = neighbours if method.num_neighbours == 4 else neighbours[:, 1:3]
    frames = method.interpolate(known, POSITIONS.double(), seeds=[3, 4])
    assert frames.shape == (2, 5, 1, 8, 6) and frames.dtype == known.dtype
    assert frames.min() >= 0 and frames.max() <= 1
    # The answer at one position depends neither on the other positions nor on the rest of the batch.
    torch.testing.assert_close(method.interpolate(known[1:], POSITIONS[1:2]), frames[1:, 1:2])
    still = known[:, :1].expand_as(known)
    torch.testing.assert_close(method.interpolate(still, POSITIONS), known[:, :1].expand(-1, 5, -1, -1, -1))
    backwards = method.interpolate(known.flip(1), 1 - POSITIONS.flip(0)).flip(1)
    uneven = POSITIONS != 0.5  # the nearest frame of the middle is the earlier one from either side
    torch.testing.assert_close(backwards[:, uneven], frames[:, uneven])


def test_nearest_frame_copies_and_prefers_the_earlier(neighbours):
    left, right = neighbours[:, 1], neighbours[:, 2]
    frames = NearestFrame().interpolate(neighbours, POSITIONS)
    for k, expected in enumerate((left, left, left, right, right)):
        assert torch.equal(frames[:, k], expected)


def test_linear_frames_at_the_middle_are_the_average(neighbours):
    frames = LinearFrames().interpolate(neighbours[:, 1:3], torch.tensor([0.25, 0.5]))
    torch.testing.assert_close(frames[:, 1], (neighbours[:, 1] + neighbours[:, 2]) / 2)
    torch.testing.assert_close(frames[:, 0], 0.75 * neighbours[:, 1] + 0.25 * neighbours[:, 2])


def test_cubic_frames_follow_a_parabola_exactly():
    times = torch.tensor([-1.0, 0.0, 1.0, 2.0], dtype=torch.float64)

    def parabola(t):
        return 0.3 + 0.2 * t - 0.05 * t**2

    known = parabola(times).reshape(1, 4, 1, 1, 1)
    frames = CubicFrames().interpolate(known, POSITIONS)
    torch.testing.assert_close(frames.flatten(), parabola(POSITIONS.to(known)))


def test_cubic_frames_at_a_step_overshoot_and_are_clipped():
    known = torch.tensor([0.0, 1.0, 1.0, 0.0]).reshape(1, 4, 1, 1, 1)
    assert CubicFrames().interpolate(known, torch.tensor([0.5])).item() == 1.0


@pytest.mark.parametrize("method", (NearestFrame(), LinearFrames(), CubicFrames()))
def test_a_cine_slice_is_its_phases_side_by_side(method):
    cine = torch.rand(2, 4, 1, 3, 8, 6, generator=torch.Generator().manual_seed(1))
    whole = method.interpolate(cine, POSITIONS)
    assert whole.shape == (2, 5, 1, 3, 8, 6)
    for phase in range(3):
        torch.testing.assert_close(whole[:, :, :, phase], method.interpolate(cine[:, :, :, phase], POSITIONS))
