# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What of a scan is tissue: the voxels whose intensities count when a range is measured.

Not tissue are NaN and infinity (outside the field of view of a resampled scan), the padding that a DICOM header states
(PixelPaddingValue), and a constant background far below or above everything else (-1024 or -32768 in the corners).
Counted in, such a background becomes the lower end of the range and squeezes tissue into a sliver of [0, 1].
A background of 0 that lies next to the darkest tissue is kept: it is what most scans have, and what networks saw.
"""

from __future__ import annotations

import numpy as np

MIN_SHARE = 0.002
"""Of the voxels: fewer equal ones do not reach the percentiles that a range is made of."""
FAR = 1.0
"""A background is far if its distance to the tissue exceeds the spread of the tissue (0.5 to 99.5 percentile)."""
_SPREAD = (0.5, 99.5)
_MAX_BACKGROUNDS = 4


def tissue_mask(values: np.ndarray, padding: tuple[float, float] | None = None) -> np.ndarray | None:
    """Which values are of tissue.

    Args:
        values: of any shape and real dtype, in stored or physical units.
        padding: (lowest, highest) value that the header calls padding, in the same units.

    Returns:
        Bool of the shape of `values`; None where all of them count (so that nobody copies a whole scan for nothing).
        All False where nothing is finite.
    """
    mask = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
    if padding is not None:
        mask &= (values < padding[0]) | (values > padding[1])
    for background in _backgrounds(values[mask]):
        mask &= values != background
    return None if mask.all() else mask


def tissue_range(
    values: np.ndarray, percentiles: tuple[float, float], padding: tuple[float, float] | None = None
) -> tuple[float, float]:
    """(low, high) percentiles of the tissue, in the units of `values`.

    An almost empty scan has equal percentiles: the extremes of its tissue are then the range.

    Args:
        values: see :func:`tissue_mask`.
        percentiles: of the two ends, 0 to 100.
        padding: see :func:`tissue_mask`.

    Raises:
        ValueError: nothing is finite, or all tissue has one value.
    """
    mask = tissue_mask(values, padding)
    flat = values.ravel(order="K") if mask is None else values[mask]
    if not flat.size:
        raise ValueError("The scan has no tissue: all of it is padding or not a number.")
    low, high = np.percentile(flat, percentiles)
    if low == high:
        low, high = flat.min(), flat.max()
    if low == high:
        raise ValueError(f"The scan is constant, every value is {low}.")
    return float(low), float(high)


def _backgrounds(flat: np.ndarray) -> list[float]:
    """Constant values far below or above all others, `flat` being finite and one-dimensional."""
    found: list[float] = []
    for edge in (np.min, np.max):
        outer: list[float] = []
        rest = flat
        # Each of several backgrounds may lie near the next, and all of them far from the tissue. Magnitudes are never
        # negative: one constant below 0, where nothing else is, was put there.
        while len(outer) < _MAX_BACKGROUNDS and rest.size:
            value = edge(rest)
            inner = rest[rest != value]
            if not inner.size or rest.size - inner.size < MIN_SHARE * rest.size:
                break
            outer.append(value)
            rest = inner
            if _is_far(value, rest) or (len(outer) == 1 and value < 0 <= rest.min()):
                found, flat, outer = found + outer, rest, []
    return found


def _is_far(value: float, others: np.ndarray) -> bool:
    """Whether a constant is no tissue beside others."""
    low, high = np.percentile(others, _SPREAD)
    distance = max(low - float(value), float(value) - high)
    return bool(high > low and distance > FAR * (high - low))
