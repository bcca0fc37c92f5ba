# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from custom.errors import InputError
from custom.training.motion_task import MotionLoss, MotionTask


def windows(count=64, length=7):
    """Slices that hold their own place in the window."""
    places = torch.arange(length, dtype=torch.float32).view(1, length, 1, 1, 1)
    return {"image": places.expand(count, length, 1, 4, 4)}


@pytest.fixture
def task():
    task = MotionTask(gaps=(2, 3, 6), seed=3)
    task._follow(SimpleNamespace(state=SimpleNamespace(iteration=5, rank=0)))
    return task


def test_the_slice_asked_for_lies_where_the_position_says(task):
    known, asked, keywords = task.make(windows())
    first, last = known[:, 0, 0, 0], known[:, 1, 0, 0]
    torch.testing.assert_close(asked[:, 0, 0, 0], first + keywords["positions"] * (last - first))
    assert set((last - first).tolist()) == {2, 3, 6}
    assert set(asked[:, 0, 0, 0].tolist()) == {1, 2, 3, 4, 5}
    assert keywords["parts"]


def test_draws_depend_on_seed_and_iteration_alone(task):
    known, _, keywords = task.make(windows())
    again = task.make(windows())
    torch.testing.assert_close(known, again[0])
    task._engine.state.iteration = 6
    assert not torch.equal(keywords["positions"], task.make(windows())[2]["positions"])


def test_triplets_bring_their_own_positions_or_are_even():
    triplets = windows(length=3)
    positions = torch.tensor([[0, 0.3, 1]]).expand(64, 3)
    known, asked, keywords = MotionTask().make({**triplets, "positions": positions})
    assert known[0, :, 0, 0].tolist() == [0, 2] and asked[0, 0, 0, 0] == 1
    torch.testing.assert_close(keywords["positions"], positions[:, 1])
    assert MotionTask(parts=False).make(triplets)[2]["positions"].tolist() == [0.5] * 64


def test_four_neighbours_are_the_two_and_those_beyond():
    triplets = windows(length=3)
    outer = torch.tensor([-2.0, 4.0]).view(1, 2, 1, 1, 1).expand(64, 2, 1, 4, 4)
    known, asked, _ = MotionTask(num_neighbours=4).make({**triplets, "outer": outer})
    assert known[0, :, 0, 0].tolist() == [-2, 0, 2, 4] and asked[0, 0, 0, 0] == 1
    with pytest.raises(InputError, match="--num_neighbours"):
        MotionTask(num_neighbours=4, gaps=(2,)).check(7)


def test_a_near_miss_counts_as_much_as_a_far_one():
    loss, label = MotionLoss(ssim=0, blend=0, forecast=0, log_rmse=1), torch.zeros(1, 1, 16, 16)

    def halved(error):
        parts = [torch.cat([label + e, label, label], dim=1) for e in (error, error / 2)]
        return float(loss(parts[0], label) - loss(parts[1], label)) - error / 2

    assert halved(0.4) == pytest.approx(halved(0.2), rel=0.05) == pytest.approx(0.65, rel=0.05)


def test_the_best_forecast_is_the_error_itself():
    loss, label = MotionLoss(), torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    image = label + 0.1

    def told(scale):
        log_scale = torch.full_like(label, scale).log()
        return float(loss(torch.cat([image, image, log_scale], dim=1), label))

    assert told(0.1) < min(told(0.05), told(0.2))
