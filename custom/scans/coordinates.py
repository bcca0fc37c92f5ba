# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Polar and Cartesian views of an intravascular OCT frame.

A catheter scans a frame as A-lines: the polar frame is `(A-lines, depths)`. The display shows it as a disc: the
Cartesian frame is `(size, size)` with the catheter at its centre. Both cover the same disc, pixels taken as areas:

- depth `d` of `D` lies at the radius `(d + 0.5) * R / D`, where `R`, half the Cartesian side, is the edge of the disc;
- A-line `a` of `A` lies at the angle `2 pi a / A`, from the column axis (right) towards the row axis (down).

So `D = R` keeps the depth pixel equal to the Cartesian pixel; otherwise the depth pixel is `R / D` Cartesian pixels.
The angle axis is a circle: A-line 0 follows A-line `A - 1`, there is no seam.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

FRAMES_AT_ONCE = 16
"""How many frames are resampled together: bounds the float32 working memory, not the result."""


@dataclass(frozen=True)
class OctGeometry:
    """What a system's polar frames measure.

    Args:
        num_alines: A-lines in a frame.
        num_depths: samples in an A-line.
        depth_spacing_mm: distance between two samples of an A-line.
        frame_pitch_mm: distance between two frames of a pullback.
    """

    num_alines: int
    num_depths: int
    depth_spacing_mm: float
    frame_pitch_mm: float


GEOMETRIES = {
    "vivolight": OctGeometry(num_alines=497, num_depths=1025, depth_spacing_mm=0.00747, frame_pitch_mm=0.2),
    "abbott": OctGeometry(num_alines=504, num_depths=976, depth_spacing_mm=0.00511, frame_pitch_mm=0.2),
}
"""Vivolight: data of the CardioInterp paper, section 3.1 (1025 x 7.47 um = 7.66 mm). Abbott: nominal for C7-XR, OPTIS
(a scan of 10 mm diameter in 976 samples); exports differ, a spacing stated by the file goes first."""


def cartesian_to_polar(
    frames: np.ndarray,
    num_alines: int = 497,
    num_depths: int | None = None,
    center: tuple[float, float] | None = None,
) -> np.ndarray:
    """Resample Cartesian frames along A-lines.

    Args:
        frames: one frame `(N, N)` or a stack `(N, N, F)`.
        num_alines: A-lines of the result.
        num_depths: depths of the result, `N // 2` by default: the depth pixel is then the Cartesian pixel.
        center: catheter centre as `(row, column)`, by default the middle of the frame. Where an off-centre disc leaves
            the frame, the result is 0.

    Returns:
        `(num_alines, num_depths)` or `(num_alines, num_depths, F)` in the dtype of `frames`; integers are rounded.

    Raises:
        ValueError: if the frames are not square.
    """
    size = _square_side(frames)
    num_depths = num_depths or size // 2
    row, column = center or ((size - 1) / 2, (size - 1) / 2)
    angle = 2 * np.pi * np.arange(num_alines)[:, None] / num_alines
    radius = (np.arange(num_depths) + 0.5) * (size / 2) / num_depths
    rows, columns = row + radius * np.sin(angle), column + radius * np.cos(angle)
    inside = (rows > -0.5) & (rows < size - 0.5) & (columns > -0.5) & (columns < size - 0.5)
    return _resample(frames, rows, columns, inside, circular_rows=False)


def polar_to_cartesian(frames: np.ndarray, size: int | None = None) -> np.ndarray:
    """Scan-convert polar frames to the round display.

    Args:
        frames: one frame `(A, D)` or a stack `(A, D, F)`.
        size: side of the result, `2 * D` by default: the Cartesian pixel is then the depth pixel.

    Returns:
        `(size, size)` or `(size, size, F)` in the dtype of `frames`; integers are rounded; 0 outside the disc.
    """
    num_alines, num_depths = frames.shape[:2]
    size = size or 2 * num_depths
    offset = np.arange(size) - (size - 1) / 2
    radius = np.hypot(offset[:, None], offset)
    angle = np.arctan2(offset[:, None], offset) % (2 * np.pi)
    alines, depths = angle * num_alines / (2 * np.pi), radius * num_depths / (size / 2) - 0.5
    return _resample(frames, alines, depths, radius < size / 2, circular_rows=True)


def _square_side(frames: np.ndarray) -> int:
    if frames.ndim not in (2, 3) or frames.shape[0] != frames.shape[1]:
        raise ValueError(f"Cartesian frames are square, (N, N) or (N, N, F), got {frames.shape}.")
    return frames.shape[0]


def _resample(
    frames: np.ndarray, rows: np.ndarray, columns: np.ndarray, inside: np.ndarray, circular_rows: bool
) -> np.ndarray:
    """Read frames `(H, W[, F])` at the points `rows`, `columns` bilinearly; 0 where not `inside`.

    The points are the same for every frame, so the interpolation is one sparse matrix applied to all of them.
    """
    stack = frames if frames.ndim == 3 else frames[..., None]
    operator = _bilinear_operator(rows[inside], columns[inside], stack.shape[:2], circular_rows)
    result = np.zeros((*inside.shape, stack.shape[2]), frames.dtype)
    for start in range(0, stack.shape[2], FRAMES_AT_ONCE):
        block = stack[..., start : start + FRAMES_AT_ONCE]
        values = operator @ block.reshape(-1, block.shape[2]).astype(operator.dtype)
        # The weights are convex, so rounding alone keeps integers within the range of their dtype.
        result[inside, start : start + FRAMES_AT_ONCE] = np.rint(values) if frames.dtype.kind in "iu" else values
    return result.reshape(inside.shape + frames.shape[2:])


def _bilinear_operator(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int], circular_rows: bool) -> csr_array:
    """Sparse matrix `(points, H * W)` whose rows hold the four bilinear weights of each point."""
    height, width = shape
    rows, columns = rows if circular_rows else rows.clip(0, height - 1), columns.clip(0, width - 1)
    top, left = np.floor(rows).astype(np.int32), np.floor(columns).astype(np.int32)
    down, right = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    bottom = (top + 1) % height if circular_rows else np.minimum(top + 1, height - 1)
    top, following = top % height, np.minimum(left + 1, width - 1)
    corners = np.stack([top * width + left, top * width + following, bottom * width + left, bottom * width + following])
    weights = np.stack([(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right])
    starts = np.arange(0, 4 * rows.size + 1, 4, dtype=np.int32)
    return csr_array((weights.T.ravel(), corners.T.ravel(), starts), shape=(rows.size, height * width))
