# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The dictionary route of MONAI Label and Deploy for cardiac MR, against the route from disk to disk."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, DeleteItemsd, EnsureChannelFirstd, LoadImaged, SaveImaged
from scipy.spatial.transform import Rotation

from custom.inferers.gaps import GapInferer
from custom.inferers.scans import interpolate_scan
from custom.interpolators.classical import LinearFrames
from custom.transforms.grid import DenseGridd
from custom.transforms.intensity import RestoreIntensityd, UnitIntensityd, intensity_scale, restore_slice
from custom.transforms.phases import PhasesFirstd, PhasesLastd

PERCENTILES = (0.5, 99.5)


def save_stack(path, dtype, axis, phases):
    shape, spacing = [9, 8, 7], np.array([1.4, 1.3, 1.5])
    shape[axis], spacing[axis] = 3, 9.0
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix() @ np.diag(spacing)
    affine[:3, 3] = [-12, 30, 7]
    shape = (*shape, phases) if phases else tuple(shape)
    values = np.random.default_rng(axis).integers(20, 90, shape).astype(dtype)
    values.flat[:3], values.flat[-2:] = 250, 0
    nib.save(nib.Nifti1Image(values, affine), path)
    return values, affine


def dictionary_route(path, output_dir, factor, dtype):
    inferer = GapInferer(factor=factor, axis=None)
    return Compose(
        [
            LoadImaged(keys="image", dtype=None),
            EnsureChannelFirstd(keys="image"),
            PhasesLastd(keys="image"),
            UnitIntensityd(keys="image", percentiles=PERCENTILES),
            lambda data: {**data, "pred": inferer(inputs=data["image"][None], network=LinearFrames())[0]},
            DenseGridd(axis=None),
            RestoreIntensityd(axis=None, keep_excess=True),
            PhasesFirstd(keys="pred"),
            DeleteItemsd(keys=["image", "image_acquired"]),
            SaveImaged(
                keys="pred",
                output_dir=output_dir,
                output_postfix="label",
                resample=False,
                separate_folder=False,
                output_dtype=dtype,
                print_log=False,
            ),
        ]
    )({"image": path})


@pytest.mark.parametrize("phases", [0, 4])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
def test_both_routes_give_the_same_voxels_on_the_same_grid(tmp_path, dtype, axis, phases):
    values, affine = save_stack(tmp_path / "scan.nii.gz", dtype, axis, phases)
    dictionary_route(tmp_path / "scan.nii.gz", tmp_path, 3, dtype)
    interpolate_scan(tmp_path / "scan.nii.gz", tmp_path, LinearFrames(), GapInferer(3))
    label, disk = (nib.load(tmp_path / f"scan_{route}.nii.gz") for route in ("label", "interp"))
    dense = np.asanyarray(label.dataobj)
    assert dense.dtype == dtype and np.array_equal(dense, np.asanyarray(disk.dataobj))
    assert np.array_equal(np.moveaxis(dense, axis, 0)[::3], np.moveaxis(values, axis, 0))
    np.testing.assert_allclose(label.affine, disk.affine, atol=1e-4)
    assert dense.max() == pytest.approx(250) and dense.min() == pytest.approx(0, abs=1e-6)


def test_what_the_range_cuts_off_is_mixed_into_synthetic_slices():
    stack = torch.randint(20, 90, (1, 40, 50, 2), generator=torch.Generator().manual_seed(0)).to(torch.int16)
    stack[0, 0, 0] = torch.tensor([2000, 1000])
    data = UnitIntensityd(keys="image", percentiles=PERCENTILES)({"image": stack})
    data["pred"] = GapInferer(4, axis=2)(data["image"][None], LinearFrames())[0]

    def restored(**options):
        return RestoreIntensityd(**options)(data)["pred"][0, 0, 0].tolist()

    assert restored(keep_excess=True) == [2000, 1750, 1500, 1250, 1000]
    (first, *clipped, last), high = restored(), round(np.percentile(stack, PERCENTILES[1]))
    assert (first, last) == (2000, 1000) and clipped == [high] * 3


def test_the_percentiles_are_an_option_and_octs_rule_the_default():
    volume = torch.arange(256, dtype=torch.uint8).repeat(4).reshape(1, 4, 16, 16)
    assert intensity_scale(volume).intensity_range == (0, 255)
    low, high = intensity_scale(volume, (10, 90)).intensity_range
    assert low == pytest.approx(25.5, abs=0.5) and high == pytest.approx(229.5, abs=0.5)
    assert intensity_scale(volume.short()).intensity_range != intensity_scale(volume.short(), (10, 90)).intensity_range


def test_a_synthetic_slice_stays_within_its_dtype():
    scale = intensity_scale(torch.tensor([0, 0, 10, 200, 255, 255], dtype=torch.uint8), (20, 80))
    ends = np.full((2, 2), 255, np.uint8), np.full((2, 2), 250, np.uint8)
    restored = restore_slice(scale, np.full((2, 2), 1.4, np.float32), *ends, 0.5)
    assert restored.dtype == np.uint8 and 252 <= restored.min() <= restored.max() <= 255


@pytest.mark.parametrize("batched", [False, True])
def test_the_grid_of_a_cine(batched):
    affine = torch.diag(torch.tensor([1.5, 9.0, 1.5, 1.0], dtype=torch.float64))
    image, pred = MetaTensor(torch.rand(1, 4, 3, 6, 5), affine=affine), torch.rand(1, 4, 7, 6, 5)
    if batched:
        image, pred = image[None], pred[None]
        image.affine = affine[None]
    dense = DenseGridd(axis=None)({"image": image, "pred": pred})["pred"]
    assert dense.affine.shape == image.affine.shape
    assert torch.diagonal(dense.affine.reshape(4, 4)).tolist() == [1.5, 3.0, 1.5, 1.0]
    assert dense.meta["spatial_shape"].tolist() == [4, 7, 6]


def test_phases_to_the_end_and_back_keep_the_grid():
    affine = torch.diag(torch.tensor([1.5, 1.5, 9.0, 1.0], dtype=torch.float64))
    cine, volume = MetaTensor(torch.rand(4, 5, 6, 7), affine=affine), MetaTensor(torch.rand(1, 5, 6, 7))
    data = PhasesLastd(keys=["cine", "volume"])({"cine": cine, "volume": volume})
    assert data["cine"].shape == (1, 5, 6, 7, 4) and data["volume"].shape == (1, 5, 6, 7)
    assert torch.equal(data["cine"][0, ..., 2], cine[2]) and torch.equal(data["cine"].affine, affine)
    back = PhasesFirstd(keys=["cine", "volume"])(data)
    assert torch.equal(back["cine"], cine) and torch.equal(back["volume"], volume)
    with pytest.raises(ValueError, match="cine is"):
        PhasesLastd(keys="cine")(data)
