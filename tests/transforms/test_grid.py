# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, DeleteItemsd, EnsureChannelFirstd, LoadImaged, SaveImaged
from scipy.spatial.transform import Rotation

from custom.inferers.gaps import GapInferer
from custom.interpolators.classical import LinearFrames
from custom.transforms.grid import DenseGridd
from custom.transforms.intensity import RestoreIntensityd, UnitIntensityd


def oblique_affine():
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix() @ np.diag([0.5, 0.7, 2.4])
    affine[:3, 3] = [-12, 30, 7]
    return affine


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("batched", [False, True])
def test_end_slices_keep_their_world_position(axis, batched):
    affine = torch.from_numpy(oblique_affine())
    shape, dense_shape = [1, 5, 6, 7], [1, 5, 6, 7]
    dense_shape[1 + axis] = (shape[1 + axis] - 1) * 4 + 1
    image = MetaTensor(torch.rand(shape), affine=affine)
    pred = torch.rand(dense_shape)
    if batched:
        image, pred = image[None], pred[None]
        image.affine = affine[None]
    dense = DenseGridd(axis=axis)({"image": image, "pred": pred})["pred"]
    assert dense.affine.shape == image.affine.shape and torch.equal(dense.as_tensor(), pred)
    new = dense.affine.reshape(4, 4)
    for ours, theirs in ((0, 0), (dense_shape[1 + axis] - 1, shape[1 + axis] - 1)):
        point = torch.zeros(4, dtype=torch.float64)
        point[3] = 1
        moved = point.clone()
        point[axis], moved[axis] = theirs, ours
        torch.testing.assert_close(new @ moved, affine @ point)
    torch.testing.assert_close(image.affine.reshape(4, 4), affine)


def test_axis_out_of_range():
    for transform in (DenseGridd, RestoreIntensityd):
        with pytest.raises(ValueError, match="axis must be 0, 1, 2 or None .*, got -1"):
            transform(keys="pred", axis=-1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_from_file_to_file(tmp_path, dtype):
    """The dictionary route of MONAI Label: load, scale, infer, grid, restore, save."""
    volume = np.random.default_rng(0).integers(0, 250, (9, 8, 5)).astype(dtype)
    volume[0, 0, 0] = 30 * (dtype != np.uint8)  # within the percentiles or not, acquired values come back
    nib.save(nib.Nifti1Image(volume, oblique_affine()), tmp_path / "scan.nii.gz")
    inferer = GapInferer(factor=3)
    Compose(
        [
            LoadImaged(keys="image", dtype=None),
            EnsureChannelFirstd(keys="image"),
            UnitIntensityd(keys="image"),
            lambda data: {**data, "pred": inferer(inputs=data["image"][None], network=LinearFrames())[0]},
            DenseGridd(),
            RestoreIntensityd(keys="pred"),
            DeleteItemsd(keys=["image", "image_acquired"]),
            SaveImaged(
                keys="pred",
                output_dir=tmp_path / "out",
                output_postfix="interp",
                resample=False,
                separate_folder=False,
                output_dtype=dtype,
                print_log=False,
            ),
        ]
    )({"image": tmp_path / "scan.nii.gz"})
    saved = nib.load(tmp_path / "out" / "scan_interp.nii.gz")
    dense = np.asanyarray(saved.dataobj)
    assert dense.shape == (9, 8, 13) and dense.dtype == dtype
    assert np.array_equal(dense[..., ::3], volume)
    expected = (2 * volume[..., 0].astype(np.float64) + volume[..., 1]) / 3
    assert np.abs(dense[..., 1] - expected).max() <= 0.51
    spacing = np.linalg.norm(saved.affine[:3, :3], axis=0)
    np.testing.assert_allclose(spacing, [0.5, 0.7, 0.8], rtol=1e-5)
    end = [0, 0, 12, 1], [0, 0, 4, 1]
    np.testing.assert_allclose(saved.affine @ end[0], oblique_affine() @ end[1], atol=1e-5)


def test_a_constant_volume_is_refused():
    with pytest.raises(ValueError, match="constant"):
        UnitIntensityd(keys="image")({"image": torch.full((1, 2, 2, 2), 3.0)})
