# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The Frechet distance between two sets of image features, and rFID from it.

rFID is the Frechet distance (Dowson and Landau, 1982; Heusel et al., 2017, Eq. 6) between Inception features of the
true slices and of their reconstructions, here: of the interpolated ones. It is biased upwards in small sets and depends
on the extractor, so it is given with the number of images and the extractor's name, and never compared across them.
"""

from __future__ import annotations

import numpy as np

#: Below this many images the covariance of 2048 features has no full rank and the bias rules the number.
FEW_IMAGES = 2048


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance between the normal distributions fitted to two sets of features.

        |mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))

    The trace of the root is the nuclear norm of A B^T, where A^T A = C_a and B^T B = C_b: A and B are the centred
    features themselves over sqrt(n - 1). So no square root of a near-singular matrix is taken, and sets smaller than
    their number of features are as exact as large ones.

    Args:
        a: features, `(N, F)`, at least two rows.
        b: features, `(M, F)`, at least two rows.

    Returns:
        At least 0, in squared units of the features; computed in float64.

    Raises:
        ValueError: shapes do not fit, or a set has fewer than two rows.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(f"Two sets of features (N, F) with N > 1 and one F are needed, got {a.shape} and {b.shape}.")
    root_a, root_b = _root(a), _root(b)
    cross = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    shift = np.square(a.mean(0) - b.mean(0)).sum()
    return float(max(shift + np.square(root_a).sum() + np.square(root_b).sum() - 2 * cross, 0.0))


def _root(features: np.ndarray) -> np.ndarray:
    """A with A^T A the sample covariance, with as few rows as its rank allows."""
    centred = (features - features.mean(0)) / np.sqrt(len(features) - 1)
    return np.linalg.qr(centred, mode="r") if len(centred) > centred.shape[1] else centred
