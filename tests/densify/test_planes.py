# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from custom.densify.planes import gray, stored_slices, turn_of
from custom.scans.scans import inspect_scan

#: Directions of the picture's lower and right side in a NIfTI's world: axial, coronal, sagittal as on a workstation.
SHOWN = {"axial": ((0, -1, 0), (-1, 0, 0)), "coronal": ((0, 0, -1), (-1, 0, 0)), "sagittal": ((0, 0, -1), (0, -1, 0))}


@pytest.mark.parametrize("view", SHOWN)
@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_slices_are_shown_as_on_a_workstation_however_they_are_stored(tmp_path, view, transpose, signs):
    down, right = (np.array(direction, float) for direction in SHOWN[view])
    stored = [signs[0] * down, signs[1] * right]  # of the array's first and second axis
    stored = stored[::-1] if transpose else stored
    spacing = (2.0, 1.0) if transpose else (1.0, 2.0)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([stored[0] * spacing[0], stored[1] * spacing[1], 9 * np.cross(down, right)], axis=1)
    picture = np.arange(12).reshape(3, 4)  # down 3 pixels, right 4
    plane = picture[:: signs[0], :: signs[1]]
    plane = plane.T if transpose else plane
    path = tmp_path / "stack.nii.gz"
    nib.save(nib.Nifti1Image(np.stack([plane, plane + 1], axis=-1).astype(np.int16), affine), path)
    scan = inspect_scan(path)
    turn = turn_of(scan, "stack")
    first = next(iter(stored_slices(scan)))
    np.testing.assert_array_equal(turn(first)[0], picture)
    assert turn.pixel_mm == pytest.approx((1.0, 2.0))


@pytest.mark.parametrize("shape", [(5, 6, 3), (5, 6, 3, 2)])
def test_slices_come_in_order_with_their_phases(tmp_path, shape):
    values = np.arange(np.prod(shape)).reshape(shape).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.diag([1, 1, 8, 1])), tmp_path / "scan.nii.gz")
    slices = np.stack(list(stored_slices(inspect_scan(tmp_path / "scan.nii.gz"))))
    expected = np.moveaxis(values.reshape(5, 6, 3, -1), (2, 3), (0, 1))
    np.testing.assert_array_equal(slices, expected)


def test_gray_levels_go_from_black_to_white_and_smaller_pictures_keep_the_mean():
    planes = np.array([[[-5, 0], [50, 150]]])
    np.testing.assert_array_equal(gray(planes, (0, 100), (2, 2)), [[[0, 0], [128, 255]]])
    np.testing.assert_array_equal(gray(np.full((1, 4, 6), 50), (0, 100), (2, 3)), np.full((1, 2, 3), 128))
