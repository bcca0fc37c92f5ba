# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Where the lumen ends in polar OCT frames, and how evenly its wall runs from frame to frame.

A wall that fades out in one place and in at another is scored kindly by PSNR; a contour sees it jump.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter1d

SMOOTHING = 0.006, 0.005
"""Of frames before an edge is looked for: sigma as a share of the turn and of the depth; against speckle."""
REACH = 0.025
"""Of the depth: what is compared on either side of an edge."""
TISSUE = 0.35
"""Of the bright tissue's gray (the 95th percentile of what lies beyond the catheter): brighter is tissue."""
IN_FRONT = 6.0
"""Price of tissue in front of an edge, per share of the depth, in units of that gray: layers have it, the lumen not."""
STEEPEST, BEND = 0.02, 6.0
"""Most that the contour moves from one A-line of 500 to the next, as a share of the depth, and the price of moving,
per share of the depth."""
CATHETER_ENDS_BEFORE = 0.35
"""Of the depth."""


@dataclass(frozen=True)
class LumenContours:
    """Contours of frames.

    Attributes:
        depths: of the lumen's border on each A-line, in pixels from the catheter's axis, `(F, A)`.
        seen: whether there is tissue behind it: not in the shadow of a guidewire or in a side branch, `(F, A)` bool.
        catheter: depth in pixels at which the catheter ends.
    """

    depths: np.ndarray
    seen: np.ndarray
    catheter: int


def lumen_contours(frames: np.ndarray, catheter: int | None = None) -> LumenContours:
    """The closed contour of the lumen in each frame: the best path around through steps from dark to bright.

    Of all closed paths that do not jump, the one whose A-lines together step up most, less what tissue lies in front
    of it, found by dynamic programming over two turns of which the middle one is kept.

    Args:
        frames: whole turns of one pullback, `(F, A, D)` in [0, 1], depths from the catheter's axis on.
        catheter: depth at which it ends; None looks for it: rings that are there in all frames and around the turn.

    Raises:
        ValueError: not a stack of frames.
    """
    frames = np.asarray(frames, np.float32)
    if frames.ndim != 3:
        raise ValueError(f"Frames are (F, A, D), got {frames.shape}.")
    _, alines, depths = frames.shape
    sigma = [0, *(max(share * size, 0.7) for share, size in zip(SMOOTHING, (alines, depths), strict=True))]
    smooth = gaussian_filter(frames, sigma, mode=("nearest", "wrap", "nearest"))
    catheter = catheter_end(smooth) if catheter is None else catheter
    reach = max(2, round(REACH * depths))
    start = min(catheter + 2, depths - 2 * reach)
    bright = np.percentile(smooth[:, :, start:], 95, axis=(1, 2), keepdims=True).clip(1e-3)
    levels = smooth[:, :, start:] / bright
    padded = np.pad(levels, ((0, 0), (0, 0), (reach, reach)), mode="edge")
    sums = np.cumsum(np.pad(padded, ((0, 0), (0, 0), (1, 0))), axis=2)
    before = sums[:, :, reach : reach + levels.shape[2]] - sums[:, :, : levels.shape[2]]
    after = sums[:, :, 2 * reach : 2 * reach + levels.shape[2]] - sums[:, :, reach : reach + levels.shape[2]]
    in_front = np.cumsum(levels > TISSUE, axis=2) - (levels > TISSUE)
    score = (after - before).clip(-1 * reach, 1 * reach) / reach - IN_FRONT * in_front / depths
    found = _closed_path(score, max(1, round(STEEPEST * depths * 500 / alines)), BEND / depths)
    behind = np.take_along_axis(after / reach, found[:, :, None], axis=2)[:, :, 0]
    ahead = np.take_along_axis(before / reach, found[:, :, None], axis=2)[:, :, 0]
    # The wire is brighter than tissue, and dark behind: look where tissue would still be bright.
    deeper = np.minimum(found + 2 * reach, levels.shape[2] - 1)
    deep = np.take_along_axis(uniform_filter1d(levels, reach, axis=2), deeper[:, :, None], axis=2)[:, :, 0]
    seen = (behind - ahead > 0.15) & (deep > 0.15)
    return LumenContours(found + start, seen, catheter)


def catheter_end(frames: np.ndarray) -> int:
    """Depth in pixels at which the catheter ends in smooth polar frames `(F, A, D)`; 0 where none is to be seen.

    Its rings are there in every frame and at nearly every angle, which tissue is not as a vessel changes.
    """
    near = frames[:, :, : round(CATHETER_ENDS_BEFORE * frames.shape[2])]
    always = np.percentile(near, 20, axis=1).min(axis=0)
    rings = np.flatnonzero(always > max(0.25 * float(always.max()), 0.03))
    return int(rings[-1]) + 1 if rings.size else 0


def contour_error(found: LumenContours, true: np.ndarray, seen: np.ndarray | None = None) -> np.ndarray:
    """Mean distance of contours from true ones along the A-lines, in pixels, `(F,)`.

    Args:
        found: contours of F frames.
        true: depths `(F, A)` in pixels.
        seen: where both are compared, `(F, A)`; by default where `found` saw tissue. NaN where that is nowhere.
    """
    seen = found.seen if seen is None else seen
    with np.errstate(invalid="ignore"):
        return (np.abs(found.depths - true) * seen).sum(1) / seen.sum(1)


def contour_jumps(contours: LumenContours) -> np.ndarray:
    """Mean distance between the contours of frames that follow each other, in pixels, `(F - 1,)`.

    Only A-lines that see tissue in both count.
    """
    seen = contours.seen[1:] & contours.seen[:-1]
    with np.errstate(invalid="ignore"):
        return (np.abs(np.diff(contours.depths, axis=0)) * seen).sum(1) / seen.sum(1)


def _closed_path(score: np.ndarray, steepest: int, bend: float) -> np.ndarray:
    """Column of the best path through `(F, A, D)` on each row, moving at most `steepest` columns a row, `(F, A)`."""
    count, rows, columns = score.shape
    order = np.arange(2 * rows) % rows
    best = np.empty((2 * rows, count, columns), np.float32)
    best[0] = score[:, 0]
    steps = np.arange(-steepest, steepest + 1)
    for row in range(1, 2 * rows):
        last = np.pad(best[row - 1], ((0, 0), (steepest, steepest)), constant_values=-np.inf)
        reached = best[row - 1]
        for step in steps:
            shifted = last[:, steepest + step : steepest + step + columns] - bend * abs(step)
            reached = np.maximum(reached, shifted)
        best[row] = reached + score[:, order[row]]
    path = np.empty((2 * rows, count), int)
    path[-1] = best[-1].argmax(1)
    for row in range(2 * rows - 2, -1, -1):
        places = path[row + 1][:, None] + steps
        inside = (places >= 0) & (places < columns)
        values = np.take_along_axis(best[row], places.clip(0, columns - 1), axis=1) - bend * np.abs(steps)
        path[row] = path[row + 1] + steps[np.where(inside, values, -np.inf).argmax(1)]
    half = rows // 2
    return np.roll(path[half : half + rows], half, axis=0).T
