# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Hearts of scanned shapes: volumes, ejection and shortening of patients, any pose, masks that fit the image."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from custom.phantoms.cmr import CmrPhantomConfig, CmrStack, simulate_heart
from custom.phantoms.cmr_scanned import ScannedHeart
from custom.phantoms.cmr_shapes import ASSET, HELD_OUT, LV, heart_names
from custom.scans.labels import CmrLabel

SEEDS = (0, 1, 2)
STEP_MM = 3.0
SMALL = CmrPhantomConfig(num_phases=1, matrix=40, pixel_mm=4.0, pitch_mm=16.0, thickness_mm=2.0, scanned_share=1.0)


@cache
def heart_of(seed: int) -> ScannedHeart:
    return ScannedHeart(np.random.default_rng([seed, 0]))


@cache
def labels_of(seed: int, systole: bool, pose: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    """Labels of a cube around a heart, `STEP_MM` apart, its axes turned by `pose` in degrees."""
    heart = heart_of(seed)
    x, y, half = heart.reach_mm()
    offsets = np.arange(-half - 15, half + 15, STEP_MM)
    grid = np.stack(np.meshgrid(offsets, offsets, offsets, indexing="ij"), axis=-1)
    grid = grid @ Rotation.from_euler("xyz", pose, degrees=True).as_matrix().T + (x, y, heart.length / 2)
    points = tuple(np.moveaxis(grid, -1, 0).astype(np.float32))
    return heart.render(np.zeros(points[0].shape, np.float32), points, heart.cycle.end_systole * systole, 1.0)


def volume_ml(labels: np.ndarray, label: CmrLabel) -> float:
    return float(np.sum(labels == label)) * STEP_MM**3 / 1000


def test_shapes_are_a_small_file_of_plain_arrays() -> None:
    assert ASSET.stat().st_size < 8e6
    with np.load(ASSET, allow_pickle=False) as stored:
        assert len(heart_names()) >= 15
        for name in heart_names():
            labels, origin = stored[name], stored[f"{name}_origin_mm"]
            assert labels.dtype == np.uint8 and labels.max() <= 8
            # The origin of the heart coordinates is the apex of the cavity: it begins there.
            cavity = np.argwhere(labels == LV) * float(stored["spacing_mm"]) + origin
            assert -6 < cavity[:, 2].min() < 3 and 50 < float(stored[f"{name}_length_mm"]) < 120
            assert np.sum(labels == 2) > 0
            right = np.argwhere(labels == 2).mean(axis=0) * 1.5 + origin
            assert right[0] < cavity[:, 0].mean() - 15  # on the left of a short-axis slice


@pytest.mark.parametrize("seed", SEEDS)
def test_volumes_ejection_and_shortening_are_those_of_patients(seed: int) -> None:
    heart = heart_of(seed)
    end = [volume_ml(labels_of(seed, systole), CmrLabel.LV_CAVITY) for systole in (False, True)]
    surface = (1.5, 2.2)
    index = (60, 125) if heart.infarct else (46, 96)
    assert surface[0] * index[0] * 0.95 < end[0] < surface[1] * index[1] * 1.05
    fraction = 1 - end[1] / end[0]
    assert fraction == pytest.approx(heart.cycle.ejection_fraction, abs=0.045)
    assert (0.23 if heart.infarct else 0.47) <= fraction <= (0.62 if heart.infarct else 0.75)
    assert 0.06 <= 1 - heart.cycle.stretch(1.0) <= 0.21
    muscle = [volume_ml(labels_of(seed, systole), CmrLabel.MYOCARDIUM) for systole in (False, True)]
    assert muscle[1] == pytest.approx(muscle[0], rel=0.12)  # incompressible below the valve plane
    assert 55 < muscle[0] < 220
    right = [volume_ml(labels_of(seed, systole), CmrLabel.RV_CAVITY) for systole in (False, True)]
    assert 0.4 < right[0] / end[0] < 2.2 and 0.2 < 1 - right[1] / right[0] < 0.75


def test_drawn_ranges_are_the_published_ones() -> None:
    """Of what is drawn; what labels show is within a few percent of it (above)."""
    hearts = [heart_of(seed) for seed in SEEDS]
    assert {heart.infarct for heart in hearts} == {False, True}
    for heart in hearts:
        shorter = 1 - heart.cycle.stretch(1.0)
        assert (0.06 < shorter < 0.14) if heart.infarct else (0.10 < shorter < 0.21)


def test_an_infarcted_wall_moves_less_than_the_others() -> None:
    infarcted, healthy = heart_of(0), heart_of(1)
    assert infarcted.infarct and not healthy.infarct

    def unevenness(heart: ScannedHeart) -> float:
        ring = heart.ejected[np.searchsorted(heart.shape.heights, 0.4 * heart.length)]
        return float(np.ptp(ring) / ring.max())

    assert unevenness(infarcted) > 0.2 and unevenness(healthy) < 0.05


@pytest.mark.parametrize("systole", [False, True])
def test_any_pose_shows_the_same_heart(systole: bool) -> None:
    straight, turned = (labels_of(1, systole, pose) for pose in ((0.0, 0.0, 0.0), (35.0, -50.0, 20.0)))
    for label in (CmrLabel.LV_CAVITY, CmrLabel.MYOCARDIUM, CmrLabel.RV_CAVITY):
        assert volume_ml(turned, label) == pytest.approx(volume_ml(straight, label), rel=0.03)
    assert not np.array_equal(straight, turned)


def test_tissue_is_carried_back_without_folds() -> None:
    """Along a ray, the radius at end-diastole rises with the radius now, without a jump."""
    heart = heart_of(1)
    for c in (0.0, 0.5, 1.0):
        tables = heart._tables_at(c)
        for row in np.searchsorted(heart.shape.heights, np.array([0.1, 0.4, 0.8, 1.05]) * heart.length):
            for column in (0, 30, 50, 80):
                radius = np.arange(0, 150, 0.1, dtype=np.float32)
                at = [np.full_like(radius, table[row, column]) for table in tables]
                steps = np.diff(heart._radius_at_rest(radius, *at))
                assert np.all(steps > 0) and steps.max() < 0.4, (c, row, column)
                if c == 0:
                    assert steps == pytest.approx(0.1, abs=2e-3)


def test_seed_decides_everything_and_the_share_says_which_hearts_are_scanned() -> None:
    drawn = [np.random.default_rng([seed, 5]).uniform() for seed in range(9)]
    for share in (0.0, 1.0):
        seed = next(k for k, value in enumerate(drawn) if (value < 0.5) == (share == 1.0))
        some, all_or_none = (simulate_heart(replace(SMALL, scanned_share=value), seed) for value in (0.5, share))
        assert np.array_equal(some.image, all_or_none.image) and np.array_equal(some.labels, all_or_none.labels)
    with pytest.raises(ValueError, match="scanned_share must be at most 1"):
        simulate_heart(replace(SMALL, scanned_share=1.5), 0)


def test_shapes_of_held_out_patients_are_never_trained_on() -> None:
    names = heart_names()

    def drawn(held_out: bool) -> set[str]:
        rngs = (np.random.default_rng([seed, 0]) for seed in range(200))
        pool = names[-HELD_OUT:] if held_out else names[:-HELD_OUT]
        return {str(rng.choice(pool)) for rng in rngs}

    assert drawn(True) == set(names[-HELD_OUT:]) and not drawn(True) & drawn(False)
    assert ScannedHeart(np.random.default_rng(4), held_out=True).name in drawn(True)
    assert heart_of(1).name in drawn(False)


@pytest.fixture(scope="module")
def cine() -> CmrStack:
    """Thin slices: what a label says of their middle holds for all of them."""
    config = replace(SMALL, num_phases=3, matrix=64, pixel_mm=3.0, pitch_mm=6.0, thickness_mm=1.0)
    return simulate_heart(config, 5)


def test_masks_agree_with_the_image(cine: CmrStack) -> None:
    for t in range(2):
        image, labels = cine.image[..., t].astype(float), cine.labels[..., t]
        heights = np.flatnonzero((labels == CmrLabel.MYOCARDIUM).sum(axis=(0, 1)) > 60)
        for z in heights[len(heights) // 3 : -2]:
            left, muscle, right = (np.median(image[:, :, z][labels[:, :, z] == label]) for label in (1, 2, 3))
            assert left > 1.5 * muscle and right > 1.3 * muscle, z


def test_landmarks_lie_in_the_heart(cine: CmrStack) -> None:
    def at(point: np.ndarray) -> int:
        x, y, z = np.rint(np.linalg.solve(cine.affine, [*point, 1.0])[:3]).astype(int)
        return cine.labels[x, y, z, 0]

    apex, mitral = cine.landmarks["apex"], cine.landmarks["mitral"]
    assert at(0.45 * apex + 0.55 * mitral) == CmrLabel.LV_CAVITY
    side = cine.landmarks["right"] - mitral
    assert at(0.45 * apex + 0.55 * mitral + 1.1 * side) == CmrLabel.RV_CAVITY
    axes = cine.affine[:3, :3] / np.linalg.norm(cine.affine[:3, :3], axis=0)
    assert np.abs(axes).max() < 0.98  # oblique


def test_a_patient_takes_seconds() -> None:
    """Processor time of the heart of a small stack: some 5 s on a machine at rest, most of it for the shape."""
    start = time.process_time()
    simulate_heart(replace(SMALL, matrix=96, pixel_mm=2.0, pitch_mm=10.0), 9)
    assert time.process_time() - start < 40
