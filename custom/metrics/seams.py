# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Seams: straight lines through frames across which they step more than beside them."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter

BESIDE = 8
"""Lines on either side that a line is compared with."""


def step_ratios(frames: np.ndarray, axis: int, circular: bool = False) -> np.ndarray:
    """How much frames step into each row or column, over the median of the steps beside it: 1 where there is no seam.

    A step is the mean absolute difference from the line before, over all frames and pixels of the line. Borders that
    tissue has run across many lines; a seam of tiles, or of the first A-line, is at one.

    Args:
        frames: `(F, H, W)`.
        axis: 1 for rows, 2 for columns.
        circular: whether the first line follows the last, as A-lines do.

    Returns:
        One number per line; NaN for the first where it follows none.

    Raises:
        ValueError: not a stack of frames, or another axis.
    """
    frames = np.asarray(frames, np.float32)
    if frames.ndim != 3 or axis not in (1, 2):
        raise ValueError(f"Frames are (F, H, W) and the axis is 1 or 2, got {frames.shape} and {axis}.")
    others = 0, 3 - axis
    steps = np.abs(frames - np.roll(frames, 1, axis)).mean(others)
    beside = np.ones(2 * BESIDE + 1, bool)
    beside[BESIDE] = False
    usual = median_filter(steps if circular else steps[1:], footprint=beside, mode="wrap" if circular else "reflect")
    usual = usual if circular else np.concatenate([[np.nan], usual])
    return steps / np.maximum(usual, 1e-6)


def seam_ratios(
    frames: np.ndarray, borders: tuple[list[int], list[int]], circular_rows: bool = False
) -> dict[str, float]:
    """Steps at tile borders and across the first A-line, over those beside them.

    Args:
        frames: `(F, H, W)`.
        borders: rows and columns at which a tile begins or ends.
        circular_rows: whether the rows are A-lines of a whole turn.

    Returns:
        "borders", the mean of the ratios there (NaN without borders), "largest", the largest of them, "elsewhere", the
        99th percentile of all other lines, and "first_aline" (NaN unless `circular_rows`).
    """
    at, others = [], []
    rows = step_ratios(frames, 1, circular_rows)
    for ratios, lines in ((rows, borders[0]), (step_ratios(frames, 2), borders[1])):
        here = np.isin(np.arange(len(ratios)), lines)
        at.append(ratios[here])
        others.append(ratios[~here])
    found = np.concatenate(at)
    return {
        "borders": float(found.mean()) if found.size else float("nan"),
        "largest": float(found.max()) if found.size else float("nan"),
        "elsewhere": float(np.nanpercentile(np.concatenate(others), 99)),
        "first_aline": float(rows[0]) if circular_rows else float("nan"),
    }
