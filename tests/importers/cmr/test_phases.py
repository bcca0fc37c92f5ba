# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Images at one place: phases in order, or acquired again. More of this is in `test_series.py`."""

from __future__ import annotations

from pathlib import Path

from custom.importers.notes import Doubt
from tests.importers.cmr.test_series import image, refusal, sort


def test_two_runs_whose_images_alternate_are_not_one_cine():
    images = [
        image(d, t, trigger_ms=40.0 * t + 3.7 * run, instance=100 * d + 2 * t + run, acquired=(1, 0, "", 2 * t + run))
        for d in range(0, 50, 10)
        for t in range(3)
        for run in (0, 1)
    ]
    assert "slice 1 (at 0.0 mm) was acquired 2 times" in refusal(images)
    for choice, shift in (("first", 0.0), ("last", 3.7)):
        (found,), _, _ = sort(images, duplicates=choice)
        assert [i.trigger_ms for i in found.images[3]] == [shift, 40 + shift, 80 + shift]
    # Phases of 4 ms (a mouse) are one cine.
    fast = [image(d, t, trigger_ms=4.0 * t) for d in range(0, 50, 10) for t in range(6)]
    assert [len(s.images[0]) for s in sort(fast)[0]] == [6]


def test_a_trigger_time_that_is_missing_somewhere_leaves_the_order_to_the_instance_number():
    images = [
        image(d, t, trigger_ms=None if (d, t) == (20, 1) else 40.0 * t, instance=10 * d + t)
        for d in range(0, 50, 10)
        for t in range(2)
    ]
    (found,), notes, _ = sort(images)
    assert [i.instance for i in found.images[2]] == [200, 201] and found.phase_ms is None
    assert any(isinstance(note, Doubt) and "not all images state a trigger time" in note for note in notes)


def test_acquisitions_of_one_place_are_told_by_what_differs():
    def told(*runs):
        fields = [
            (
                d,
                t,
                {
                    "path": Path(f"p/{'ab'[k]}/DICOM/im{d}_{t}"),
                    "acquired": (1, *run, 2 * t + k),
                    "trigger_ms": 40.0 * t + k,
                },
            )
            for k, run in enumerate(runs)
            for d in range(0, 50, 10)
            for t in range(3)
        ]
        line = refusal([image(d, t, instance=changes["acquired"][3], **changes) for d, t, changes in fields])
        assert "slice 1 (at 0.0 mm) was acquired 2 times" in line
        return line[line.index("times (") + 7 : line.index(");")]

    # The same names in two folders, and neither acquisition number nor time differs.
    assert told((0, ""), (0, "")) == "series 1 from a/DICOM/im0_0 on, series 1 from b/DICOM/im0_0 on"
    assert told((1, "10"), (1, "11")) == "series 1 time 10, series 1 time 11"
    assert told((1, "10"), (2, "11")) == "series 1 acquisition 1, series 1 acquisition 2"
