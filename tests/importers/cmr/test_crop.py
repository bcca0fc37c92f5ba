# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from custom.importers.cmr.crop import PlaneCrop, as_dtype, equalise_gains, plan_crop
from custom.scans.heart_centre import find_centre, label_centre, motion_centre


def noise(shape, seed=0, high=1000):
    return np.random.default_rng(seed).integers(0, high, shape).astype(np.int16)


def beating(shape=(5, 6, 120, 100), heart=(70, 40), radius=12):
    """A disc whose radius changes in time, and a fainter chest wall that moves at the edge of the plane."""
    y, x = np.indices(shape[-2:])
    cine = np.zeros(shape, np.float32)
    for t in range(shape[1]):
        r = radius + 4 * np.sin(2 * np.pi * t / shape[1])
        cine[:, t] += 100 * (np.hypot(y - heart[0], x - heart[1]) < r)
        cine[:, t] += 60 * (x > shape[3] - 6 - 2 * (t % 2))
    return cine


def test_native_crop_copies_pixels_and_comes_back():
    slices = noise((3, 2, 40, 50))
    crop = plan_crop((40, 50), (1.4, 1.4), (20.3, 26.8), size=16, target_mm=0)
    assert crop.is_exact and crop.size == (16, 16)
    window = crop.cut(slices, fill=0)
    y, x = (int(start) for start in crop.start)
    np.testing.assert_array_equal(window, slices[..., y : y + 16, x : x + 16])
    assert crop.to_window((20.3, 26.8)) == pytest.approx((20.3 - y, 26.8 - x)) and abs(20.3 - y - 7.5) <= 0.5
    back, inside = crop.paste(window)
    np.testing.assert_array_equal(back[..., inside], slices[..., inside])
    assert inside.sum() == 256 and not back[..., ~inside].any()


def test_window_moves_rather_than_leave_the_plane_and_pads_only_where_it_is_larger():
    slices = noise((2, 1, 30, 60))
    crop = plan_crop((30, 60), (1.0, 1.0), (2.0, 59.0), size=40, target_mm=0)
    assert crop.start == (-10.0, 20.0)
    window = crop.cut(slices, fill=-1)
    np.testing.assert_array_equal(window[:, :, 10:], slices[..., :, 20:])
    assert (window[:, :, :10] == -1).all()
    back, inside = crop.paste(window)
    np.testing.assert_array_equal(back[..., inside], slices[..., inside])


def test_affine_of_a_resampled_crop_keeps_world_positions():
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation * [8.0, 1.3, 1.5], [10, -20, 30]
    crop = plan_crop((90, 80), (1.3, 1.5), (50, 33), size=32, target_mm=1.8)
    new = crop.affine(affine, (1, 2))
    for pixel in ((0, 0), (31, 31), (5, 17)):
        scanner = [start + k * step for k, start, step in zip(pixel, crop.start, crop.step, strict=True)]
        np.testing.assert_allclose(new @ [3, *pixel, 1], affine @ [3, *scanner, 1])
    np.testing.assert_allclose(np.linalg.norm(new[:3, :3], axis=0), [8.0, 1.8, 1.8])


def test_resampling_is_exact_on_a_ramp_and_so_is_the_way_back():
    y, x = np.indices((60, 70))
    ramp = (3.0 * y + 2.0 * x)[None, None]
    crop = plan_crop((60, 70), (1.0, 1.2), (30, 35), size=24, target_mm=1.8)
    window = crop.cut(ramp, fill=0)
    k = np.arange(24)
    expected = 3 * (crop.start[0] + 1.8 * k)[:, None] + 2 * (crop.start[1] + 1.5 * k)
    np.testing.assert_allclose(window[0, 0], expected, atol=1e-6)
    back, inside = crop.paste(window)
    np.testing.assert_allclose(back[0, 0][inside], ramp[0, 0][inside], atol=1e-3)
    assert 40 * 33 < inside.sum() < 43 * 37


def test_coarser_pixels_do_not_alias():
    stripes = np.tile([0.0, 100.0], 32)[None, None, None].repeat(64, axis=2)
    crop = plan_crop((64, 64), (1.0, 1.0), (32.5, 32.5), size=16, target_mm=3.0)
    assert np.ptp(crop.cut(stripes, fill=0)) < 50 < np.ptp(crop.cut(stripes, fill=0, order=0))


def test_whole_plane_at_another_spacing_covers_it():
    crop = plan_crop((100, 80), (1.5, 1.5), (1, 1), size=0, target_mm=3.0)
    assert crop.size == (50, 40) and crop.start == (0.5, 0.5)
    assert plan_crop((100, 80), (1.5, 1.5), (1, 1), size=0, target_mm=0) == PlaneCrop(
        (100, 80), (0.0, 0.0), (1.0, 1.0), (100, 80)
    )


def test_crop_survives_json_and_refuses_what_is_none():
    crop = plan_crop((90, 80), (1.3, 1.5), (50, 33))
    assert PlaneCrop.from_dict(crop.to_dict()) == crop
    with pytest.raises(ValueError, match="two axes"):
        PlaneCrop.from_dict({**crop.to_dict(), "size": [3]})


def test_gains_make_slices_equally_bright_and_integers_saturate():
    slices = noise((3, 2, 32, 32)) * np.array([1, 2, 0], np.int16)[:, None, None, None]
    gains = equalise_gains(slices)
    assert gains == pytest.approx([2, 1, 1], rel=0.02)
    assert as_dtype(np.array([-5.0, 2.6, 400.0]), np.uint8).tolist() == [0, 3, 255]


def test_motion_centre_finds_the_beating_disc_not_the_chest_wall():
    centre = motion_centre([beating()], (1.4, 1.4))
    assert np.hypot(centre[0] - 70, centre[1] - 40) < 4


def test_two_phases_in_files_of_their_own_are_compared_whatever_their_gains():
    cine = beating()
    files = [cine[:, 1:2], 3 * cine[:, 4:5]]
    centre, method = find_centre("auto", files, [None, None], (1.4, 1.4))
    assert method == "motion" and np.hypot(centre[0] - 70, centre[1] - 40) < 4


def test_labels_go_before_motion_and_the_plane_is_the_last_resort():
    cine = beating()
    label = np.zeros(cine.shape, np.uint8)
    label[1:3, 2, 20:31, 60:65] = 2
    assert find_centre("auto", [cine], [label], (1.0, 1.0)) == ((25.0, 62.0), "label")
    assert find_centre("motion", [cine], [label], (1.0, 1.0))[1] == "motion"
    still = np.repeat(cine[:, :1], 6, axis=1)
    assert find_centre("label", [still], [None], (1.0, 1.0)) == ((59.5, 49.5), "image")
    assert find_centre("image", [cine], [label], (1.0, 1.0)) == ((59.5, 49.5), "image")
    assert label_centre([np.zeros((2, 1, 4, 4))]) is None
    with pytest.raises(ValueError, match="guess"):
        find_centre("guess", [cine], [None], (1.0, 1.0))
