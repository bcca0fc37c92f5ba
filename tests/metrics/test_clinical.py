# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math

import numpy as np
import pytest

from custom.metrics.clinical import heart_measures, ventricle_function, volumes_ml, voxel_volume_mm3

PIXEL = 1.5


def ellipsoid(radii, spacing, shape, labels=None, number=1):
    """Label voxels (N, H, W) within an ellipsoid about the middle of the volume; radii and spacing in mm."""
    labels = np.zeros(shape, np.uint8) if labels is None else labels
    grid = np.meshgrid(*((np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij")
    labels[sum((g / r) ** 2 for g, r in zip(grid, radii, strict=True)) <= 1] = number
    return labels


def beating(slice_mm, factors=(1.0, 0.8, 0.6, 0.9)):
    shape, spacing = (int(120 / slice_mm), 64, 64), (slice_mm, PIXEL, PIXEL)
    phases = []
    for factor in factors:
        wall = ellipsoid((45, 33, 33), spacing, shape, number=2)
        phases.append(ellipsoid((45 * factor, 25 * factor, 25 * factor), spacing, shape, wall, 1))
    return np.stack(phases, axis=1), slice_mm * PIXEL**2


def volume(*radii):
    return 4 / 3 * math.pi * math.prod(radii) / 1000


def test_ellipsoids():
    labels, voxel = beating(2.0)
    measures = heart_measures(labels, voxel)
    full = volume(45, 25, 25)
    np.testing.assert_allclose(measures.lv_volumes_ml, [full * f**3 for f in (1, 0.8, 0.6, 0.9)], rtol=0.02)
    lv = measures.lv
    assert (lv.end_diastole, lv.end_systole) == (0, 2)
    assert lv.edv_ml == pytest.approx(full, rel=0.02) and lv.esv_ml == pytest.approx(full * 0.216, rel=0.02)
    assert lv.stroke_volume_ml == pytest.approx(lv.edv_ml - lv.esv_ml)
    assert lv.ejection_fraction == pytest.approx(1 - 0.216, abs=0.01)
    # The wall is what is left of the outer ellipsoid at end-diastole.
    assert measures.mass_g == pytest.approx(1.05 * (volume(45, 33, 33) - full), rel=0.03)


def test_a_dense_stack_has_thinner_voxels_and_the_same_volume():
    truth = volume(45, 25, 25)
    for slice_mm in (10.0, 5.0, 2.5):
        labels, voxel = beating(slice_mm)
        assert volumes_ml(labels, voxel, 1)[0] == pytest.approx(truth, rel=0.03)
    dense, thin = beating(2.5)
    assert volumes_ml(dense, 4 * thin, 1)[0] > 3 * truth  # voxels of the sparse stack would be wrong


def test_rows_say_what_needs_a_cine():
    labels, voxel = beating(5.0)
    rows = {(row["measure"], row["phase"]): row for row in heart_measures(labels, voxel).rows()}
    assert rows["LV volume", 2]["unit"] == "ml" and rows["LV ESV", 2]["value"] == rows["LV volume", 2]["value"]
    assert float(rows["LV ejection fraction", ""]["value"]) == pytest.approx(78.4, abs=1.5)
    assert rows["RV ejection fraction", ""]["value"] == ""
    single = {row["measure"]: row["value"] for row in heart_measures(labels[:, :1], voxel).rows()}
    assert single["LV EDV"] != "" and single["LV ESV"] == single["LV ejection fraction"] == ""


def test_voxels_of_oblique_grids():
    turned = np.array([[0, -1, 0.5], [1, 0, 0], [0, 0, math.sqrt(0.75)]]) * (1.5, 1.5, 8)
    affine = np.eye(4)
    affine[:3, :3] = turned
    assert voxel_volume_mm3(affine) == pytest.approx(1.5 * 1.5 * 8 * math.sqrt(0.75))


def test_bad_input():
    with pytest.raises(ValueError, match="N, T, H, W"):
        volumes_ml(np.zeros((3, 4, 4)), 1.0, 1)
    with pytest.raises(ValueError, match="volume"):
        volumes_ml(np.zeros((3, 1, 4, 4)), 0.0, 1)
    assert ventricle_function(np.zeros(3)).ejection_fraction is None
