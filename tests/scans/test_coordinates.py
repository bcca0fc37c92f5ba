# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from custom.scans.coordinates import cartesian_to_polar, polar_to_cartesian

REAL = Path(__file__).resolve().parents[3] / "shared/data/ivoct/pullback_frames_001_130.npz"


def psnr(a, b, peak=1.0):
    return 10 * np.log10(peak**2 / np.mean((a.astype(float) - b) ** 2))


def smooth_polar(num_alines=200, num_depths=128):
    """A picture that is smooth everywhere, also at the centre and across A-line 0."""
    angle = 2 * np.pi * np.arange(num_alines)[:, None] / num_alines
    radius = (np.arange(num_depths) + 0.5) / num_depths
    return 0.5 + 0.4 * np.sin(5 * radius * np.cos(angle - 0.3)) * np.cos(4 * radius * np.sin(angle))


def test_round_trips_of_a_smooth_picture():
    polar = smooth_polar()
    cartesian = polar_to_cartesian(polar)
    assert cartesian.shape == (256, 256)
    # The last depth lies on the rim of the disc, where a Cartesian frame blends into the black around it.
    assert psnr(cartesian_to_polar(cartesian, 200)[:, :-1], polar[:, :-1]) > 50
    offset = np.arange(256) - 127.5
    disc = np.hypot(offset[:, None], offset) < 126
    back = polar_to_cartesian(cartesian_to_polar(cartesian, 200))
    assert psnr(back[disc], cartesian[disc]) > 50


def test_round_trip_of_real_frames():
    if not REAL.is_file():
        pytest.skip("real pullback absent: shared/data/ivoct beside the repository")
    frames = np.load(REAL)["frames"][:2].transpose(1, 2, 0)
    polar = cartesian_to_polar(frames)
    assert polar.shape == (497, 375, 2) and polar.dtype == np.uint8
    cartesian = polar_to_cartesian(polar)
    disc = polar_to_cartesian(np.ones(polar.shape[:2])) > 0
    assert psnr(cartesian[disc], frames[disc], 255) > 35
    assert psnr(cartesian_to_polar(cartesian), polar, 255) > 40


def test_direction_of_the_axes():
    """A-line 0 points along the columns, a quarter turn later along the rows; depth grows outwards."""
    frame = np.zeros((64, 64))
    frame[31:33, 50:54] = 1
    frame[10:14, 31:33] = 2
    polar = cartesian_to_polar(frame, num_alines=8)
    assert polar.shape == (8, 32)
    assert polar[0, 18:22].min() == 1 and polar[6, 18:22].min() == 2
    assert polar[[1, 2, 3, 4, 5, 7]].max() == 0 and polar[:, :16].max() == 0


def test_depth_count_sets_the_depth_pixel_not_the_field_of_view():
    cartesian = polar_to_cartesian(smooth_polar())
    fine, coarse = cartesian_to_polar(cartesian, 200, 256), cartesian_to_polar(cartesian, 200, 128)
    np.testing.assert_allclose(fine.reshape(200, 128, 2).mean(axis=2)[:, :-1], coarse[:, :-1], atol=2e-3)


def test_no_seam_at_angle_zero():
    """Rotating the A-lines by one rotates the seam away; the pictures must agree as rotated pictures do anywhere."""
    rough = np.random.default_rng(0).random((4, 64))
    first, quarter = polar_to_cartesian(rough), polar_to_cartesian(np.roll(rough, 1, axis=0))
    np.testing.assert_allclose(np.rot90(first, -1), quarter, atol=1e-5)


def test_outside_the_disc_is_zero():
    cartesian = polar_to_cartesian(np.full((100, 50), 200, np.uint8))
    offset = np.arange(100) - 49.5
    radius = np.hypot(offset[:, None], offset)
    assert cartesian.dtype == np.uint8
    assert (cartesian[radius < 50] == 200).all() and (cartesian[radius >= 50] == 0).all()


def test_stack_equals_single_frames():
    stack = np.random.default_rng(0).integers(0, 65536, (40, 40, 19), dtype=np.uint16)
    polar = cartesian_to_polar(stack, num_alines=30)
    for k in (0, 15, 16, 18):
        np.testing.assert_array_equal(polar[..., k], cartesian_to_polar(stack[..., k], num_alines=30))


def test_another_centre():
    frame = np.zeros((64, 64))
    frame[20, 24] = 1
    polar = cartesian_to_polar(frame, num_alines=16, center=(20, 24))
    assert (polar[:, 0] > 0.1).all() and polar[:, 2:].max() == 0


def test_frames_that_are_not_square_are_refused():
    with pytest.raises(ValueError, match="square"):
        cartesian_to_polar(np.zeros((10, 12)))
