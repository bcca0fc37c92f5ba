# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""From what a display exports back to gray: colour maps, burnt-in overlays, the gaps they leave."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.sparse import csc_array, eye_array
from scipy.sparse.linalg import splu

SCATTER = 36.0
"""RGB distance from the colour map that JPEG compression of an export explains in a pixel."""
MAX_SCATTERED = 0.05
"""More pixels than this beyond the scatter: the colours are no map from dark to bright."""
MARK_DISTANCE = 20.0
"""RGB distance of a mark, averaged over frames: scatter averages out, a mark does not."""
STATIC_CONTRAST = 20
"""Gray levels by which an overlay stands out in the low percentile over time."""
MIN_STATIC_FRAMES = 8
"""Fewer frames, and anatomy does not move enough to be told from an overlay."""
MANY_STATIC_FRAMES = 30
"""With fewer, an overlay has to be steady as well, by at most this standard deviation in gray levels."""
STEADY = 12
STATIC_SAMPLE = 60


def undo_colour_map(rgb: np.ndarray) -> np.ndarray:
    """Gray intensities of colour-mapped pixels: the mean of the channels.

    The gold and sepia maps of OCT displays run from black to white with no channel ever falling, so the mean rises
    along all of them. Gray pixels (R = G = B) keep their value exactly.

    Args:
        rgb: `(..., 3)` uint8.

    Returns:
        `(...)` uint8.
    """
    return np.rint(rgb.mean(axis=-1, dtype=np.float32)).astype(np.uint8)


def estimate_colour_map(rgb: np.ndarray) -> np.ndarray:
    """The colour of each gray level, from the pixels themselves.

    Levels with few pixels are left out (an overlay may be most of them) and interpolated; the map ends in white.

    Args:
        rgb: `(..., 3)` uint8, some whole frames.

    Returns:
        `(256, 3)` float32, no channel ever falling.

    Raises:
        ValueError: the colours do not run from dark to bright along one line (a rainbow map, a photograph).
    """
    pixels = rgb.reshape(-1, 3)
    gray = undo_colour_map(pixels).astype(int)
    counts = np.bincount(gray, minlength=256)
    levels = np.flatnonzero(counts >= max(20, 5e-5 * gray.size))
    medians = np.stack([ndimage.median(pixels[:, c], gray, levels) for c in range(3)], axis=1)
    known = np.concatenate([levels, [255]]) if levels[-1] < 255 else levels
    medians = np.concatenate([medians, [[255] * 3]]) if levels[-1] < 255 else medians
    rising = np.maximum.accumulate(medians)
    colours = np.stack([np.interp(np.arange(256), known, rising[:, c]) for c in range(3)], axis=1).astype(np.float32)
    if (np.linalg.norm(_deviation(pixels, colours), axis=-1) > SCATTER).mean() > MAX_SCATTERED:
        raise ValueError("the colours do not run from dark to bright along one colour map")
    return colours


def coloured_overlay(frames: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Burnt-in marks that stay in place: pixels whose colour is on average not that of their gray level.

    Args:
        frames: `(F, H, W, 3)` uint8.
        colours: from :func:`estimate_colour_map`.

    Returns:
        `(H, W)` bool.
    """
    total = np.zeros(frames.shape[1:], np.float32)
    for frame in frames:
        total += _deviation(frame, colours)
    return np.linalg.norm(total / len(frames), axis=-1) > MARK_DISTANCE


def _deviation(rgb: np.ndarray, colours: np.ndarray) -> np.ndarray:
    return rgb - colours[undo_colour_map(rgb)]


def static_overlay(frames: np.ndarray) -> np.ndarray:
    """Lines and marks that stay while the anatomy passes: bright in every frame, standing out from around them.

    Args:
        frames: Cartesian gray `(N, N, F)`.

    Returns:
        `(N, N)` bool; all False with fewer than 8 frames, in which anatomy cannot be told from overlay.
    """
    size, _, count = frames.shape
    if count < MIN_STATIC_FRAMES:
        return np.zeros((size, size), bool)
    picked = np.linspace(0, count - 1, min(count, STATIC_SAMPLE)).round().astype(int)
    always = np.percentile(frames[..., picked], 5, axis=2).astype(np.float32)
    offset = np.arange(size) - (size - 1) / 2
    radius = np.hypot(offset[:, None], offset).astype(int)
    # Catheter rings stay as well, but all around: they are what is usual at their radius. A mark on the very centre
    # would be its own ring.
    rings = ndimage.median(always, radius, np.arange(radius.max() + 1))
    rings[: size // 50] = 0
    rings = ndimage.maximum_filter1d(rings, 5)[radius]
    contrast = STATIC_CONTRAST / 255 * white_of(frames)
    marks = always - np.maximum(ndimage.median_filter(always, 11), rings) > contrast
    if count < MANY_STATIC_FRAMES:
        marks &= frames.std(axis=2, dtype=np.float32) < STEADY / 255 * white_of(frames)
    return marks


def white_of(frames: np.ndarray) -> float:
    """The value of white: of integers the full range of the bits in use (8, 10, ... 16), of floats the maximum."""
    most = float(frames.max())
    if frames.dtype.kind == "f":
        return most
    return next((2.0**bits - 1 for bits in (8, 10, 12, 14, 16) if most < 2**bits), most)


def fill_overlay(frames: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Replace the masked pixels of every frame by the harmonic surface through their borders.

    One mask serves all frames, so its Laplace equation is factored once.

    Args:
        frames: `(H, W, F)`.
        mask: `(H, W)` bool, not all True.

    Returns:
        A copy; integers are rounded.
    """
    filled = frames.copy()
    if not mask.any():
        return filled
    height, width = mask.shape
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(mask.sum())
    rows, columns = np.nonzero(mask)
    laplacian = csc_array((rows.size, rows.size))
    degree = np.zeros(rows.size)
    border = np.zeros((rows.size, frames.shape[2]))
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        y, x = rows + down, columns + right
        inside = np.flatnonzero((y >= 0) & (y < height) & (x >= 0) & (x < width))
        y, x = y[inside], x[inside]
        degree[inside] += 1
        linked = number[y, x] >= 0
        pairs = (inside[linked], number[y[linked], x[linked]])
        laplacian -= csc_array((np.ones(linked.sum()), pairs), shape=laplacian.shape)
        border[inside[~linked]] += frames[y[~linked], x[~linked]]
    laplacian = laplacian + eye_array(rows.size).multiply(degree[:, None])
    values = splu(csc_array(laplacian)).solve(border)
    filled[mask] = np.rint(values) if frames.dtype.kind in "iu" else values
    return filled
