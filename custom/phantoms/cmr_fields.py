# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Building blocks of the cardiac phantom: periodic 3D noise, soft coverage of implicit bodies, compositing."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

CELLS = 48
_SIGMA = 1.5  # cells; the noise then decorrelates over sqrt(2) times as much


class Noise3d:
    """Smooth stationary noise of zero mean and unit variance, periodic over some 20 correlation lengths.

    Args:
        rng: source of the draws.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        grid = gaussian_filter(rng.standard_normal((CELLS, CELLS, CELLS), np.float32), _SIGMA, mode="wrap")
        self.grid = (grid - grid.mean()) / grid.std()
        self.shift = rng.uniform(0, CELLS, 3).astype(np.float32)

    def __call__(self, x: np.ndarray, y: np.ndarray, z: np.ndarray, length: float, along: float = 1.0) -> np.ndarray:
        """Values at points.

        Args:
            x, y, z: coordinates in mm, of one broadcast shape.
            length: correlation length (standard deviation of the Gaussian correlation) in mm.
            along: how much longer the noise is along z.

        Returns:
            float32 of the broadcast shape.
        """
        scale = np.float32(_SIGMA * np.sqrt(2) / length)
        x, y, z = np.broadcast_arrays(x, y, z)
        where = np.empty((3, *x.shape), np.float32)
        for axis, (points, factor) in enumerate(((x, scale), (y, scale), (z, scale / np.float32(along)))):
            np.multiply(points, factor, out=where[axis])
            where[axis] += self.shift[axis]
        return map_coordinates(self.grid, where, np.float32, order=1, mode="grid-wrap", prefilter=False)


def cover(distance: np.ndarray, width: float) -> np.ndarray:
    """Share of a cell of `width` mm that lies inside a body, from the signed distance (mm, negative inside)."""
    return np.clip(0.5 - distance / np.float32(width), 0, 1)


def paint(canvas: np.ndarray, value: np.ndarray | float, share: np.ndarray) -> None:
    """Lay tissue of signal `value` over `share` of each cell of `canvas`, in place."""
    canvas += share * (value - canvas)


def ellipsoid(x: np.ndarray, y: np.ndarray, z: np.ndarray, centre: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """First-order signed distance in mm to an ellipsoid: ``F / |grad F|`` of ``F = |q| - 1``, q scaled by the radii."""
    a, b, c = ((p - np.float32(m)) / np.float32(r) for p, m, r in zip((x, y, z), centre, radii, strict=True))
    square = a * a + b * b + c * c
    slope = np.sqrt((a / np.float32(radii[0])) ** 2 + (b / np.float32(radii[1])) ** 2 + (c / np.float32(radii[2])) ** 2)
    return (square - np.sqrt(square)) / (slope + np.float32(1e-6))


def tube(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, start: np.ndarray, end: np.ndarray, radius: np.ndarray | float
) -> np.ndarray:
    """Signed distance in mm to a straight tube with round ends from `start` to `end`."""
    axis = np.asarray(end, np.float32) - np.asarray(start, np.float32)
    dx, dy, dz = (p - np.float32(s) for p, s in zip((x, y, z), start, strict=True))
    along = np.clip((dx * axis[0] + dy * axis[1] + dz * axis[2]) / np.float32(axis @ axis), 0, 1)
    gap = (dx - along * axis[0]) ** 2 + (dy - along * axis[1]) ** 2 + (dz - along * axis[2]) ** 2
    return np.sqrt(gap) - radius


def filaments(first: np.ndarray, second: np.ndarray, width: float) -> np.ndarray:
    """Random curves in space: near 1 where two noises vanish together, so vessels without a tree to store."""
    return np.exp((first * first + second * second) * np.float32(-0.5 / width**2))
