# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import nibabel as nib
import numpy as np
import torch

from custom.data.outer import with_outer
from custom.data.triplets import GridTripletDataset, RandomTripletDataset
from custom.data.windows import GridWindowDataset
from custom.transforms.augmentation_order import RandReverseSlicesd


def test_the_frames_beyond_lie_one_gap_away_or_are_the_ends_again():
    assert with_outer(4, 2, 1, range(0, 10)) == [2, 4, 5, 6, 8]
    assert with_outer(4, 2, 2, range(0, 9)) == [0, 4, 6, 8, 8]
    assert with_outer(1, 3, 1, range(0, 8)) == [1, 1, 2, 3, 4, 7]
    assert with_outer(4, 2, 1, range(3, 8)) == [4, 4, 5, 6, 6]


def scan(path, count):
    """Slices or frames that are constant, each brighter than the one before."""
    values = np.broadcast_to(np.arange(count, dtype=np.int16), (8, 8, count))
    nib.save(nib.Nifti1Image(values.copy(), np.diag([1.0, 1, 4, 1])), path)
    return [{"image": str(path), "patient": "P"}]


def places(item, top):
    """Indices of the slices in an item, read off their brightness."""
    return [[round(value) for value in (item[key].flatten(1).mean(1) * top).tolist()] for key in ("image", "outer")]


def test_random_triplets_have_the_same_slices_with_and_without_those_beyond(tmp_path):
    data = scan(tmp_path / "s.nii.gz", 11)
    options = dict(num_draws=1, half_gaps_mm=(4, 8), crop_size=(8, 8), transform=RandReverseSlicesd("image"))
    plain, more = RandomTripletDataset(data, **options), RandomTripletDataset(data, outer=True, **options)
    swapped = set()
    for index in range(60):
        item = more[index]
        assert torch.equal(plain[index]["image"], item["image"])
        image, outer = places(item, 10)
        swapped.add(image[0] > image[2])
        gap = image[2] - image[0]
        assert outer == [
            image[end] + side if 0 <= image[end] + side <= 10 else image[end] for end, side in ((0, -gap), (2, gap))
        ]
    assert swapped == {True, False}


def test_test_windows_of_stacks_and_pullbacks_agree_on_what_lies_beyond(tmp_path):
    data = scan(tmp_path / "s.nii.gz", 13)
    stacks = GridTripletDataset(data, gap=4, stride=1, crop_size=None)
    frames = GridWindowDataset(data, gap=4, crop_size=None, outer=True)
    assert len(stacks) == len(frames) == 3
    for index, outer in enumerate(([0, 8], [0, 12], [4, 12])):
        for dataset in (stacks, frames):
            assert places(dataset[index], 12) == [[4 * index + k for k in range(5)], outer]
    assert "outer" not in GridWindowDataset(data, gap=4, crop_size=None)[0]
