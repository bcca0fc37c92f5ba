# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The scanner of the cardiac phantom and the planes cut from what it acquired: geometry, profile, noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.ndimage import center_of_mass

from custom.phantoms.cmr import CmrStack
from custom.phantoms.cmr_scanner import GAIN, Scanner, displace, slice_profile
from custom.phantoms.cmr_views import LANDMARKS, VIEWS, cut_long_axis


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner.draw(np.random.default_rng(3), 45.0)


def test_profile_has_the_slice_thickness_at_half_maximum() -> None:
    offsets = np.linspace(-20, 20, 4001)
    profile = slice_profile(offsets, 8.0)
    assert trapezoid(profile, offsets) == pytest.approx(8.0, rel=1e-4)
    inside = offsets[profile >= 0.5]
    assert (inside[0], inside[-1]) == pytest.approx((-4, 4), abs=0.02)
    assert profile[2000] > 0.99 and slice_profile(np.array([7.0]), 8.0)[0] < 0.01


def test_noise_is_rician(scanner: Scanner) -> None:
    zero = np.zeros((200, 200), np.float32)
    plain = Scanner(**{**vars(scanner), "noise": 0.05, "noise_blur": 0.0})
    sigma = 0.05 * GAIN
    floor = plain.detect(zero, zero + 1, [1]).astype(float)
    # Magnitude of pure noise is Rayleigh: mean sigma sqrt(pi / 2), power 2 sigma^2, never below zero.
    assert floor.mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.02)
    assert np.mean(floor**2) == pytest.approx(2 * sigma**2, rel=0.03)
    assert floor.min() >= 0
    bright = plain.detect(zero + 1, zero + 1, [1]).astype(float)
    assert np.mean(bright**2) == pytest.approx(GAIN**2 + 2 * sigma**2, rel=0.005)
    assert bright.std() == pytest.approx(sigma, rel=0.03)


def test_noise_is_decided_by_its_key_and_absent_where_asked(scanner: Scanner) -> None:
    ones = np.ones((32, 32), np.float32)
    first, again, other = (scanner.detect(ones, ones, key) for key in ([1, 2], [1, 2], [1, 3]))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    silent = Scanner(**{**vars(scanner), "noise": 0.0})
    assert np.array_equal(silent.detect(-ones, ones, [1]), np.full((32, 32), GAIN))  # fat: its magnitude


def test_affine_is_oblique_orthogonal_and_right_handed(scanner: Scanner) -> None:
    affine = scanner.affine(np.array([-90.0, -80.0, -8.0]), 2.5, 45.0, oblique=True)
    axes = affine[:3, :3] / (scanner.pixel_mm, scanner.pixel_mm, 2.5)
    assert axes.T @ axes == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(axes) == pytest.approx(1.0)
    assert np.abs(axes).max() < 0.98
    # The stack runs from the apex to the base: to the right, to the back and upwards.
    assert axes[0, 2] > 0.2 and axes[1, 2] < -0.2 and axes[2, 2] > 0
    straight = scanner.affine(np.zeros(3), 2.5, 45.0, oblique=False)
    assert straight[:3, :3] == pytest.approx(np.diag([scanner.pixel_mm, scanner.pixel_mm, 2.5]))


def test_points_and_affine_name_the_same_place(scanner: Scanner) -> None:
    """Distances to the middle of the ventricle agree in heart, patient and world coordinates."""
    axes = np.array([-20.0, 15.0]), np.array([3.0, 40.0]), np.array([10.0, 60.0])
    points = scanner.points(*axes, 45.0)
    patient = np.stack(scanner.to_patient(points, 45.0), axis=-1)
    affine = scanner.affine(np.array([0.0, 0.0, 0.0]), 1.0, 45.0, oblique=True)
    for k, z in enumerate(axes[2]):
        for i, x in enumerate(axes[0]):
            for j, y in enumerate(axes[1]):
                voxel = [x / scanner.pixel_mm, y / scanner.pixel_mm, z, 1.0]
                assert (affine @ voxel)[:3] - scanner.world_mm == pytest.approx(patient[k, i, j], abs=1e-3)


def test_coils_are_smooth_and_one_at_the_heart(scanner: Scanner) -> None:
    line = np.linspace(-80, 80, 161, dtype=np.float32)
    field = scanner.sensitivity((line, -0.5 * line, 0.3 * line))
    assert field[80] == pytest.approx(1.0, abs=1e-5)
    assert np.all(field > 0) and np.ptp(field) > 0.1
    assert np.abs(np.diff(field)).max() < 0.08


def test_displacement_is_that_of_a_breath_hold() -> None:
    image = np.zeros((40, 40), np.float32)
    image[18:22, 18:22] = 1.0
    moved = displace(image, np.array([2.5, -4.0]), order=3)
    assert np.subtract(center_of_mass(moved), center_of_mass(image)) == pytest.approx([2.5, -4.0], abs=0.05)
    assert displace(image, np.zeros(2), order=3) is image


@pytest.fixture(scope="module")
def ramp() -> tuple[CmrStack, np.ndarray]:
    """A stack on an oblique grid and the world coordinates of its voxels, (3, X, Y, Z)."""
    scanner = Scanner.draw(np.random.default_rng(5), 45.0)
    affine = scanner.affine(np.array([-100.0, -100.0, -30.0]), 5.0, 45.0, oblique=True)
    voxels = np.stack(np.meshgrid(*(np.arange(n) for n in (160, 160, 30)), indexing="ij"))
    world = np.tensordot(affine[:3, :3], voxels, 1) + affine[:3, 3][:, None, None, None]
    heart = np.array([[0, 0, 0], [0, 0, 90], [-8, -5, 90], [-40, 5, 90], [8, 40, 90]], float)
    axes = scanner.anatomy @ scanner.plan
    marks = scanner.world_mm + (heart - (0, 0, 45)) @ axes.T
    still = np.zeros((160, 160, 30, 1), np.int16)
    return CmrStack(still, still.astype(np.uint8), affine, dict(zip(LANDMARKS, marks, strict=True)), 800.0), world


@pytest.mark.parametrize("view", VIEWS)
def test_long_axis_planes_pass_through_their_landmarks(ramp: tuple[CmrStack, np.ndarray], view: str) -> None:
    stack, world = ramp
    cut = np.stack(
        [cut_long_axis(stack, view, size=81, spacing=1.5, array=part[..., None])[..., 0] for part in world], axis=-1
    )
    rows, columns = np.diff(cut, axis=0), np.diff(cut, axis=1)
    assert np.linalg.norm(rows, axis=-1) == pytest.approx(1.5, abs=1e-3)
    assert np.linalg.norm(columns, axis=-1) == pytest.approx(1.5, abs=1e-3)
    normal = np.cross(rows[0, 0], columns[0, 0]) / 1.5**2
    for name in ("apex", "mitral", VIEWS[view]):
        assert abs((stack.landmarks[name] - cut[40, 40]) @ normal) < 1e-2
    # Apex up, landmark on the left.
    assert (stack.landmarks["mitral"] - stack.landmarks["apex"]) @ rows[0, 0] > 0
    assert (stack.landmarks[VIEWS[view]] - stack.landmarks["mitral"]) @ columns[0, 0] < 0


def test_unknown_view_is_refused(ramp: tuple[CmrStack, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="2ch, 3ch, 4ch"):
        cut_long_axis(ramp[0], "5ch")
