# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Where slices lie in space, before and after interpolation.

The contract
------------
1. An image is an array `(X, Y, Z)` or `(X, Y, Z, T)` with a 4 x 4 affine that takes voxel indices to millimetres, as in
   NIfTI. An OCT pullback is `(H, W, frames)`.
2. Interpolation runs along one array axis, the through-plane axis: the one of largest spacing unless the user names
   another. OCT is always interpolated along its last axis: the A-line axis of a polar pullback has no millimetres.
3. Arrays are never reoriented, flipped or resampled in plane. Array order, handedness and obliqueness come out as
   they went in; the time axis is untouched.
4. `n` known slices and an integer factor `f` give `(n - 1) f + 1` slices. Known slice `k` becomes slice `k f`, stays at
   its world position, and is bit-identical in the stored dtype. The `f - 1` slices of each gap lie at fractions
   `1/f .. (f - 1)/f` of it and are synthetic.
5. The affine changes in one column only, that of the axis: it is divided by `f`. The origin, the end slices, and with
   them the extent between slice centres do not move; nothing is invented beyond the first and the last known slice.
6. A target spacing in millimetres asks for the smallest factor whose spacing does not exceed it, so known slices
   stay on the grid. It never removes slices.

Everything here is arithmetic on numpy float64; reading and writing files happens elsewhere.
"""

from __future__ import annotations

import math
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

# Headers keep spacings in float32 and are typed in with few digits: 10 / 3 and 3.33333 mm are the same wish.
SPACING_TOLERANCE = 1e-5


def spacing_from_affine(affine: ArrayLike) -> np.ndarray:
    """Voxel spacings in mm along the three array axes: the column norms of the affine, `(3,)`.

    Raises:
        ValueError: the affine is not 4 x 4, not finite, or gives an axis no extent.
    """
    affine = np.asarray(affine, dtype=np.float64)
    if affine.shape != (4, 4):
        raise ValueError(f"An affine must be 4 x 4, got shape {affine.shape}.")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.all(np.isfinite(affine)) or not np.all(spacing > 0):
        raise ValueError(f"An affine must be finite and give each axis an extent, got spacings {spacing.tolist()} mm.")
    return spacing


def through_plane_axis(affine: ArrayLike) -> int:
    """The array axis (0, 1 or 2) of largest spacing; where several are equally large, the last of them."""
    spacing = spacing_from_affine(affine)
    return int(np.flatnonzero(spacing >= spacing.max() * (1 - SPACING_TOLERANCE))[-1])


def is_array_axis(axis: object) -> bool:
    """Whether something is a whole number from 0 to 2, as slices lie along."""
    return isinstance(axis, Integral) and not isinstance(axis, bool) and 0 <= axis <= 2


def dense_count(n: int, factor: int) -> int:
    """Slices after interpolation of `n` known ones by `factor`: (n - 1) factor + 1.

    Raises:
        ValueError: fewer than two slices, or a factor that is not a whole number of at least 1.
    """
    _check_count(n)
    _check_factor(factor)
    return (int(n) - 1) * int(factor) + 1


def dense_affine(affine: ArrayLike, axis: int, factor: int) -> np.ndarray:
    """The affine after interpolation by `factor` along `axis`: its column divided by `factor`, `(4, 4)`.

    Raises:
        ValueError: a bad affine, axis, or factor.
    """
    _check_factor(factor)
    return _scale_axis(affine, axis, 1 / factor)


def affine_for_counts(affine: ArrayLike, axis: int, n: int, m: int) -> np.ndarray:
    """The affine of `m` slices that span the same end slices as `n` slices of `affine` do, `(4, 4)`.

    Raises:
        ValueError: a bad affine or axis, or a count below two.
    """
    _check_count(n)
    _check_count(m)
    return _scale_axis(affine, axis, (n - 1) / (m - 1))


def factor_for_spacing(spacing: float, target: float) -> int:
    """The smallest whole factor whose spacing does not exceed `target`; 1 where `spacing` already does not.

    Args:
        spacing: known spacing along the axis, mm.
        target: spacing asked for, mm. A relative excess of 1e-5 counts as equal.

    Raises:
        ValueError: a spacing or target that is not a positive number.
    """
    if not (0 < spacing < math.inf and 0 < target < math.inf):
        raise ValueError(f"Spacing and target spacing must be positive numbers of mm, got {spacing} and {target}.")
    return max(1, math.ceil(spacing / target * (1 - SPACING_TOLERANCE)))


def synthetic_mask(n: int, factor: int) -> np.ndarray:
    """Which slices of the dense stack are synthetic, bool `((n - 1) factor + 1,)`; acquired slices are False.

    Raises:
        ValueError: as `dense_count`.
    """
    mask = np.ones(dense_count(n, factor), dtype=bool)
    mask[::factor] = False
    return mask


def fractions(factor: int) -> np.ndarray:
    """Where the synthetic slices of a gap lie, as fractions of it: k / factor for k = 1 .. factor - 1.

    Raises:
        ValueError: a factor that is not a whole number of at least 1.
    """
    _check_factor(factor)
    return np.arange(1, factor) / factor


def _scale_axis(affine: ArrayLike, axis: int, scale: float) -> np.ndarray:
    spacing_from_affine(affine)
    if axis not in (0, 1, 2):
        raise ValueError(f"The through-plane axis must be 0, 1 or 2, got {axis}.")
    scaled = np.array(affine, dtype=np.float64)
    scaled[:3, axis] *= scale
    return scaled


def _check_factor(factor: int) -> None:
    if not isinstance(factor, Integral) or factor < 1:
        raise ValueError(f"The factor must be a whole number of at least 1, got {factor}.")


def _check_count(n: int) -> None:
    if not isinstance(n, Integral) or n < 2:
        raise ValueError(f"Interpolation needs at least two slices, got {n}.")
