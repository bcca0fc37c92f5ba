# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Sorting of DICOM headers into stacks, on headers made here; files are read in `test_cmr_dicom.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from custom.errors import InputError
from custom.importers.cmr.dicom import DicomImage
from custom.importers.cmr.series import DicomOptions, sort_stacks
from custom.importers.notes import Doubt

WHERE = Path("export")
TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
TURN *= np.sign(np.linalg.det(TURN))


def tilted(degrees):
    """The oblique frame `(3, 3)`, rows row, column and normal, turned about its row axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, c, s], [0, -s, c]]) @ TURN


def image(depth, phase, series="1", frame=TURN, offset=(0.0, 0.0), **changes):
    number = int(series.split(".")[0])
    trigger = changes.pop("trigger_ms", 40.0 * phase)
    instance = changes.pop("instance", int(1000 * number + 10 * depth + phase))
    fields = {
        "path": Path(f"{series}_{depth:g}_{phase}.dcm"),
        "study": "s",
        "patient": "p",
        "series": series,
        "number": number,
        "description": "",
        "kind": ("ORIGINAL", "PRIMARY", "M"),
        "shape": (64, 48),
        "spacing": (1.5, 1.25),
        "orientation": frame[:2],
        "position": offset[0] * frame[0] + offset[1] * frame[1] + depth * frame[2],
        "trigger_ms": trigger,
        "temporal": None,
        "instance": instance,
        "acquired": (number, 0, "", instance),
        "rescale": (1.0, 0.0),
    }
    return DicomImage(**{**fields, **changes})


def stack(depths, phases=3, **kwargs):
    return [image(depth, phase, **kwargs) for depth in depths for phase in range(phases)]


def shuffled(images):
    return [images[k] for k in np.random.default_rng(0).permutation(len(images))]


def sort(images, **options):
    return sort_stacks(WHERE, shuffled(images), DicomOptions(**options))


def refusal(images, **options):
    with pytest.raises(InputError) as caught:
        sort(images, **options)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("export: ")
    return str(caught.value)


def test_slices_go_by_position_and_phases_by_trigger_time():
    found, notes, faults = sort(stack(range(0, 50, 10), offset=(-30.0, 12.0)))
    assert len(found) == 1 and not notes and not faults
    depths = [[round(float(image.position @ TURN[2]), 6) for image in phases] for phases in found[0].images]
    assert depths == [[d] * 3 for d in range(0, 50, 10)]
    assert [[image.trigger_ms for image in phases] for phases in found[0].images] == [[0, 40, 80]] * 5
    assert found[0].phase_ms == 40
    # Voxel (column, row, slice) in RAS, from the definition in DICOM PS3.3 C.7.6.2.1.1.
    lps = -30 * TURN[0] + 12 * TURN[1] + 7 * 1.25 * TURN[0] + 9 * 1.5 * TURN[1] + 2 * 10 * TURN[2]
    np.testing.assert_allclose((found[0].affine @ [7, 9, 2, 1])[:3], lps * [-1, -1, 1], atol=1e-9)


def test_temporal_position_then_instance_number_stand_in_for_trigger_time():
    images = [image(d, t, trigger_ms=None, temporal=3 - t, instance=t) for d in range(0, 40, 10) for t in range(3)]
    assert [i.temporal for i in sort(images)[0][0].images[1]] == [1, 2, 3]
    images = [image(d, t, trigger_ms=0.0, instance=9 - t) for d in range(0, 40, 10) for t in range(3)]
    found = sort(images)[0][0]
    assert [i.instance for i in found.images[1]] == [7, 8, 9] and found.phase_ms is None


def test_one_series_per_slice_is_one_stack_and_long_axes_are_left_out():
    images = [i for k, d in enumerate(range(0, 60, 10)) for i in stack([d], series=f"{k + 5}", description=f"SAX_b{k}")]
    images += stack([0], series="20", frame=tilted(90), description="2CH")
    images += stack([0, 6], series="21", frame=tilted(60), description="4CH")
    found, notes, _ = sort(images)
    assert len(found) == 1 and len(found[0].images) == 6
    assert any("series 20 (2CH): 1 position, no stack" in note for note in notes)
    assert any("series 21 (4CH): 2 positions, no stack" in note for note in notes)


def test_two_series_at_the_same_places_are_two_stacks():
    images = stack(range(0, 50, 10), description="cine") + stack(range(0, 50, 10), 1, series="2", description="late")
    found, notes, _ = sort(images)
    assert [len(s.images[0]) for s in found] == [3, 1]
    assert any(note.startswith("2 stacks: series 1 (cine), 5 slices of 3 phases") for note in notes)
    only, notes, _ = sort(images, series="^late$")
    assert len(only) == 1 and any("left out 15 images: --series" in note for note in notes)


def test_two_orientations_in_one_series_are_two_stacks():
    found, _, _ = sort(stack(range(0, 50, 10)) + stack(range(0, 72, 9), frame=tilted(40)))
    assert sorted(len(s.images) for s in found) == [5, 8]


def test_interleaved_sets_are_told_apart_by_their_gaps_or_their_place_in_the_plane():
    found, _, _ = sort(stack([0, 3, 10, 13, 20, 23, 30, 33]))
    assert [s.part for s in found] == ["a", "b"]
    np.testing.assert_allclose([np.linalg.norm(s.affine[:3, 2]) for s in found], 10)
    found, _, _ = sort(stack(range(0, 40, 10)) + stack(range(5, 45, 10), offset=(9.0, 0.0)))
    assert len(found) == 2 and all(len(s.images) == 4 for s in found)


def test_tilted_slices_of_a_stack_are_an_error_that_says_how_much():
    line = refusal(stack([0, 10, 20, 40, 50]) + stack([30], frame=tilted(4)))
    assert "slices differ in orientation: 1 of series 1 by 4.0 degrees" in line
    # Nobody knows which of these is right.
    line = refusal([i for k in range(6) for i in stack([10 * k], frame=tilted(3 * k))])
    assert "slices differ in orientation" in line


def test_rounded_orientations_are_one():
    images = [i for k in range(5) for i in stack([10 * k], frame=TURN + 1e-6 * (k % 2))]
    assert len(sort(images)[0]) == 1


def test_missing_slice_irregular_spacing_and_displaced_slice_are_named():
    line = refusal(stack([0, 10, 20, 40, 50]))
    assert "slices are missing between slice 3 (at 20.0 mm) and the next (at 40.0 mm), others are 10.0 mm apart" in line
    assert "10.00 to 13.00 mm apart" in refusal(stack([0, 10, 20, 33, 43]))
    line = refusal(stack([0, 10, 20, 30]) + stack([40], offset=(0.0, 6.0)))
    assert "1_40_0.dcm is displaced in its plane by 6.0 mm" in line


def test_missing_phases_name_the_slice_and_the_counts():
    images = [i for i in stack(range(0, 60, 10)) if i.path.name != "1_20_1.dcm"]
    line = refusal(images)
    assert "slice 3 (at 20.0 mm) has 2 phases, most have 3" in line
    assert "slice 3" in refusal(images, drop_incomplete=True)  # not at an end
    images = [i for i in stack(range(0, 60, 10)) if i.path.name not in ("1_0_1.dcm", "1_50_2.dcm")]
    found = sort(images, drop_incomplete=True)[0][0]
    assert len(found.images) == 4
    np.testing.assert_allclose(found.affine[:3, 3], 10 * TURN[2] * [-1, -1, 1], atol=1e-9)


def test_repeated_acquisitions_need_a_choice():
    again = [image(20, t, series="2", description="sax 2") for t in range(3)]
    images = [i for k in range(5) for i in stack([10 * k], series=f"{k + 3}", description=f"sax {k + 3}")] + again
    assert "slice 3 (at 20.0 mm) was acquired 2 times (series 2 (sax 2), series 5 (sax 5))" in refusal(images)
    for choice, number in (("first", 2), ("last", 5)):
        found = sort(images, duplicates=choice)[0][0]
        assert {i.number for i in found.images[2]} == {number} and len(found.images[2]) == 3


def test_two_images_of_one_time_are_named():
    copy = image(20, 1, instance=77777, path=Path("copy.dcm"))
    images = stack(range(0, 50, 10)) + [copy]
    line = refusal(images)
    assert "slice 3 (at 20.0 mm) has two images of trigger 40: 1_20_1.dcm and copy.dcm" in line
    assert sort(images, duplicates="last")[0][0].images[2][1] is copy
    assert sort(images, duplicates="first")[0][0].images[2][1] is not copy
    # Not taken for two phases, even where every slice is there twice.
    twice = [image(d, 0, trigger_ms=500.0, instance=k) for d in range(0, 50, 10) for k in range(2)]
    assert "two images of trigger 500" in refusal(twice)


def test_a_faulty_stack_does_not_take_a_good_one_with_it():
    found, _, faults = sort(stack(range(0, 50, 10)) + stack([0, 10, 30, 40], series="2"))
    assert len(found) == 1 and len(faults) == 1 and "series 2: slices are missing" in str(faults[0])


def test_no_stack_says_what_there_is():
    line = refusal(stack([0], frame=tilted(90), description="2CH"))
    assert "holds no stack of 4 slices (left out 3 images of series 1 (2CH): 1 position, no stack)" in line
    assert len(sort(stack([0, 10]), min_slices=2)[0]) == 1


@pytest.mark.parametrize("wrong", [{"duplicates": "both"}, {"min_slices": 1}, {"series": "("}])
def test_wrong_options_are_told(wrong):
    with pytest.raises(InputError, match=f"--{next(iter(wrong))}"):
        DicomOptions(**wrong)


@pytest.mark.parametrize("first", [7, 5, 2])
def test_slices_in_two_series_of_one_description_are_one_stack(first):
    images = [i for k in range(10) for i in stack([10 * k], series=str(1 + (k >= first)), description="sax")]
    found, _, faults = sort(images)
    assert [len(s.images) for s in found] == [10] and not faults
    odd = [i for k in range(10) for i in stack([10 * k], series=str(1 + k % 2), description="sax")]
    assert [len(s.images) for s in sort(odd)[0]] == [10]


def test_slices_of_another_description_that_continue_a_stack_are_a_fault():
    images = stack(range(0, 60, 10), description="sax") + stack([60, 70], series="2", description="base")
    assert "2 positions, no stack, but they continue the grid of series 1 (sax)" in refusal(images)
    # Both remedies work.
    assert [len(s.images) for s in sort(images, series="^sax$")[0]] == [6]
    assert [len(s.images) for s in sort(images, join="all")[0]] == [8]
    # A third stack of the study is not taken with it.
    found, _, faults = sort(images + stack(range(0, 50, 10), series="3", frame=tilted(40)))
    assert [i.images[0][0].number for i in found] == [3] and len(faults) == 1


@pytest.mark.parametrize("clock", ["trigger_ms", "temporal"])
def test_a_series_for_each_phase_is_a_cine(clock):
    images = []
    for t in range(3):
        time = {"trigger_ms": 40.0 * t if clock == "trigger_ms" else None, "temporal": t + 1}
        images += [image(d, t, series=str(10 + t), description="cine", **time) for d in range(0, 60, 10)]
    found, _, _ = sort(images)
    assert [(len(s.images), len(s.images[0])) for s in found] == [(6, 3)]
    assert [i.series for i in found[0].images[2]] == ["10", "11", "12"]


def test_two_runs_in_one_series_are_not_one_cine():
    images = [
        image(d, t, trigger_ms=40.0 * t + 3.7 * run, instance=1000 * run + d + t, acquired=(1, run, "", d + t))
        for run in (0, 1)
        for d in range(0, 50, 10)
        for t in range(3)
    ]
    assert "slice 1 (at 0.0 mm) was acquired 2 times" in refusal(images)
    assert [i.trigger_ms for i in sort(images, duplicates="last")[0][0].images[0]] == [3.7, 43.7, 83.7]


@pytest.mark.parametrize("lean", [0.05, 0.1, 1.0])
def test_a_leaning_stack_is_one_and_its_affine_leans(lean):
    found, _, _ = sort([i for k in range(12) for i in stack([10 * k], offset=(lean * k, 0.0))])
    assert [len(s.images) for s in found] == [12]
    third = (10 * TURN[2] + lean * TURN[0]) * [-1, -1, 1]
    np.testing.assert_allclose(found[0].affine[:3, 2], third, atol=1e-9)


def test_phases_of_one_trigger_time_go_by_instance_number():
    images = [image(d, t, trigger_ms=600.0, instance=10 * d + t) for d in range(0, 50, 10) for t in range(3)]
    found = sort(images)[0][0]
    assert [i.instance for i in found.images[1]] == [100, 101, 102] and found.phase_ms is None


def test_a_series_for_each_file_is_a_cine():
    images = [image(d, t, series=f"1.{d}.{t}", description="cine") for d in range(0, 50, 10) for t in range(3)]
    found = sort(images)[0][0]
    assert (len(found.images), len(found.images[0])) == (5, 3)


def test_a_stack_in_pieces_beside_another_one_goes_to_the_right_one():
    pieces = [(range(0, 70, 10), "1"), (range(70, 100, 10), "2"), (range(0, 40, 10), "3"), (range(40, 80, 10), "4")]
    found, notes, _ = sort([i for depths, series in pieces for i in stack(depths, series=series)])
    assert sorted(len(s.images) for s in found) == [8, 10]
    assert sum("2 series make one stack" in note for note in notes) == 2
    apart, _, faults = sort(stack(range(0, 40, 10)) + stack(range(40, 80, 10), series="2"), join="none")
    assert [len(s.images) for s in apart] == [4, 4] and not faults


def test_two_runs_in_two_series_or_by_the_order_of_instances_are_not_one_cine():
    def run(k, **changes):
        shift = 3.7 * k
        return [
            image(d, t, trigger_ms=40.0 * t + shift, instance=1000 * k + d + t, path=Path(f"{k}_{d}_{t}"), **changes)
            for d in range(0, 50, 10)
            for t in range(3)
        ]

    two = run(0) + run(1, series="2")
    assert [len(s.images[0]) for s in sort(two)[0]] == [3, 3]
    same = [i for k in (0, 1) for i in run(k, acquired=(1, 0, "", 0))]
    assert "was acquired 2 times" in refusal(same)
    assert [i.trigger_ms for i in sort(same, duplicates="first")[0][0].images[0]] == [0, 40, 80]
    # Phases that go on in a second series are one cycle.
    on = [image(d, t, series=str(1 + (t > 2))) for d in range(0, 50, 10) for t in range(6)]
    assert [len(s.images[0]) for s in sort(on)[0]] == [6]


def test_single_phases_that_do_not_say_when_are_kept_apart_unless_the_user_says_so():
    images = [image(d, t, series=str(10 + t), trigger_ms=None, instance=d) for d in range(0, 60, 10) for t in range(3)]
    found, notes, _ = sort(images)
    assert len(found) == 3
    assert any(isinstance(note, Doubt) and "--phases_by series" in note for note in notes)
    (cine,), _, _ = sort(images, phases_by="series")
    assert (len(cine.images), len(cine.images[0])) == (6, 3)
    assert [i.number for i in cine.images[3]] == [10, 11, 12]


def test_displaced_slices_are_told_against_a_leaning_line():
    leaning = [i for k in range(8) for i in stack([10 * k], offset=(1.0 * k + (k == 5) * 3.0, 0.0))]
    assert "1_50_0.dcm is displaced" in refusal(leaning)
    # A little noise about the line is none.
    noise = [i for k in range(8) for i in stack([10 * k], offset=(1.0 * k + 0.2 * (-1) ** k, 0.0))]
    assert len(sort(noise)[0]) == 1
    assert any("lean by" in note for note in sort(noise)[1])


def test_trigger_times_that_no_cine_has_are_refused():
    late = [
        image(d, t, trigger_ms=12345.0 if (d, t) == (20, 1) else 40.0 * t) for d in range(0, 50, 10) for t in range(3)
    ]
    assert "slice 3 (at 20.0 mm) has trigger times 0, 80, 12345 ms" in refusal(late)
    assert [i.instance for i in sort(late, phases_by="instance")[0][0].images[2]] == [1200, 1201, 1202]
    assert len(sort(late, phases_by="trigger")[0]) == 1
    swapped = [
        image(d, t, trigger_ms=75.0 if (d, t) == (20, 0) else 40.0 * t) for d in range(0, 50, 10) for t in range(2)
    ]
    assert any(isinstance(note, Doubt) and "in slice 3 InstanceNumber" in note for note in sort(swapped)[1])
    assert "does not say its time by temporal" in refusal(late, phases_by="temporal")


def test_copies_of_an_image_count_once():
    images = [image(d, t, sop=f"{d}.{t}") for d in range(0, 50, 10) for t in range(3)]
    found, notes, _ = sort(images + images[4:6])
    assert [len(part) for part in found[0].images] == [3] * 5
    assert any("left out 2 images of series 1: copies" in note for note in notes)


def test_echoes_are_stacks_of_their_own():
    images = [
        image(d, 0, instance=k, echo_ms=2.0 * k, acquired=(1, 0, "", k)) for d in range(0, 50, 10) for k in (1, 2, 3)
    ]
    assert [(len(s.images), len(s.images[0])) for s in sort(images)[0]] == [(5, 1)] * 3


@pytest.mark.parametrize(
    "changes",
    [{"shape": (63, 48)}, {"spacing": (1.5, 2.0)}, {"kind": ("DERIVED",)}, {"frame": tilted(1)}, {"echo_ms": 30.0}],
)
@pytest.mark.parametrize("depth", [0, 50])
def test_an_image_of_the_series_that_fits_nowhere_is_an_error(changes, depth):
    images = [image(d, 0, **(changes if d == depth else {})) for d in range(0, 60, 10)]
    line = refusal(images)
    assert "are of this series" in line or "differ in orientation" in line
