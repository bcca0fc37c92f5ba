# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Images and stacks that go on where a stack ends. More of this is in `test_series.py`."""

from __future__ import annotations

import pytest

from custom.importers.notes import Doubt
from tests.importers.cmr.test_series import refusal, sort, stack


@pytest.mark.parametrize("gap", [0, 10])
def test_stacks_that_continue_each_other_are_a_doubt_whose_advice_works(gap):
    images = stack(range(0, 40, 10), description="base")
    images += stack(range(40 + gap, 80 + gap, 10), series="2", description="apex")
    found, notes, _ = sort(images)
    doubts = [note for note in notes if isinstance(note, Doubt)]
    assert [len(s.images) for s in found] == [4, 4] and len(doubts) == 1 and doubts[0].endswith("say --join all")
    joined, notes, _ = sort(images, join="all")
    assert len(joined) == (2 if gap else 1)
    assert any("look for slices that are missing" in note for note in notes) == bool(gap)
    # Stacks elsewhere are none of each other's.
    apart = stack(range(0, 40, 10)) + stack(range(0, 40, 10), series="2", offset=(90.0, 0.0))
    assert not any(isinstance(note, Doubt) for note in sort(apart)[1])


def test_what_was_done_to_images_does_not_part_a_stack_that_is_joined():
    images = stack(range(0, 60, 10)) + stack([60, 70], series="2", kind=("ORIGINAL", "PRIMARY", "M", "NORM"))
    assert "take them in with --join all" in refusal(images)
    assert [len(s.images) for s in sort(images, join="all")[0]] == [8]
