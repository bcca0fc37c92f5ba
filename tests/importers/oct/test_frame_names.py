# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import pytest

from custom.errors import InputError
from custom.importers.notes import Doubt
from custom.importers.oct.frame_names import frame_series, with_gaps


def series_of(names, **options):
    found, left_out = frame_series(Path("in"), [Path("in") / name for name in names], **options)
    return {item.name: [path.name for path in item.paths] for item in found}, [path.name for path, _ in left_out], found


def test_frames_are_in_the_order_of_their_numbers():
    assert series_of(["f10.png", "f2.png", "f1.png"])[0] == {"f#": ["f1.png", "f2.png", "f10.png"]}


@pytest.mark.parametrize("drawn", ["f{}_mask.png", "f{}_roi.png", "seg_{}.png", "f{}-lumen-contour.png", "GT{}.png"])
def test_masks_beside_frames_are_left_out(drawn):
    names = [name.format(k) for k in range(3) for name in ("f{}.png", drawn)]
    found, left_out, (series,) = series_of(names)
    assert found == {"f#": ["f0.png", "f1.png", "f2.png"]} and len(left_out) == 3
    assert any("named like masks" in doubt and "--frame_names" in doubt for doubt in series.doubts)


def test_other_kinds_of_names_are_refused_and_can_be_chosen():
    names = [f"{kind}_{k}.png" for k in range(3) for kind in ("before", "after")]
    with pytest.raises(InputError, match="mixes images of 2 kinds of names.*--frame_names"):
        series_of(names)
    found, left_out, _ = series_of(names, only="^after")
    assert found == {"after_#": ["after_0.png", "after_1.png", "after_2.png"]} and len(left_out) == 3


def test_masks_are_taken_if_asked_for():
    assert list(series_of(["mask1.png", "mask2.png"])[0]) == ["mask#"]
    with pytest.raises(InputError, match="2 kinds"):
        series_of(["f1.png", "f2.png", "f1_mask.png", "f2_mask.png"], take_masks=True)


def test_two_pullbacks_of_one_folder_are_told_by_the_number_before():
    names = ["03_07.png", "03_08.png", "11_07.png", "11_08.png", "12_1.png"]
    found, left_out, series = series_of(names)
    assert found == {"03_#": names[:2], "11_#": names[2:4]} and left_out == ["12_1.png"]
    assert all(any("each is a pullback" in doubt for doubt in item.doubts) for item in series)


def test_a_time_in_the_names_does_not_part_them():
    names = [f"20200101_1015{s}_{k}.png" for k, s in enumerate((1, 4, 9, 12), start=1)]
    assert list(series_of(names)[0].values()) == [names]


@pytest.mark.parametrize("names", [["f1.png", "f01.png"], ["f1.png", "f2.png", "f02.png"]])
def test_two_images_of_one_number_are_refused(names):
    with pytest.raises(InputError, match="have the same number; rename or remove one"):
        series_of(names)


def test_names_without_numbers_are_a_doubt():
    found, _, (series,) = series_of(["b.png", "a.png"])
    assert list(found.values()) == [["a.png", "b.png"]] and "no numbers" in series.doubts[0]


def test_a_gap_is_told_with_its_numbers_and_can_be_split_at():
    *_, (series,) = series_of([f"f{k:03d}.png" for k in (1, 2, 3, 7, 8, 12)])
    (kept,), alone = with_gaps(series, "keep")
    assert kept.numbers == (1, 2, 3, 7, 8, 12) and not alone
    assert isinstance(kept.doubts[-1], Doubt) and "--gaps split" in kept.doubts[-1]
    assert "4 to 6 between 3 and 7, 9 to 11 between 8 and 12" in kept.doubts[-1]
    runs, alone = with_gaps(series, "split")
    assert [run.numbers for run in runs] == [(1, 2, 3), (7, 8)] and [path.name for path in alone] == ["f012.png"]
    assert len({run.name for run in runs}) == 2


def test_even_steps_are_no_gaps_but_a_doubt_of_the_pitch():
    *_, (series,) = series_of([f"f{k}.png" for k in (2, 4, 6)])
    (kept,), _ = with_gaps(series, "split")
    assert kept.numbers == (2, 4, 6) and "steps of 2" in kept.doubts[0] and "--frame_pitch_mm" in kept.doubts[0]
