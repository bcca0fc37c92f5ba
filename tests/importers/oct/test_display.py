# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter
from skimage.io import imread

from custom.importers.oct.display import (
    coloured_overlay,
    estimate_colour_map,
    fill_overlay,
    static_overlay,
    undo_colour_map,
)

REAL = Path(__file__).resolve().parents[3] / "shared/data/ivoct"
GOLD_KNOTS = ([0, 134, 227, 255], [0, 59, 172, 255], [0, 2, 51, 255])
GOLD = np.stack([np.interp(np.arange(256), [0, 64, 150, 255], knots) for knots in GOLD_KNOTS], axis=1)


@pytest.fixture(scope="module")
def real():
    if not REAL.is_dir():
        pytest.skip("real pullback absent: shared/data/ivoct beside the repository")
    with np.load(REAL / "pullback_frames_001_130.npz") as pullback:
        frames, mask = pullback["frames"][::2], pullback["overlay_mask"]
        gray = pullback["frames"][:8]
    rgb = np.stack([imread(path)[..., :3] for path in sorted((REAL / "rgb_frames").iterdir())])
    return {"frames": frames.transpose(1, 2, 0), "mask": mask, "gray": gray, "rgb": rgb}


def speckle(shape=(96, 96), count=6, seed=0):
    noise = np.random.default_rng(seed).random((count, *shape))
    return (255 * gaussian_filter(noise, (0, 3, 3)) ** 2).astype(np.uint8)


def test_gray_rgb_keeps_its_values():
    gray = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(undo_colour_map(np.stack([gray] * 3, axis=-1)), gray)


def test_gold_map_is_undone_in_order():
    gray = undo_colour_map(np.rint(GOLD).astype(np.uint8))
    assert (np.diff(gray.astype(int)) >= 0).all() and gray[0] == 0 and gray[255] == 255


def test_a_rainbow_is_refused():
    level = np.random.default_rng(0).integers(0, 256, (64, 64))
    rainbow = np.stack(
        [np.interp(level, [0, 128, 255], knots) for knots in ([0, 0, 255], [0, 255, 0], [255, 0, 0])], -1
    )
    with pytest.raises(ValueError, match="dark to bright"):
        estimate_colour_map(rainbow.astype(np.uint8))


def test_coloured_marks_are_found_on_a_gold_map():
    rgb = np.rint(GOLD[speckle()]).astype(np.uint8)
    marks = np.zeros(rgb.shape[1:3], bool)
    marks[40:42, 10:80] = marks[60:64, 60:64] = True
    rgb[:, marks] = (0, 180, 180)
    np.testing.assert_array_equal(coloured_overlay(rgb, estimate_colour_map(rgb)), marks)


def test_filling_takes_a_ramp_up_again():
    ramp = np.add.outer(np.arange(30), 2 * np.arange(40)).astype(np.uint8)
    mask = np.zeros(ramp.shape, bool)
    mask[10:14, 5:30] = mask[20, 39] = True
    frames = np.stack([ramp, ramp // 2], axis=-1)
    spoiled = np.where(mask[..., None], 255, frames).astype(np.uint8)
    filled = fill_overlay(spoiled, mask)
    assert (spoiled[mask] == 255).all()
    np.testing.assert_array_equal(filled[~mask], frames[~mask])
    assert np.abs(filled.astype(int) - frames).max() <= 2


def test_few_frames_have_no_static_overlay():
    assert not static_overlay(np.full((20, 20, 5), 9, np.uint8)).any()


def test_real_colour_frames_match_their_gray(real):
    for rgb, gray in zip(real["rgb"], real["gray"], strict=True):
        outside = ~real["mask"]
        assert np.corrcoef(undo_colour_map(rgb)[outside], gray[outside])[0, 1] > 0.99


def test_real_overlay_is_found_by_colour(real):
    found = binary_dilation(coloured_overlay(real["rgb"], estimate_colour_map(real["rgb"][::3])))
    assert found[real["mask"]].mean() > 0.98
    assert found.mean() < 0.02


def test_real_overlay_is_found_standing_still(real):
    found = binary_dilation(static_overlay(real["frames"]))
    assert found[real["mask"]].mean() > 0.95
    # Not in the mask that comes with the data: the yellow half of the caliper.
    assert found[502:516, 430:444].any() and found[640:652, 493:506].any()
    assert found.mean() < 0.02
