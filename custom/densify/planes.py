# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Slices of an output as a screen shows them: read one after the other, turned like a radiologist's, in gray levels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from custom.geometry import spacing_from_affine
from custom.scans.pullback_reader import PullbackReader
from custom.scans.scan import Scan
from custom.scans.scans import can_be_cut
from custom.scans.stacks import read_slices

RIGHT, DOWN = np.array([-1.0, -0.5, 0.0]), np.array([0.0, -0.5, -1.0])
"""What the right and the lower side of a picture should show, in a NIfTI's world (right, front, head).

Right is the patient's left, or else the back; down are the feet, or else the back: so axial slices are seen from the
feet, coronal ones from the front and sagittal ones from the left, and oblique ones as the nearest of these.
"""


@dataclass(frozen=True)
class Turn:
    """How a stored slice becomes a picture.

    Attributes:
        transpose: whether rows of the array are columns of the picture.
        flip_rows: upside down, after that.
        flip_columns: left to right, after that.
        pixel_mm: of the picture, (down, right).
    """

    transpose: bool
    flip_rows: bool
    flip_columns: bool
    pixel_mm: tuple[float, float]

    def __call__(self, planes: np.ndarray) -> np.ndarray:
        """Planes `(..., H, W)` as pictures."""
        planes = planes.swapaxes(-1, -2) if self.transpose else planes
        planes = planes[..., ::-1, :] if self.flip_rows else planes
        return planes[..., ::-1] if self.flip_columns else planes


def turn_of(scan: Scan, kind: str) -> Turn:
    """How the slices of a scan are shown; a pullback's frames are shown as stored."""
    axes = [axis for axis in range(3) if axis != scan.axis]
    spacing = spacing_from_affine(scan.affine)
    best = (False, False, False)
    if kind == "stack":
        directions = [scan.affine[:3, axis] / spacing[axis] for axis in axes]

        def score(choice: tuple[bool, bool, bool]) -> float:
            transpose, flip_rows, flip_columns = choice
            down, right = directions[::-1] if transpose else directions
            return float((1 - 2 * flip_rows) * down @ DOWN + (1 - 2 * flip_columns) * right @ RIGHT)

        best = max(itertools.product((False, True), repeat=3), key=score)
    down, right = (axes[1], axes[0]) if best[0] else axes
    return Turn(*best, (float(spacing[down]), float(spacing[right])))


def stored_slices(scan: Scan) -> Iterator[np.ndarray]:
    """Every slice as stored, `(T, H, W)`, in order; of a volume sliced on its last axis one is in memory at a time."""
    if not can_be_cut(scan):
        yield from read_slices(scan)
        return
    with PullbackReader(scan) as reader:
        for place in range(scan.num_slices):
            yield reader.stored(place)[None]


def gray(planes: np.ndarray, window: tuple[float, float], size: tuple[int, int]) -> np.ndarray:
    """Pictures of another size in gray levels.

    Args:
        planes: `(T, H, W)`.
        window: stored values that become black and white.
        size: (height, width) of the pictures, at most that of the planes; a pixel is the mean of what it stands for.

    Returns:
        `(T, *size)` uint8.
    """
    low, high = window
    levels = ((np.asarray(planes, np.float32) - low) * (255 / (high - low))).clip(0, 255)
    if levels.shape[1:] == tuple(size):
        return np.rint(levels).astype(np.uint8)
    small = [Image.fromarray(np.ascontiguousarray(plane)).resize(size[::-1], Image.Resampling.BOX) for plane in levels]
    return np.rint(np.stack([np.asarray(plane) for plane in small])).astype(np.uint8)
