# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math

import numpy as np
import pytest

from custom.geometry import (
    affine_for_counts,
    dense_affine,
    dense_count,
    factor_for_spacing,
    fractions,
    spacing_from_affine,
    synthetic_mask,
    through_plane_axis,
)


def oblique_affine(seed: int, spacing) -> np.ndarray:
    """A random rotation or reflection, the spacings given, a random origin."""
    rng = np.random.default_rng(seed)
    directions, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = directions * np.asarray(spacing)
    affine[:3, 3] = rng.normal(scale=100, size=3)
    return affine


def world(affine, axis, index):
    voxel = np.array([3.0, 5.0, 7.0, 1.0])
    voxel[axis] = index
    return (affine @ voxel)[:3]


@pytest.mark.parametrize("axis", (0, 1, 2))
@pytest.mark.parametrize("seed", range(5))
def test_known_slices_keep_their_place_in_oblique_scans(axis, seed):
    spacing = np.full(3, 1.4)
    spacing[axis] = 9.6
    affine, n, factor = oblique_affine(seed, spacing), 11, 4
    assert through_plane_axis(affine) == axis
    dense = dense_affine(affine, axis, factor)
    for k in range(n):
        np.testing.assert_allclose(world(dense, axis, k * factor), world(affine, axis, k), atol=1e-9)
    for k, fraction in enumerate(fractions(factor), start=1):
        between = (1 - fraction) * world(affine, axis, 2) + fraction * world(affine, axis, 3)
        np.testing.assert_allclose(world(dense, axis, 2 * factor + k), between, atol=1e-9)
    expected = spacing.copy()
    expected[axis] /= factor
    np.testing.assert_allclose(spacing_from_affine(dense), expected)
    assert np.sign(np.linalg.det(dense)) == np.sign(np.linalg.det(affine))


@pytest.mark.parametrize("seed", range(5))
def test_affine_for_counts_spans_the_same_end_slices(seed):
    affine = oblique_affine(seed, (1.2, 1.3, 10.0))
    for n, m in ((10, 7), (2, 5), (12, 12)):
        other = affine_for_counts(affine, 2, n, m)
        np.testing.assert_allclose(world(other, 2, 0), world(affine, 2, 0), atol=1e-9)
        np.testing.assert_allclose(world(other, 2, m - 1), world(affine, 2, n - 1), atol=1e-9)
        assert spacing_from_affine(other)[2] == pytest.approx(10.0 * (n - 1) / (m - 1))
    np.testing.assert_allclose(affine_for_counts(affine, 2, 10, dense_count(10, 6)), dense_affine(affine, 2, 6))


def test_the_affine_given_is_not_changed():
    affine = oblique_affine(0, (1, 1, 8))
    before = affine.copy()
    dense_affine(affine, 2, 4)
    assert np.array_equal(affine, before)


def test_through_plane_axis_of_ties_is_the_last():
    assert through_plane_axis(np.diag([1.0, 1.0, 1.0, 1.0])) == 2
    assert through_plane_axis(np.diag([3.0, 3.0, 1.0, 1.0])) == 1
    # A tie that float32 headers have blurred is still a tie.
    assert through_plane_axis(np.diag([1.0000001, 1.0, 1.0, 1.0])) == 2


def test_counts_masks_and_fractions_agree():
    for n, factor in ((2, 1), (2, 6), (9, 4)):
        mask = synthetic_mask(n, factor)
        assert mask.dtype == bool and mask.shape == (dense_count(n, factor),)
        assert np.flatnonzero(~mask).tolist() == [k * factor for k in range(n)]
        assert mask.sum() == (n - 1) * len(fractions(factor))
    assert dense_count(67, 6) == 397
    np.testing.assert_allclose(fractions(4), [0.25, 0.5, 0.75])


@pytest.mark.parametrize(
    ("spacing", "target", "factor"),
    (
        (10.0, 1.5, 7),
        (10.0, 2.5, 4),
        (10.0, 3.33333, 3),
        (float(np.float32(0.2)), 0.2 / 6, 6),
        (0.6, 0.2, 3),  # 0.6 / 0.2 is 2.9999999999999996
        (0.3, 0.1, 3),
        (1.1, 0.1, 11),  # 1.1 / 0.1 is 11.000000000000002
        (8.0, 8.0, 1),
        (8.0, 20.0, 1),
        (8.0, 7.9, 2),
    ),
)
def test_factor_is_the_smallest_that_reaches_the_target(spacing, target, factor):
    assert factor_for_spacing(spacing, target) == factor


@pytest.mark.parametrize(
    ("call", "message"),
    (
        (lambda: dense_count(1, 4), "two slices"),
        (lambda: dense_count(5, 0), "factor"),
        (lambda: dense_affine(np.eye(4), 2, -1), "factor"),
        (lambda: dense_affine(np.eye(4), 2, 2.5), "factor"),
        (lambda: dense_affine(np.eye(4), 3, 2), "axis"),
        (lambda: affine_for_counts(np.eye(4), 2, 5, 1), "two slices"),
        (lambda: fractions(0), "factor"),
        (lambda: factor_for_spacing(8.0, 0.0), "positive"),
        (lambda: factor_for_spacing(8.0, -1.0), "positive"),
        (lambda: factor_for_spacing(math.nan, 1.0), "positive"),
        (lambda: spacing_from_affine(np.eye(3)), "4 x 4"),
        (lambda: through_plane_axis(np.diag([1.0, 0.0, 1.0, 1.0])), "extent"),
        (lambda: through_plane_axis(np.diag([1.0, math.nan, 1.0, 1.0])), "finite"),
    ),
)
def test_bad_geometry_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()
