# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pytest

from custom.data.triplets import GridTripletDataset, RandomTripletDataset
from custom.scans.stacks import inspect_stack, read_slices, to_unit


def entry(path, patient="P", **fields):
    return {"image": str(path), "patient": patient, **fields}


def unit_slices(path, axis=None):
    info = inspect_stack(path, axis)
    return to_unit(info, read_slices(info))


def items_of(dataset):
    return [dataset[i] for i in range(len(dataset))]


def test_grid_asks_for_every_inner_slice_once_per_phase(stack_file):
    path = stack_file("cine.nii.gz", (20, 24, 7, 6))
    slices = unit_slices(path)
    items = items_of(GridTripletDataset([entry(path, "A")], phase_step=2, crop_size=(12, 16)))
    assert [(item["first"], item["scan"]) for item in items] == [
        (first, f"cine_t{phase:02d}") for first in range(5) for phase in (0, 2, 4)
    ]
    for item in items:
        first, phase = item["first"], int(item["scan"][-2:])
        assert item["crop"] == (4, 4) and item["patient"] == "A" and item["half_gap_mm"] == pytest.approx(2)
        crop = slices[:, phase, 4:16, 4:20]
        np.testing.assert_array_equal(item["image"][:, 0], crop[first : first + 3])
        before, after = (first - 2 if first >= 2 else first), (first + 4 if first + 4 < 7 else first + 2)
        assert item["outer"].shape == (2, 1, 12, 16)
        np.testing.assert_array_equal(item["outer"][:, 0], crop[[before, after]])


def test_longer_windows_follow_each_other_within_the_slice_range(stack_file):
    path = stack_file("s.nii", (8, 8, 30))
    slices = unit_slices(path)[:, 0]
    items = items_of(GridTripletDataset([entry(path, slices=[3, 29])], gap=4, stride=2, crop_size=None))
    assert [item["first"] for item in items] == [3, 11, 19] and items[0]["scan"] == "s" and items[0]["crop"] is None
    assert items[0]["half_gap_mm"] == pytest.approx(8)
    for item, before, after in zip(items, (3, 3, 11), (19, 27, 27), strict=True):
        np.testing.assert_array_equal(item["image"][:, 0], slices[item["first"] : item["first"] + 9 : 2])
        np.testing.assert_array_equal(item["outer"][:, 0], slices[[before, after]])


@pytest.mark.parametrize("spacing, gap, stride", [(1, 2, 8), (2, 2, 4), (3, 2, 3), (10, 2, 1), (1, 8, 2), (1.6, 2, 5)])
def test_stride_comes_nearest_to_the_half_gap(stack_file, spacing, gap, stride):
    path = stack_file("s.nii", (6, 6, 20), (0.8, 0.8, spacing))
    items = items_of(GridTripletDataset([entry(path)], gap=gap, half_gap_mm=8, crop_size=None))
    assert {item["stride"] for item in items} == {stride}
    assert items[0]["half_gap_mm"] == pytest.approx(gap / 2 * stride * spacing, rel=1e-5)


def test_cine_windows_start_with_phase_0_and_carry_their_outer_slices(stack_file):
    path = stack_file("c.nii.gz", (8, 10, 5, 6))
    slices = unit_slices(path)
    items = items_of(GridTripletDataset([entry(path)], phases=4, crop_size=None))
    assert [item["first"] for item in items] == [0, 1, 2] and {item["scan"] for item in items} == {"c"}
    assert items[0]["image"].shape == (3, 1, 4, 8, 10) and items[0]["outer"].shape == (2, 1, 4, 8, 10)
    np.testing.assert_array_equal(items[1]["image"][:, 0], slices[1:4, [0, 1, 3, 4]])
    np.testing.assert_array_equal(items[0]["outer"][:, 0], slices[[0, 4]][:, [0, 1, 3, 4]])


@pytest.mark.parametrize("centre, corner", [(None, (6, 4)), ([10, 9], (6, 1)), ([2.4, 23], (0, 8)), ([19, 0], (12, 0))])
def test_crop_is_centred_where_the_datalist_says_but_stays_inside(stack_file, centre, corner):
    path = stack_file("s.nii", (20, 24, 3))
    data = [entry(path) if centre is None else entry(path, centre=centre)]
    item = GridTripletDataset(data, crop_size=(8, 16))[0]
    y, x = item["crop"]
    assert (y, x) == corner
    np.testing.assert_array_equal(item["image"][:, 0], unit_slices(path)[:, 0, y : y + 8, x : x + 16])


def test_limited_windows_are_spread_over_slices_and_phases_and_never_repeat(stack_file):
    data = [entry(stack_file(f"{k}.nii", (6, 6, 23, 20), seed=k)) for k in (0, 1)]
    dataset = GridTripletDataset(data, crop_size=None, max_windows_per_stack=42)
    assert len(dataset) == 84 and len(set(dataset.windows)) == 84
    firsts = Counter(first for stack, first, _ in dataset.windows if stack == 0)
    phases = Counter(phase for stack, _, phase in dataset.windows if stack == 0)
    assert set(firsts.values()) == {2} and len(phases) > 12
    chosen = [(f, p) for stack, f, p in dataset.windows if stack == 1]
    alone = GridTripletDataset(data[1:], crop_size=None, max_windows_per_stack=42)
    assert [(f, p) for _, f, p in alone.windows] == chosen
    other = GridTripletDataset(data, crop_size=None, max_windows_per_stack=42, seed=1)
    assert other.windows != dataset.windows
    assert len(GridTripletDataset(data, crop_size=None, max_windows_per_stack=10**6)) == 2 * 21 * 20


def test_stacks_are_held_as_stored_and_shared_until_a_file_changes(stack_file):
    path = stack_file("s.nii.gz", (16, 16, 9, 4))
    data = [entry(path)]
    first, second = RandomTripletDataset(data, 1, crop_size=(8, 8)), GridTripletDataset(data, crop_size=(8, 8))
    assert first.stacks.cache is second.stacks.cache
    assert first.stacks.cache is not GridTripletDataset([entry(path, axis=2)], crop_size=(8, 8)).stacks.cache
    first[0], second[3]
    assert len(first.stacks.cache) == 1 and first.stacks.cache.nbytes == 16 * 16 * 9 * 4 * 2
    os.utime(path, ns=(0, 0))
    assert GridTripletDataset(data, crop_size=(8, 8)).stacks.cache is not first.stacks.cache
