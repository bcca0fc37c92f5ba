# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The heart of the cardiac phantom against what hearts do: volumes, shortening, thickening, torsion, a closed apex."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from custom.phantoms.cmr_anatomy import Heart
from custom.phantoms.cmr_fields import Noise3d, cover, ellipsoid, tube
from custom.phantoms.cmr_motion import Chamber
from custom.scans.labels import CmrLabel

SEEDS = (0, 1, 3, 5)
STEP_MM = 2.5


def heart_of(seed: int) -> Heart:
    return Heart(np.random.default_rng([seed, 0]))


def render(heart: Heart, x: np.ndarray, y: np.ndarray, z: np.ndarray, phase: float) -> tuple[np.ndarray, np.ndarray]:
    """Signal over an empty surrounding and labels at points of one shape."""
    points = tuple(p.astype(np.float32) for p in np.broadcast_arrays(x, y, z))
    canvas = np.zeros(points[0].shape, np.float32)
    labels = heart.render(canvas, points, phase, 1.0)
    return canvas, labels


@cache
def label_grid(seed: int, systole: bool) -> np.ndarray:
    """Labels (Z, X, Y) of a cube around the left ventricle, `STEP_MM` apart, at end-diastole or end-systole."""
    heart, step = heart_of(seed), STEP_MM
    phase = heart.cycle.end_systole if systole else 0.0
    across = np.arange(-heart.size - 6, heart.size + 6, step)
    along = np.arange(-4, heart.length + 12, step)
    return render(heart, across[None, :, None], across[None, None, :], along[:, None, None], phase)[1]


@pytest.fixture(scope="module")
def volumes() -> np.ndarray:
    """Cavity and myocardium in ml at end-diastole and end-systole, (seed, label, phase)."""
    grids = [[label_grid(seed, systole) for systole in (False, True)] for seed in SEEDS]
    tissues = (CmrLabel.LV_CAVITY, CmrLabel.MYOCARDIUM)
    count = [[[np.sum(grid == tissue) for grid in pair] for tissue in tissues] for pair in grids]
    return np.array(count) * STEP_MM**3 / 1000


def test_volumes_and_ejection_are_those_of_patients(volumes: np.ndarray) -> None:
    cavity = volumes[:, 0]
    assert np.all((cavity[:, 0] > 75) & (cavity[:, 0] < 315))
    ejected = 1 - cavity[:, 1] / cavity[:, 0]
    assert np.all((ejected > 0.18) & (ejected < 0.77))
    assert np.ptp(cavity[:, 0]) > 40 and np.ptp(ejected) > 0.1


def test_the_drawn_ejection_fraction_is_what_the_labels_show(volumes: np.ndarray) -> None:
    drawn = [heart_of(seed).cycle.ejection_fraction for seed in SEEDS]
    assert 1 - volumes[:, 0, 1] / volumes[:, 0, 0] == pytest.approx(drawn, abs=0.04)


def test_myocardium_is_incompressible(volumes: np.ndarray) -> None:
    muscle = volumes[:, 1]
    assert muscle[:, 1] == pytest.approx(muscle[:, 0], rel=0.05)


@pytest.mark.parametrize("seed", SEEDS)
def test_base_descends_while_the_apex_stays(seed: int) -> None:
    heart = heart_of(seed)
    z = np.arange(-6, heart.length + 10, 0.25)

    def ends(phase: float) -> tuple[float, float]:
        # Columns through the middle of the cavity: where it begins and where the mitral plane ends it.
        x, y = np.meshgrid(np.linspace(-4, 4, 3), np.linspace(-4, 4, 3))
        labels = render(heart, x[:, :, None], y[:, :, None], z, phase)[1]
        tissue = labels != CmrLabel.BACKGROUND
        return np.mean(z[tissue.argmax(axis=-1)]), np.mean(z[-1 - tissue[..., ::-1].argmax(axis=-1)])

    apex, base = np.subtract(ends(0.0), ends(heart.cycle.end_systole))
    assert 10 <= base <= 15
    assert abs(apex) < 2


@pytest.mark.parametrize("seed", SEEDS)
def test_cavity_is_open_at_the_base_only(seed: int) -> None:
    heart = heart_of(seed)
    for systole in (False, True):
        labels = label_grid(seed, systole)
        cavity = labels == CmrLabel.LV_CAVITY
        below = slice(0, int((0.8 * heart.length + 4) / STEP_MM))
        background = labels == CmrLabel.BACKGROUND
        assert cavity.any() and not cavity[:2].any()
        for axis in range(3):
            for step in (-1, 1):
                touching = np.roll(cavity, step, axis) & background
                assert not touching[below].any(), (axis, step)


@pytest.mark.parametrize("seed", SEEDS)
def test_wall_thickens_and_cavity_narrows(seed: int) -> None:
    heart = heart_of(seed)
    across = np.arange(-heart.size - 6, heart.size + 6, 0.8)
    radii = []
    for phase in (0.0, heart.cycle.end_systole):
        labels = render(heart, across[:, None], across[None, :], np.float32(0.5 * heart.length), phase)[1]
        inner = np.sum(labels == CmrLabel.LV_CAVITY)
        outer = inner + np.sum(labels == CmrLabel.MYOCARDIUM)
        radii.append(np.sqrt(np.array([inner, outer]) * 0.64 / np.pi))
    wall = [outer - inner for inner, outer in radii]
    assert 6 < wall[0] < 17
    assert wall[1] > 1.08 * wall[0]
    assert radii[1][0] < 0.97 * radii[0][0]


def test_apex_and_base_turn_against_each_other() -> None:
    """The ring of papillary muscles and trabeculae near the apex is found again, turned by the torsion."""
    heart, still = heart_of(3), heart_of(3)
    still.cycle = replace(still.cycle, apex_twist_deg=0.0, base_twist_deg=0.0)
    for h in (heart, still):
        h.warp, h.bow, h.oval = (0.0, 20.0), np.zeros(2), (0.0, 0.0, 0.0, 0.0)
    turn = np.deg2rad(np.arange(0, 360, 1.0))
    phase = heart.cycle.end_systole
    found = []
    for share in (0.4, 0.8):
        z = share * heart.length
        height = heart.cycle.material_height(np.array([z], np.float32), 1.0)
        radius = np.sqrt(heart.endo.square(height)[0] * (1 - heart.cycle.ejection_fraction)) * np.linspace(
            0.75, 0.95, 5
        )
        ring = radius * np.cos(turn)[:, None], radius * np.sin(turn)[:, None], np.float32(z)
        turned, reference = (render(h, *ring, phase)[0] for h in (heart, still))
        errors = [np.mean((np.roll(reference, shift, axis=0) - turned) ** 2) for shift in range(-30, 31)]
        found.append(float(np.argmin(errors) - 30))
        expected = np.rad2deg(heart.cycle.twist(height, 1.0)[0])
        assert found[-1] == pytest.approx(expected, abs=1.0)
        assert np.allclose(*(render(h, *ring, 0.0)[0] for h in (heart, still)), atol=1e-4)
    assert found[0] > found[1]
    apex, base = heart.cycle.twist(np.array([0.0, heart.length]), 1.0)
    assert apex > 0 > base


def test_cycle_is_periodic_and_has_one_systole() -> None:
    cycle = heart_of(0).cycle
    phases = np.linspace(0, 1, 201)
    course = np.array([cycle.contraction(phase) for phase in phases])
    assert course[0] == course[-1] == 0 and course.max() == pytest.approx(1.0, abs=1e-3)
    peak = course.argmax()
    assert 0.28 < phases[peak] < 0.42
    assert np.all(np.diff(course[: peak + 1]) >= 0) and np.all(np.diff(course[peak:]) <= 0)
    assert np.abs(np.diff(course)).max() < 0.06
    assert cycle.contraction(1.3) == pytest.approx(cycle.contraction(0.3), abs=1e-9)


def test_material_height_is_continuous_and_at_rest_far_above() -> None:
    cycle = heart_of(1).cycle
    z = np.linspace(-10, cycle.length + 90, 2001, dtype=np.float32)
    steps = np.diff(cycle.material_height(z, 1.0))
    assert np.all(steps > 0) and steps.max() < 1.5 * np.diff(z).mean()
    assert np.array_equal(cycle.material_height(z, 0.0)[z > cycle.length + 60], z[z > cycle.length + 60])
    plane = np.float32(cycle.length - cycle.descent_mm)
    assert cycle.material_height(np.array([plane]), 1.0)[0] == pytest.approx(cycle.length, abs=1e-3)


def test_chamber_volume_of_an_ellipsoid() -> None:
    # Cut at its widest height, an egg of bluntness 2 is half an ellipsoid.
    half = Chamber(radius=20, apex=0, widest=60, length=60.001, bluntness=2, narrowing=0)
    assert half.volume_ml() == pytest.approx(2 / 3 * np.pi * 20**2 * 60 / 1000, rel=1e-3)


def test_right_ventricle_lies_beside_the_left_and_never_in_it() -> None:
    for seed in SEEDS:
        heart = heart_of(seed)
        x = np.arange(-110, 50, 2.5)
        y = np.arange(-70, 70, 2.5)
        labels = render(heart, x[:, None], y[None, :], np.float32(0.6 * heart.length), 0.0)[1]
        middle = {label: x[np.nonzero(labels == label)[0]].mean() for label in (1, 2, 3)}
        assert middle[CmrLabel.RV_CAVITY] < middle[CmrLabel.LV_CAVITY] - 0.6 * heart.size
        assert np.sum(labels == CmrLabel.RV_CAVITY) * 6.25 > 200


@pytest.mark.parametrize("seed", SEEDS)
def test_right_ventricle_is_as_large_as_the_left_and_empties(seed: int) -> None:
    heart, step = heart_of(seed), 4.0
    axes = np.arange(-150, 50, step), np.arange(-90, 90, step), np.arange(-4, heart.length + 14, step)
    x, y, z = (axis.astype(np.float32) for axis in np.meshgrid(*axes, indexing="ij"))
    end = [render(heart, x, y, z, phase)[1] for phase in (0.0, heart.cycle.end_systole)]
    left, right = (np.sum(end[0] == label) for label in (CmrLabel.LV_CAVITY, CmrLabel.RV_CAVITY))
    assert 0.5 < right / left < 1.45
    assert 0.2 < 1 - np.sum(end[1] == CmrLabel.RV_CAVITY) / right < 0.7


def test_noise_is_standard_smooth_and_periodic() -> None:
    noise = Noise3d(np.random.default_rng(0))
    points = np.random.default_rng(1).uniform(0, 400, (3, 20000)).astype(np.float32)
    values = noise(*points, 5.0)
    # Linear reading between cells loses a little of the variance.
    assert abs(values.mean()) < 0.03 and 0.85 < values.std() < 1.0
    x = np.linspace(0, 40, 800, dtype=np.float32)
    line = noise(x, 0.5 * x, 2.0, 5.0)
    assert np.abs(np.diff(line)).max() < 0.1 < np.ptp(line)
    period = 48 / (1.5 * np.sqrt(2) / 5.0)
    assert np.allclose(noise(x[:50], 0 * x[:50], 0 * x[:50], 5.0), noise(x[:50] + period, 0, 0, 5.0), atol=2e-3)


def test_distances_are_distances() -> None:
    x = np.array([0.0, 12.0, 10.0], np.float32)
    zero = np.zeros(3, np.float32)
    assert tube(x, zero, zero, np.array([0, 0, -9]), np.array([0, 0, 9]), 4.0) == pytest.approx([-4, 8, 6])
    found = ellipsoid(x, zero, zero, np.zeros(3), np.full(3, 10.0))
    assert found[1:] == pytest.approx([2, 0], abs=1e-4)
    assert cover(np.array([-3.0, 0.0, 3.0]), 1.0) == pytest.approx([1, 0.5, 0])
