# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from custom.inferers.plan import MAX_DEPTH, MAX_FACTOR, Window, plan_gap
from custom.interpolators.base import ANYWHERE, MIDDLE, Reach

SHORT = Reach(most_steps=6)
TWELFTHS = Reach(steps=12, most_steps=6)


@pytest.mark.parametrize("most_steps", [2, 3, 4, 6, None])
@pytest.mark.parametrize("factor", [*range(2, 40), 49, 97, 216, 217])
def test_every_frame_is_asked_once_after_its_neighbours(factor, most_steps):
    known = {0, factor}
    plan = plan_gap(factor, Reach(most_steps=most_steps))
    for level in plan.levels:
        for window in level:
            assert {window.left, window.right} <= known
            assert not any(window.left < place < window.right for place in known), "a closer known frame is passed over"
            assert 1 <= len(window.unknown) <= (most_steps or factor) - 1
        asked = [place for window in level for place in window.unknown]
        assert len(set(asked)) == len(asked) and not known & set(asked)
        known |= set(asked)
    assert known == set(range(factor + 1)) and plan.steps == factor
    assert plan.sources == tuple((place, place, 0.0) for place in range(1, factor))


@pytest.mark.parametrize("reach", [MIDDLE, TWELFTHS, Reach(steps=12), Reach(steps=4)])
@pytest.mark.parametrize("factor", range(2, 65))
def test_a_method_of_few_positions_is_asked_for_those_only(factor, reach):
    plan = plan_gap(factor, reach)
    known = {0, plan.steps}
    for level in plan.levels:
        for window in level:
            assert {window.left, window.right} <= known
            places = [position * reach.steps for position in window.positions]
            assert all(abs(place - round(place)) < 1e-9 for place in places)
            assert len(window.unknown) < (reach.most_steps or reach.steps)
            assert window.noise == (0, factor), "all slices of a gap start from one noise"
            known |= set(window.unknown)
    assert plan.steps >= factor and len(plan.sources) == factor - 1
    for index, (before, after, share) in enumerate(plan.sources, start=1):
        assert {before, after} <= known and after - before in (0, 1)
        assert (before + share) / plan.steps == pytest.approx(index / factor)


@pytest.mark.parametrize(
    ("factor", "reach", "divisions"),
    [
        (4, MIDDLE, [2, 2]), (64, MIDDLE, [2] * 6), (6, TWELFTHS, [6]), (12, TWELFTHS, [2, 6]), (12, Reach(12), [12]),
        (8, TWELFTHS, [2, 4]), (24, TWELFTHS, [4, 6]), (24, Reach(12), [2, 12]), (7, TWELFTHS, [2, 2, 2]),
    ],
)  # fmt: skip
def test_as_few_windows_one_within_the_other_as_it_takes(factor, reach, divisions):
    plan = plan_gap(factor, reach)
    assert [len(level[0].unknown) + 1 for level in plan.levels] == divisions
    exact = all(share == 0 for *_, share in plan.sources)
    assert exact == (plan.steps == factor)


def test_thirds_are_mixed_from_quarters_or_taken_from_the_nearest():
    assert plan_gap(3, MIDDLE).sources == ((1, 2, pytest.approx(1 / 3)), (2, 3, pytest.approx(2 / 3)))
    assert plan_gap(3, MIDDLE, "nearest").sources == ((1, 1, 0.0), (3, 3, 0.0))


def test_midpoints_that_lead_nowhere_are_left_out():
    fifths = plan_gap(5, MIDDLE, "nearest")
    assert {place for place, *_ in fifths.sources} == {2, 3, 5, 6}
    assert {place for level in fifths.levels for window in level for place in window.unknown} == {2, 3, 4, 5, 6}


@pytest.mark.parametrize("factor", range(2, 7))
def test_up_to_the_trained_factor_is_one_window(factor):
    assert plan_gap(factor, SHORT).levels == ((Window(0, factor, tuple(range(1, factor)), (0, factor)),),)


@pytest.mark.parametrize(("factor", "levels"), [(6, 1), (7, 2), (36, 2), (37, 3), (216, 3)])
def test_fewest_levels(factor, levels):
    assert len(plan_gap(factor, SHORT).levels) == levels


def test_pieces_are_balanced_and_positions_and_noise_follow_them():
    coarse, fine = plan_gap(7, SHORT).levels
    assert [(window.left, window.right) for window in fine] == [(0, 3), (3, 7)]
    assert coarse[0].positions == (3 / 7,)
    assert fine[1].positions == (1 / 4, 2 / 4, 3 / 4)
    assert [window.noise for window in fine] == [(0, 3), (3, 7)]


@pytest.mark.parametrize("factor", [0, 1, -3, 2.5, "6"])
@pytest.mark.parametrize("reach", [ANYWHERE, MIDDLE])
def test_a_factor_that_is_no_factor(factor, reach):
    with pytest.raises(ValueError, match="factor must be an integer of at least 2"):
        plan_gap(factor, reach)


@pytest.mark.parametrize("reach", [ANYWHERE, MIDDLE, SHORT])
def test_a_factor_that_would_fill_the_memory_is_refused(reach):
    with pytest.raises(ValueError, match=f"^factor must be at most {MAX_FACTOR}, got 1000000$"):
        plan_gap(1_000_000, reach)


@pytest.mark.parametrize("factor", [65, 128, 1000])
def test_deeper_bisections_are_refused_in_one_line(factor):
    with pytest.raises(ValueError, match=f"^factor must be at most 64 for this method, .*; got {factor}$"):
        plan_gap(factor, MIDDLE)
    assert len(plan_gap(64, MIDDLE).levels) == MAX_DEPTH
    assert len(plan_gap(factor, ANYWHERE).levels) == 1
