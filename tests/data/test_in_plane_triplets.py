# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from custom.data.in_plane_triplets import InPlaneTripletDataset
from custom.errors import InputError
from custom.scans.pullbacks import inspect_pullback
from custom.scans.stacks import inspect_stack, read_slices, to_unit


def entry(path, patient="P", **fields):
    return {"image": str(path), "patient": patient, **fields}


def unit_slices(path):
    info = inspect_stack(path)
    return torch.from_numpy(to_unit(info, read_slices(info))[:, 0])


@pytest.fixture
def pullback(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (40, 50, 30)).astype(np.uint8)
    nib.save(nib.Nifti1Image(frames, np.diag([1.0, 0.01, 0.2, 1.0])), tmp_path / "p.nii")
    return tmp_path / "p.nii"


def test_draw_depends_on_seed_and_index_only(stack_file, pullback):
    stacks = [entry(stack_file(f"{k}.nii.gz", (20, 24, 12, 3), seed=k), f"P{k}") for k in range(2)]
    for modality, data in (("cmr", stacks), ("oct", [entry(pullback)])):
        options = dict(modality=modality, crop_size=(12, 16))
        first = InPlaneTripletDataset(data, 10, **options, seed=3)
        drawn = [first[i] for i in range(20)]
        again = InPlaneTripletDataset(data, 99, **options, seed=3, cache_gib=0)
        for i in reversed(range(20)):
            assert torch.equal(again[i]["image"], drawn[i]["image"])
        assert drawn[0]["image"].shape == (3, 1, 12, 16) and drawn[0]["image"].dtype == torch.float32
        assert all(0 <= item["image"].min() and item["image"].max() <= 1 for item in drawn)
        assert {item["axis"] for item in drawn} == {0, 1} and len({item["step"] for item in drawn}) == 4
        other = InPlaneTripletDataset(data, 10, **options, seed=4)
        assert not torch.equal(other[0]["image"], drawn[0]["image"])


def test_planes_come_from_acquired_slices_only(stack_file):
    """Of slices 2 mm apart only those three steps apart are read, and what is between them is interpolated linearly."""
    path = stack_file("dense.nii.gz", (20, 20, 13))
    slices = unit_slices(path)
    dataset = InPlaneTripletDataset([entry(path)], 1, half_gaps_mm=(6, 7), crop_size=(32, 20))
    offsets = set()
    for i in range(40):
        item = dataset[i]
        start, stop, stride = item["slices"].tolist()
        assert stride == 3
        offsets.add(start)
        planes = [item["first"] + k * item["step"] for k in range(3)]
        acquired = slices[start:stop:stride].index_select(1 + item["axis"], torch.tensor(planes))
        acquired = acquired.movedim(1 + item["axis"], 0)[:, None]
        truth = F.interpolate(acquired, size=(32, 20), mode="bilinear", align_corners=True)
        torch.testing.assert_close(item["image"], truth)
        # The patch says no more than its acquired slices: its first and last rows are the first and last of them.
        torch.testing.assert_close(item["image"][:, :, [0, -1]], acquired[:, :, [0, -1]])
    assert offsets == {0, 1, 2}


def test_acquired_stacks_are_read_slice_by_slice_within_their_range(stack_file):
    path = stack_file("sax.nii.gz", (20, 20, 9), (1.5, 1.5, 10.0))
    dataset = InPlaneTripletDataset([entry(path, slices=[2, 8])], 1, crop_size=(16, 16))
    assert all(dataset[i]["slices"].tolist() == [2, 8, 1] for i in range(10))


def test_pullbacks_with_frames_enough_are_not_stretched(pullback):
    info = inspect_pullback(pullback)
    low, high = info.intensity_range
    frames = torch.from_numpy(((nib.load(pullback).get_fdata() - low) / (high - low)).clip(0, 1)).movedim(2, 0).float()
    dataset = InPlaneTripletDataset([entry(pullback, frames=[3, 29])], 1, "oct", steps=(1, 5), crop_size=(16, 40))
    for i in range(20):
        item = dataset[i]
        start, stop, stride = item["slices"].tolist()
        assert stride == 1 and stop - start == 16 and 3 <= start and stop <= 29
        planes = torch.tensor([item["first"] + k * item["step"] for k in range(3)])
        truth = frames[start:stop].index_select(1 + item["axis"], planes).movedim(1 + item["axis"], 0)
        windows = truth.unfold(2, 40, 1).movedim(2, 0)  # the patch is one of these
        assert any(torch.allclose(window, item["image"][:, 0]) for window in windows)


def test_depth_lies_along_the_columns_of_planes_across_the_angles(tmp_path):
    depth = np.broadcast_to(np.arange(50, dtype=np.uint8)[None, :, None], (40, 50, 30))
    nib.save(nib.Nifti1Image(depth.copy(), np.diag([1.0, 0.01, 0.2, 1.0])), tmp_path / "d.nii")
    dataset = InPlaneTripletDataset([entry(tmp_path / "d.nii")], 1, "oct", crop_size=(16, 32))
    across_angles = [dataset[i]["image"] for i in range(40) if dataset[i]["axis"] == 0]
    assert across_angles and all((image.diff(dim=3) >= 0).all() for image in across_angles)


def test_bad_input_is_told_in_one_line(stack_file, pullback):
    with pytest.raises(ValueError, match="modality is"):
        InPlaneTripletDataset([], 1, "ct")
    with pytest.raises(InputError, match="--steps: is .0,.; give"):
        InPlaneTripletDataset([], 1, steps=(0,))
    with pytest.raises(InputError, match="usable slices"):
        InPlaneTripletDataset([entry(stack_file("s.nii"), slices=[2, 3])], 1)
    with pytest.raises(InputError, match="smaller than the crop"):
        InPlaneTripletDataset([entry(pullback)], 1, "oct", crop_size=(16, 64))
