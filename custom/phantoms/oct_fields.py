# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Random functions that the OCT phantom is made of, and the tables they are read from."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

ANGLES = np.linspace(0, 2 * np.pi, 512, endpoint=False)
DEPTHS_MM = np.linspace(0, 2.2, 220)


class SmoothNoise:
    """Stationary random function of angle, depth and position, zero mean and unit variance, periodic in angle.

    A sum of cosines ``sqrt(2) a_j cos(m_j phi + q_j s + k_j z + psi_j)`` (random Fourier features) with ``k_j, q_j``
    drawn for Gaussian correlation of the given lengths; amplitudes fall as ``1 / (1 + (m / roll_off)**2)``.

    Args:
        rng: source of the draws.
        length: correlation length along the pullback (mm, or frames when called with time).
        harmonics: lowest and highest harmonic of the angle.
        depth_length: correlation length across the wall in mm; None for a function that does not depend on depth.
        roll_off: harmonic from which the amplitude falls.
        terms: number of cosines.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        length: float,
        harmonics: tuple[int, int] = (0, 0),
        depth_length: float | None = None,
        roll_off: float = 4.0,
        terms: int = 48,
    ) -> None:
        self.m = np.resize(np.arange(harmonics[0], harmonics[1] + 1), terms) * rng.choice([-1, 1], terms)
        self.k = rng.standard_normal(terms) / length
        self.q = rng.standard_normal(terms) / (depth_length or np.inf)
        self.psi = rng.uniform(0, 2 * np.pi, terms)
        a = rng.rayleigh(1.0, terms) / (1 + (self.m / roll_off) ** 2)
        self.a = np.sqrt(2) * a / np.linalg.norm(a)

    def __call__(self, z: np.ndarray | float, phi: np.ndarray | float = 0.0) -> np.ndarray:
        """Values at positions and angles of one broadcast shape."""
        phase = np.multiply.outer(np.asarray(phi), self.m) + np.multiply.outer(np.asarray(z), self.k) + self.psi
        return np.cos(phase) @ self.a

    def table(self, z: float) -> np.ndarray:
        """Values at one position on the fixed (angle, depth) grid of the frame tables, float32."""
        across = np.multiply.outer(self.q, DEPTHS_MM)
        along = np.multiply.outer(ANGLES, self.m) + (self.k * z + self.psi)
        # cos(along + across) as two matrix products: its terms never meet on the full grid.
        values = (self.a * np.cos(along)) @ np.cos(across) - (self.a * np.sin(along)) @ np.sin(across)
        return values.astype(np.float32)


def wrap(angle: np.ndarray) -> np.ndarray:
    """The same angle within [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def smooth_min(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """Polynomial smooth minimum of two distances (Quilez), rounding the joint over `width` mm."""
    h = np.clip(width - np.abs(a - b), 0, None) / width
    return np.minimum(a, b) - 0.25 * width * h * h


def lookup(table: np.ndarray, phi: np.ndarray, depth: np.ndarray | None = None) -> np.ndarray:
    """Linear interpolation in a table over `ANGLES` (and `DEPTHS_MM`)."""
    column = (phi % (2 * np.pi)) * (len(ANGLES) / (2 * np.pi))
    if depth is None:
        return np.interp(column, np.arange(len(ANGLES) + 1), np.append(table, table[0])).astype(np.float32)
    row = np.clip(depth / DEPTHS_MM[1], 0, len(DEPTHS_MM) - 1)
    return map_coordinates(table, [column, row], np.float32, order=1, mode="grid-wrap")
