# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from custom.data.stack_set import cyclic_phases
from custom.data.triplets import GridTripletDataset, RandomTripletDataset
from custom.data.windows import EpochWindowSampler
from custom.errors import InputError
from custom.scans.stacks import inspect_stack, read_slices, to_unit
from custom.transforms.augmentation_order import RandReverseSlicesd


def entry(path, patient="P", **fields):
    return {"image": str(path), "patient": patient, **fields}


def unit_slices(path, axis=None):
    info = inspect_stack(path, axis)
    return to_unit(info, read_slices(info))


WHOLE = dict(crop_size=None)


def test_draw_depends_on_seed_and_index_only(stack_file):
    data = [entry(stack_file(f"{k}.nii.gz", (20, 24, 12, 3), seed=k), f"P{k}") for k in range(3)]
    first = RandomTripletDataset(data, 10, crop_size=(12, 16), seed=3)
    drawn = [first[i] for i in range(20)]
    again = RandomTripletDataset(data, 99, crop_size=(12, 16), seed=3, cache_gib=0)
    for i in reversed(range(20)):
        item = again[i]
        assert torch.equal(item["image"], drawn[i]["image"])
        assert {k: item[k] for k in item if k != "image"} == {k: drawn[i][k] for k in item if k != "image"}
    assert drawn[0]["image"].shape == (3, 1, 12, 16) and drawn[0]["image"].dtype == torch.float32
    assert all(0 <= item["image"].min() and item["image"].max() <= 1 for item in drawn)
    other = RandomTripletDataset(data, 10, crop_size=(12, 16), seed=4)
    assert not torch.equal(other[0]["image"], drawn[0]["image"])
    assert len(first) == 10 and list(EpochWindowSampler(first)) == list(range(10))


def test_triplet_holds_the_slices_and_the_phase_it_names(stack_file):
    path = stack_file("cine.nii.gz", (20, 24, 12, 3))
    slices = unit_slices(path)
    dataset = RandomTripletDataset([entry(path, slices=[2, 11])], 1, **WHOLE)
    seen = set()
    for i in range(150):
        item = dataset[i]
        first, stride, phase = item["first"], item["stride"], int(item["scan"].removeprefix("cine_t"))
        assert first >= 2 and first + 2 * stride < 11
        assert item["half_gap_mm"] == pytest.approx(stride * 2.0, rel=1e-5)
        np.testing.assert_array_equal(item["image"][:, 0], slices[first : first + 2 * stride + 1 : stride, phase])
        seen |= {("first", first), ("stride", stride), ("phase", phase)}
    assert {value for name, value in seen if name == "stride"} == {1, 2, 3, 4}
    assert {value for name, value in seen if name == "phase"} == {0, 1, 2}
    assert {value for name, value in seen if name == "first"} == set(range(2, 9))


def test_uneven_triplets_say_where_their_slices_lie(stack_file):
    path = stack_file("stack.nii.gz", (20, 24, 12))
    slices = unit_slices(path)
    dataset = RandomTripletDataset(
        [entry(path)], 1, uneven=True, transform=RandReverseSlicesd("image", prob=0.5), outer=True, **WHOLE
    )
    seen = set()
    for i in range(150):
        item = dataset[i]
        steps, first = 2 * item["stride"], item["first"]
        offsets = (steps * item["positions"]).round().int()
        ahead, back = (slices[places, 0] for places in (first + offsets, first + steps - offsets))
        assert any(np.array_equal(item["image"][:, 0], truth) for truth in (ahead, back))
        seen.add(float(item["positions"][1]))
    assert min(seen) < 0.2 and max(seen) > 0.8 and 0.5 in seen
    assert "positions" not in RandomTripletDataset([entry(path)], 1, **WHOLE)[0]


@pytest.mark.parametrize(
    "spacing, slices, strides",
    [(1.0, 40, set(range(2, 11))), (1.0, 9, {2, 3, 4}), (5.25, 9, {1, 2}), (10.0, 7, {1})],
)
def test_strides_are_those_whose_half_gaps_fit(stack_file, spacing, slices, strides):
    path = stack_file("s.nii", (6, 6, slices), (0.4, 0.4, spacing))
    dataset = RandomTripletDataset([entry(path)], 1, crop_size=(4, 4))
    assert {dataset[i]["stride"] for i in range(200)} == strides


@pytest.mark.parametrize("spacing, slices", [(0.5, 4), (12, 9)])
def test_a_stack_that_no_half_gap_fits_is_read_slice_by_slice_beside_others_only(stack_file, spacing, slices):
    path, other = stack_file("s.nii", (6, 6, slices), (0.4, 0.4, spacing)), stack_file("o.nii", (6, 6, 9))
    dataset = RandomTripletDataset([entry(path), entry(other)], 1, crop_size=(4, 4))
    assert {item["stride"] for item in map(dataset.__getitem__, range(50)) if item["scan"] == "s"} == {1}
    with pytest.raises(InputError, match=rf"^--half_gaps_mm: is .*; the nearest are {spacing:g} mm apart: give"):
        RandomTripletDataset([entry(path)], 1, crop_size=(4, 4))


def test_slices_closer_than_pixels_need_their_axis(stack_file):
    path = stack_file("dense.nii.gz", (20, 24, 30), (1.9, 1.4, 1.0))
    slices = unit_slices(path, axis=2)
    item = RandomTripletDataset([entry(path, axis=2)], 1, **WHOLE)[0]
    picks = item["first"] + item["stride"] * np.arange(3)
    np.testing.assert_array_equal(item["image"][:, 0], slices[picks, 0])
    assert RandomTripletDataset([entry(path)], 1, crop_size=(24, 30))[0]["stride"] in range(2, 6)


def test_patients_are_drawn_equally_often_whatever_they_have(stack_file):
    data = [entry(stack_file("a.nii", (8, 8, 40)), "A")]
    data += [entry(stack_file(f"b{k}.nii", (8, 8, 3), seed=k), "B") for k in range(4)]
    dataset = RandomTripletDataset(data, 1, crop_size=(8, 8))
    drawn = [dataset[i] for i in range(1000)]
    patients, scans = Counter(item["patient"] for item in drawn), Counter(item["scan"] for item in drawn)
    assert 430 < patients["A"] < 570
    assert all(90 < scans[f"b{k}"] < 160 for k in range(4))


def test_crops_reach_all_of_the_plane_and_only_the_plane(stack_file):
    path = stack_file("s.nii", (10, 12, 3))
    slices = unit_slices(path)[:, 0]
    dataset = RandomTripletDataset([entry(path)], 1, crop_size=(8, 8))
    places = {(y, x): slices[:, y : y + 8, x : x + 8] for y in range(3) for x in range(5)}
    found = set()
    for i in range(200):
        image = dataset[i]["image"][:, 0].numpy()
        found |= {place for place, crop in places.items() if np.array_equal(crop, image)}
    assert found == set(places)


def test_smaller_plane_is_centred_and_its_edge_replicated(stack_file):
    path = stack_file("s.nii", (10, 12, 3))
    slices = unit_slices(path)[:, 0]
    expected = np.pad(slices, ((0, 0), (3, 3), (0, 0)), mode="edge")
    for dataset in (
        RandomTripletDataset([entry(path)], 1, crop_size=(16, 12)),
        GridTripletDataset([entry(path)], crop_size=(16, 12)),
    ):
        np.testing.assert_array_equal(dataset[0]["image"][:, 0], expected)
    assert GridTripletDataset([entry(path)], crop_size=(16, 12))[0]["crop"] == (-3, 0)


def test_phases_go_around_the_cycle():
    assert cyclic_phases(5, 5, 3).tolist() == [3, 4, 0, 1, 2]
    assert cyclic_phases(4, 6, 2).tolist() == [2, 3, 0, 1, 2, 3]
    assert cyclic_phases(20, 8, 0).tolist() == [0, 2, 5, 7, 10, 12, 15, 17]
    assert cyclic_phases(20, 8, 15).tolist() == [15, 17, 0, 2, 5, 7, 10, 12]
    for count in range(1, 30):
        picks = cyclic_phases(30, count, 7)
        gaps = np.diff([*picks, picks[0]]) % 30 if count > 1 else np.array([30])
        assert len(set(picks.tolist())) == count and np.ptp(gaps) <= 1


@pytest.mark.parametrize("phases", [4, 5, 8])
def test_cine_triplets_show_consecutive_phases_from_anywhere(stack_file, phases):
    path = stack_file("c.nii.gz", (20, 24, 6, 5))
    slices = unit_slices(path)
    dataset = RandomTripletDataset([entry(path)], 1, phases=phases, **WHOLE)
    starts = set()
    for i in range(40):
        item = dataset[i]
        assert item["scan"] == "c" and item["image"].shape == (3, 1, phases, 20, 24)
        picks = item["first"] + item["stride"] * np.arange(3)
        matches = [
            start
            for start in range(5)
            if np.array_equal(item["image"][:, 0], slices[np.ix_(picks, cyclic_phases(5, phases, start))])
        ]
        assert len(matches) == 1
        starts.update(matches)
    assert starts == set(range(5))


def test_stacks_that_cannot_be_used_are_named(stack_file):
    stack = stack_file("s.nii", (8, 8, 6))
    short = stack_file("two.nii", (8, 8, 2))
    for dataset in (lambda *a, **k: RandomTripletDataset(*a, 1, **k), GridTripletDataset):
        with pytest.raises(InputError, match="give a 4D cine"):
            dataset([entry(stack)], phases=4)
        with pytest.raises(InputError, match="2 usable slices") as caught:
            dataset([entry(stack), entry(short)])
        assert caught.value.path == short
        with pytest.raises(InputError, match="2 usable slices"):
            dataset([entry(stack, slices=[3, 5])])
        with pytest.raises(ValueError, match="no stacks"):
            dataset([])
    with pytest.raises(InputError, match="a gap of 4 at stride 2 needs 9"):
        GridTripletDataset([entry(stack)], gap=4, stride=2)


def test_what_is_read_is_told_before_it_is_read(stack_file, tmp_path, caplog):
    caplog.set_level("INFO")
    data = [entry(stack_file(f"{k}.nii.gz", (20, 24, 12, 1), seed=k), f"P{k}") for k in range(2)]
    (tmp_path / "broken.nii.gz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="broken"):
        RandomTripletDataset([*data, entry(tmp_path / "broken.nii.gz")], 10)
    assert caplog.messages[-1] == "reading 3 scans"
