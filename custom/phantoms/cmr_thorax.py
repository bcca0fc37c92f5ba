# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Everything around the heart of the cardiac phantom, at rest as in a breath-hold.

Coordinates are the patient's in mm (right, anterior, superior), zero at the middle of the left ventricle. Water signal
is positive and fat negative: at an echo time of TR / 2, as in bSSFP, the two are opposed, so that averaging them over a
voxel before the magnitude gives the dark lines that real scans show between fat and organs.
"""

from __future__ import annotations

import numpy as np

from custom.phantoms.cmr_fields import Noise3d, cover, ellipsoid, filaments, paint


class Thorax:
    """A random chest and upper abdomen around a heart.

    Args:
        rng: source of the draws.
        apex: of the left ventricle, (right, anterior, superior) in mm: the chest wall passes just in front of it.
        inferior: a point of the heart's inferior surface: the diaphragm passes just below it.
    """

    def __init__(self, rng: np.random.Generator, apex: np.ndarray, inferior: np.ndarray) -> None:
        self.noise = [Noise3d(rng) for _ in range(4)]
        self.offset = np.array([-rng.uniform(28, 50), rng.uniform(15, 35)], np.float32)
        self.half_width = rng.uniform(135, 170)
        side, front = apex[0] + self.offset[0], apex[1] + self.offset[1]
        self.half_depth = (front + rng.uniform(2, 10)) / np.sqrt(1 - min(0.7, (side / self.half_width) ** 2))
        self.wall_mm = rng.uniform(11, 19)
        self.fat_mm = rng.gamma(3.0, 5.0) + 4
        self.ribs = rng.uniform(26, 34), rng.uniform(0, 1), rng.uniform(0.2, 0.5)
        self.dome = inferior[2] - rng.uniform(-2, 7)
        self.liver_dome = rng.uniform(10, 28)
        self.liver_edge = rng.uniform(-70, 15)
        below = self.dome - rng.uniform(35, 55)
        self.stomach = np.array([rng.uniform(-95, -65), rng.uniform(5, 40), below]), rng.uniform(28, 48, 3)
        self.spleen = np.array([rng.uniform(-125, -100), rng.uniform(-65, -30), below]), rng.uniform(28, 50, 3)
        self.mediastinum = rng.uniform(25, 45, 3) * (1.0, 1.3, 2.5)
        self.fat = rng.uniform(0.6, 1.05)
        self.lung = rng.uniform(0.015, 0.07)
        self.lung_vessels = rng.uniform(0.15, 0.5)
        self.muscle = rng.uniform(0.16, 0.3)
        self.liver = rng.uniform(0.28, 0.5)
        self.liver_vessels = rng.uniform(-0.2, 0.45)
        self.organs = rng.uniform(0.25, 0.6, 3)  # spleen, stomach wall, stomach contents
        self.organs[2] = rng.choice([0.03, rng.uniform(0.15, 0.75)], p=[0.35, 0.65])

    def signal(self, right: np.ndarray, anterior: np.ndarray, superior: np.ndarray, width: float) -> np.ndarray:
        """Signed signal at points (blood is 1), float32; edges are `width` mm wide."""
        x, y, z = right + self.offset[0], anterior + self.offset[1], superior
        coarse = self.noise[0](right, anterior, superior, 16.0)
        fine = self.noise[1](right, anterior, superior, 5.5)
        vessel = filaments(self.noise[2](right, anterior, superior, 7.0), self.noise[3](x, y, z, 7.0), 0.17)
        canvas = np.float32(self.lung) * (1 + 0.3 * fine) + np.float32(self.lung_vessels) * vessel
        self._paint_mediastinum(canvas, x, y, z, coarse, fine, width)
        self._paint_abdomen(canvas, x, y, z, coarse, fine, vessel, width)
        self._paint_wall(canvas, x, y, z, coarse, fine, width)
        return canvas

    def _paint_mediastinum(self, canvas, x, y, z, coarse, fine, width) -> None:
        back = -self.half_depth
        tissue = ellipsoid(x, y, z, np.array([0.0, back * 0.35, 20.0]), self.mediastinum) + 5 * coarse
        paint(canvas, np.where(fine > 0.2, 0.25, -0.8 * np.float32(self.fat)), cover(tissue, width))
        spine = np.hypot(x, y - np.float32(back + 42)) - 19
        paint(canvas, 0.22 + 0.05 * fine, cover(spine, width))
        aorta = np.hypot(x + 24, y - np.float32(back + 62)) - 11
        paint(canvas, 0.25, cover(aorta - 1.5, width))
        paint(canvas, 0.95, cover(aorta, width))

    def _paint_abdomen(self, canvas, x, y, z, coarse, fine, vessel, width) -> None:
        rise = self.liver_dome * np.exp(-((x - 70) ** 2 + y * y) * np.float32(1 / 9000))
        slope = np.clip((x / self.half_width) ** 2 + (y / self.half_depth) ** 2 - 0.35, 0, None)
        depth = 0.85 * (z - (self.dome + rise - 45 * slope + 2.5 * coarse))
        paint(canvas, np.float32(self.muscle), cover(depth, width))
        inside = cover(depth + 2.5, width)
        # Fat with bowel in it, where no organ lies.
        bowel = np.clip(2.5 * (0.7 * coarse + 0.7 * fine) - 0.6, 0, 1)
        belly = -np.float32(self.fat) * (0.85 + 0.1 * fine)
        paint(canvas, belly + bowel * (0.3 + 0.15 * coarse - belly), inside)
        spleen = ellipsoid(x, y, z, *self.spleen) + 2 * coarse
        paint(canvas, np.float32(self.organs[0]), inside * cover(spleen, width))
        stomach = ellipsoid(x, y, z, *self.stomach) + 5 * coarse
        paint(canvas, np.float32(self.organs[1]) + 0.08 * fine, inside * cover(stomach, width))
        paint(canvas, np.float32(self.organs[2]) * (1 + 0.25 * fine), inside * cover(stomach + 4 + fine, width))
        edge = (self.liver_edge - x) + 6 * coarse - 0.35 * (self.dome - z)
        liver = np.float32(self.liver) * (1 + 0.03 * fine) + np.float32(self.liver_vessels) * vessel
        paint(canvas, liver, inside * cover(edge, width))

    def _paint_wall(self, canvas, x, y, z, coarse, fine, width) -> None:
        a, b = np.float32(self.half_width), np.float32(self.half_depth)
        square = (x / a) ** 2 + (y / b) ** 2
        distance = (square - np.sqrt(square)) / (np.sqrt(x * x / a**4 + y * y / b**4) + 1e-6) + 2 * coarse
        pitch, start, tilt = self.ribs
        phase = (z + np.float32(tilt) * y) / np.float32(pitch) + np.float32(start)
        rib = np.cos(np.float32(2 * np.pi) * phase) - 0.15
        bone = np.clip(6 * rib, 0, 1) * cover(np.abs(distance - self.wall_mm * 0.35) - 4, width)
        wall = np.float32(self.muscle) + 0.04 * fine - np.float32(0.6) * np.clip(fine - 0.8, 0, 1)
        wall += bone * (np.where(rib > 0.4, -0.3 * np.float32(self.fat), 0.04) - wall)
        paint(canvas, wall, cover(-distance, width))
        fat = distance - np.float32(self.wall_mm)
        lobules = (1 + 0.1 * fine) * (1 - 0.6 * np.exp(-((coarse - 0.3 * fine) ** 2) * 60))
        paint(canvas, -np.float32(self.fat) * lobules, cover(-fat, width))
        paint(canvas, 0.0, cover(np.float32(self.fat_mm) - fat, width))
