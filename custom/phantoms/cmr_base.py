# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What lies above the ventricles of the cardiac phantom: atria, great arteries, and the coronaries on the surface."""

from __future__ import annotations

import numpy as np

from custom.phantoms.cmr_fields import ellipsoid, tube
from custom.phantoms.oct_fields import smooth_min


class HeartBase:
    """Random atria and arteries in heart coordinates, see `cmr_anatomy`.

    Args:
        rng: source of the draws.
        size: largest radius of the left ventricle's epicardium, mm.
        length: height of the mitral plane at end-diastole, mm.
    """

    def __init__(self, rng: np.random.Generator, size: float, length: float) -> None:
        self.length = length
        s, top = size, length

        def near(x: float, y: float, z: float) -> np.ndarray:
            return np.array([x * s, y * s, top + z]) + rng.uniform(-4, 4, 3)

        scale = s / 35
        self.left_atrium = near(0.15, 0.35, 22), np.array([31, 26, 32]) * scale * rng.uniform(0.85, 1.15, 3)
        self.right_atrium = near(-1.3, 0.3, 20), np.array([28, 32, 36]) * scale * rng.uniform(0.85, 1.15, 3)
        self.appendage = near(0.55, -0.55, 20), rng.uniform(8, 15, 3)
        self.aorta = near(-0.3, -0.15, 2), near(-0.65, -0.35, 48), rng.uniform(11, 15)
        self.outflow = near(-0.85, -0.8, -24), near(-0.15, -1.15, 30), rng.uniform(10, 14)
        self.coronaries = [
            (near(-0.62, -0.9, 5), np.array([-0.25 * s, -0.45 * s, 8.0]), 2.2),  # LAD to the apex
            (near(-0.4, 0.98, 2), np.array([-0.1 * s, 0.55 * s, 12.0]), 1.8),  # PDA
            (near(0.95, 0.2, 2), near(0.3, 1.0, 2), 2.4),  # circumflex and coronary sinus, in the groove
            (near(-1.1, -0.75, 0), near(-1.4, 0.5, 2), 2.2),  # right coronary artery
        ]

    def distances(
        self, x: np.ndarray, y: np.ndarray, height: np.ndarray, base: np.ndarray, right: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Signed distances to the atria, which begin above their valves, and to the great arteries.

        Args:
            x, y, height: points in heart coordinates, the height where their tissue was at end-diastole, mm.
            base: their signed distance to the mitral plane, positive on the atrial side, mm.
            right: their signed distance to the right ventricle, mm.

        Returns:
            Distances in mm, float32 of the points' shape each.
        """
        floor = np.float32(1.5) - base
        atria = smooth_min(ellipsoid(x, y, height, *self.left_atrium), ellipsoid(x, y, height, *self.appendage), 5.0)
        atria = np.maximum(atria, floor)
        second = np.maximum(ellipsoid(x, y, height, *self.right_atrium), 1.5 - right)
        second = np.maximum(second, np.float32(self.length - 14) - height)
        # The atria share a wall instead of one space.
        atria = np.minimum(atria, np.maximum(second, 3.0 - atria))
        aorta = tube(x, y, height, *self.aorta)
        artery = np.maximum(tube(x, y, height, *self.outflow), np.float32(self.length + 13) - height)
        arteries = np.minimum(aorta, np.maximum(artery, 2.5 - aorta))
        return np.maximum(atria, 2.5 - np.minimum(arteries, artery)), arteries
