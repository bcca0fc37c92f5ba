# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import io

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from custom.densify.planes import turn_of
from custom.densify.sprites import Budget, sprites_of
from custom.scans.scans import inspect_scan


@pytest.fixture
def cine(tmp_path):
    """Each slice and phase is of one gray level of its own: 8 * slice + 2 * phase."""
    levels = 8 * np.arange(30)[:, None] + 2 * np.arange(3)
    values = np.broadcast_to(levels, (25, 18, 30, 3)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.diag([1.0, 1.0, 8.0, 1.0])), tmp_path / "cine.nii.gz")
    return inspect_scan(tmp_path / "cine.nii.gz"), values


def picture(sprites, phase, slice):
    """As the viewer finds it on the sheets."""
    number, rest = divmod(slice, sprites.per_sheet)
    row, column = divmod(rest, sprites.columns)
    sheet = np.asarray(Image.open(io.BytesIO(sprites.sheets[phase][number])))
    (height, width), (down, right) = sprites.size, sprites.pitch
    return sheet[row * down :, column * right :][:height, :width]


def test_every_slice_and_phase_is_where_the_viewer_looks_for_it(cine, monkeypatch):
    monkeypatch.setattr("custom.densify.sprites.SHEET_SIDE", 100)
    scan, values = cine
    turn = turn_of(scan, "stack")
    sprites = sprites_of(scan, turn, (0, 255))
    assert sprites.size == turn(values[..., 0, 0]).shape and len(sprites.sheets) == 3
    assert len(sprites.sheets[0]) > 1, "one sheet would not do"
    assert all(side % 8 == 0 for side in sprites.pitch)
    for slice in range(30):
        for phase in range(3):
            shown = picture(sprites, phase, slice).astype(int)
            # JPEG, yet no neighbour shines in: they differ by 8 and more.
            assert np.abs(shown - (8 * slice + 2 * phase)).max() <= 1


def test_what_does_not_fit_is_reduced_and_said(cine):
    scan, _ = cine
    turn = turn_of(scan, "stack")
    whole = sprites_of(scan, turn, (0, 255))
    assert len(whole.reductions) == 1 and "JPEG" in whole.reductions[0]
    small = sprites_of(scan, turn, (0, 255), Budget(side=10))
    assert max(small.size) <= 10 and "shown with" in small.reductions[0]
    fewer = sprites_of(scan, turn, (0, 255), Budget(pixels=25 * 18 * 30 // 4))
    assert fewer.phases == [0, 2] or fewer.phases == [0]
    assert fewer.size[0] * fewer.size[1] * 30 * len(fewer.phases) <= 25 * 18 * 30 // 4
    assert any("phases" in line for line in fewer.reductions)


def test_noise_that_jpeg_cannot_shrink_still_ends_below_the_limit(tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (64, 64, 20)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.diag([1.0, 1.0, 8.0, 1.0])), tmp_path / "noise.nii.gz")
    scan = inspect_scan(tmp_path / "noise.nii.gz")
    sprites = sprites_of(scan, turn_of(scan, "stack"), (0, 255), Budget(num_bytes=20_000))
    assert sum(len(sheet) for phase in sprites.sheets for sheet in phase) <= 20_000
    assert any("64 x 64 pixels are shown with" in line for line in sprites.reductions)
