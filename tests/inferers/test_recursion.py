# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from custom.inferers.recursion import GapStep, plan_gap


@pytest.mark.parametrize("max_factor", [2, 3, 4, 6])
@pytest.mark.parametrize("factor", [*range(2, 40), 49, 97, 216, 217])
def test_every_frame_is_asked_once_after_its_neighbours(factor, max_factor):
    known = {0, factor}
    for level in plan_gap(factor, max_factor):
        for step in level:
            assert {step.left, step.right} <= known
            assert not any(step.left < index < step.right for index in known), "a closer known frame was passed over"
            assert 1 <= len(step.unknown) <= max_factor - 1
        asked = [index for step in level for index in step.unknown]
        assert len(set(asked)) == len(asked) and not known & set(asked)
        known |= set(asked)
    assert known == set(range(factor + 1))


@pytest.mark.parametrize("factor", range(2, 7))
def test_up_to_the_trained_factor_is_one_window(factor):
    assert plan_gap(factor) == [[GapStep(0, factor, tuple(range(1, factor)))]]


@pytest.mark.parametrize(("factor", "levels"), [(6, 1), (7, 2), (36, 2), (37, 3), (216, 3)])
def test_fewest_levels(factor, levels):
    assert len(plan_gap(factor)) == levels


def test_pieces_are_balanced_and_positions_follow_them():
    coarse, fine = plan_gap(7)
    assert [(step.left, step.right) for step in fine] == [(0, 3), (3, 7)]
    assert coarse[0].positions == (3 / 7,)
    assert fine[1].positions == (1 / 4, 2 / 4, 3 / 4)


def test_bisection_of_a_power_of_two_asks_midpoints_only():
    positions = {step.positions for level in plan_gap(16, max_factor=2) for step in level}
    assert positions == {(0.5,)}


@pytest.mark.parametrize("factor", [0, 1, -3, 2.5, "6"])
def test_a_factor_that_is_no_factor(factor):
    with pytest.raises(ValueError, match="factor must be an integer of at least 2"):
        plan_gap(factor)
