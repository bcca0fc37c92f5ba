# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import io

import pytest
from tqdm import tqdm

from custom import progress
from custom.progress import EvenProgress, advance_within, tick


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


def test_later_pieces_advance_as_time_does_whatever_the_ticks_are(clock):
    done = []
    even = EvenProgress(done.append)
    for _ in range(2):
        start = len(done)
        with even.piece(10.0, "kind"):
            for seconds in (1, 1, 7):
                clock(seconds)
                tick()
            clock(1)
        assert sum(done[start:]) == pytest.approx(10)
    assert done[start:] == pytest.approx([1, 1, 7, 1])
    assert all(step > 0 for step in done[:start])  # the first piece moves as well, at a guess


def test_a_piece_that_fails_is_taken_back_and_nobody_needs_to_listen():
    done = []
    even = EvenProgress(done.append)
    with pytest.raises(MemoryError), even.piece(4.0):
        tick()
        raise MemoryError
    assert sum(done) == pytest.approx(0)
    count = len(done)
    tick()
    assert len(done) == count


@pytest.mark.parametrize("pieces", [[0.1] * 30, [1 / 7] * 21, [1.1, 1.1, 0.8]])
def test_a_bar_ends_at_its_total_however_the_fractions_are_rounded(pieces, recwarn):
    with tqdm(total=3, file=io.StringIO(), mininterval=0, miniters=0) as bar:
        even = EvenProgress(advance_within(bar))
        with pytest.raises(MemoryError), even.piece(0.3):  # told and taken back
            tick()
            raise MemoryError
        for size in pieces:
            with even.piece(size):
                for _ in range(3):
                    tick()
    assert 0 <= bar.n <= 3 and bar.n == pytest.approx(3)
    assert not recwarn.list  # tqdm warns of a bar that is past its end
