# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The Frechet distance has closed forms to be held against."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from custom.metrics.frechet import frechet_distance


def standardised(n: int, f: int, seed: int) -> np.ndarray:
    """Features with sample mean 0 and sample covariance 1, exactly."""
    x = np.random.default_rng(seed).normal(size=(n, f))
    x -= x.mean(0)
    u, _, vt = np.linalg.svd(x, full_matrices=False)
    return u @ vt * np.sqrt(n - 1)


def test_normal_distributions_whose_distance_is_known():
    z = standardised(50, 3, 0)
    a = z * [1.0, 2.0, 3.0] + [0.0, 1.0, 0.0]
    b = standardised(80, 3, 1) * [2.0, 2.0, 0.5] + [3.0, 1.0, 4.0]
    # Diagonal covariances: |mean difference|^2 + sum of squared differences of the deviations.
    assert frechet_distance(a, b) == pytest.approx(9 + 16 + 1 + 0 + 6.25, rel=1e-12)


@pytest.mark.parametrize(("n", "m", "f"), ((40, 60, 5), (12, 300, 30), (9, 7, 64)))
def test_it_is_the_textbook_formula_for_few_and_many_images(n, m, f):
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(n, f)) @ rng.normal(size=(f, f)), rng.normal(size=(m, f)) + 0.3
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(ca @ cb).real if n > f else _root_of_psd(ca, cb)
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(ca + cb - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)


def _root_of_psd(ca: np.ndarray, cb: np.ndarray) -> np.ndarray:
    """A matrix with the trace of (C_a C_b)^(1/2), by way of the symmetric C_a^(1/2) C_b C_a^(1/2)."""
    values, vectors = np.linalg.eigh(ca)
    half = vectors * np.sqrt(values.clip(0)) @ vectors.T
    return np.diag(np.sqrt(np.linalg.eigvalsh(half @ cb @ half).clip(0)))


def test_a_set_has_no_distance_from_itself_and_none_can_be_told_of_one_image():
    a = np.random.default_rng(3).normal(size=(20, 2048)).astype(np.float32)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-8)
    assert frechet_distance(a, a + 1) == pytest.approx(2048, rel=1e-5)
    for wrong in (a[:1], a[:, :3], a[0]):
        with pytest.raises(ValueError, match="N > 1"):
            frechet_distance(a, wrong)
