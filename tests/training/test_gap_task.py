# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from custom.training.gap_task import GapTask


def frames(*values):
    """A window of constant frames, `(1, L, 1, 2, 2)`."""
    return torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1, 1).expand(1, -1, 1, 2, 2)


def values(images):
    return images[0, :, 0, 0].tolist()


def test_the_ends_of_a_window_are_known_and_the_rest_is_not():
    known, unknown, arguments, keywords = GapTask(2)({"image": frames(1, 2, 3, 4)})
    assert (values(known), values(unknown), arguments, keywords) == ([1, 4], [2, 3], (), {"count": 2})


def test_four_neighbours_come_from_beyond_or_are_replicated():
    batch = {"image": frames(4, 5, 6), "outer": frames(2, 8)}
    assert values(GapTask(4)(batch)[0]) == [2, 4, 6, 8]
    del batch["outer"]
    assert values(GapTask(4)(batch)[0]) == [4, 4, 6, 6]


@pytest.mark.parametrize("neighbours", [2, 4])
def test_gaps_are_drawn_anew_for_each_batch_and_lie_in_the_middle(neighbours):
    length = (neighbours - 1) * 6 + 1
    task = GapTask(neighbours, gaps=[2, 4, 6], seed=3)
    task._follow(SimpleNamespace(state=SimpleNamespace(iteration=0, rank=0)))
    seen = set()
    for iteration in range(20):
        task._engine.state.iteration = iteration
        known, unknown, _, keywords = task({"image": frames(*range(length))})
        places, gap = values(known), keywords["count"] + 1
        assert places[0] + places[-1] == length - 1
        assert {after - before for before, after in zip(places, places[1:], strict=False)} == {gap}
        left = places[neighbours // 2 - 1]
        assert values(unknown) == [left + k for k in range(1, gap)]
        seen.add(gap)
    assert seen == {2, 4, 6}


def test_other_numbers_of_neighbours_are_refused():
    with pytest.raises(ValueError, match="num_neighbours is 2 or 4, got 3"):
        GapTask(3)
