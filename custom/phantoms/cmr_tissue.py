# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a heart of the cardiac phantom is made of, whatever its shape: blood, muscle, fat, and their painting.

Heart coordinates in mm: z along the long axis of the left ventricle from apex (0) to base, x towards the left
ventricle's free wall, y towards the diaphragm, as a short-axis slice is shown (right ventricle on the left).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from custom.phantoms.cmr_fields import Noise3d, cover, filaments, paint, tube
from custom.phantoms.cmr_motion import Cycle
from custom.phantoms.oct_fields import smooth_min
from custom.scans.labels import CmrLabel

Points = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Tissue:
    """Signals relative to blood; fat is drawn as negative (see `cmr_thorax`)."""

    myocardium: float
    fat: float
    blood_unrest: float
    coronary: float


@dataclass(frozen=True)
class Surfaces:
    """A heart at one moment, at points of one shape. Distances are signed, in mm, negative inside.

    Args:
        place: heart coordinates that tell tissue apart and stay with it as far as the heart follows it, mm.
        material: x and y from the axis of the left ventricle, its torsion undone, mm.
        inner: squared radius of the left ventricle's cavity now, mm2.
        slow: noise of the shape, whose pattern the fat follows.
        endo: distance to the left ventricle's cavity, the valve plane not yet cut.
        epi: distance to its outer wall.
        base: distance to the mitral plane, positive on the atrial side.
        roof: distance to what closes the cavity above, positive beyond.
        right: distance to the right ventricle's cavity.
        right_wall: distance to the outside of its wall.
        atria: distance to the atria and what flows into them.
        vessels: distance to the great arteries.
        leaflets: share of a cell that valve leaflets take.
    """

    place: Points
    material: tuple[np.ndarray, np.ndarray]
    inner: np.ndarray
    slow: np.ndarray
    endo: np.ndarray
    epi: np.ndarray
    base: np.ndarray
    roof: np.ndarray
    right: np.ndarray
    right_wall: np.ndarray
    atria: np.ndarray
    vessels: np.ndarray
    leaflets: np.ndarray


class BeatingHeart(ABC):
    """A heart that can be painted. Subclasses give it a shape and a beat.

    Attributes:
        cycle: of the beat.
        length: height of the mitral plane above the epicardial apex at end-diastole, mm.
        size: largest radius of the left ventricle's epicardium, mm.
        radius: largest radius of its cavity, mm.
        right_wall: thickness of the right ventricle's wall, mm.
        band: start, end of the moderator band.
        coronaries: start, end (mm) and radius (mm) of each straight vessel on the surface.
    """

    cycle: Cycle
    length: float
    size: float
    radius: float
    right_wall: float
    band: tuple[np.ndarray, np.ndarray]
    coronaries: list[tuple[np.ndarray, np.ndarray, float]]

    @abstractmethod
    def surfaces(self, points: Points, phase: float, width: float) -> Surfaces:
        """The heart at `phase` of its cycle (0 is end-diastole) at `points` in heart coordinates, mm."""

    @abstractmethod
    def reach_mm(self) -> tuple[float, float, float]:
        """Middle x, middle y and half width of a square around the heart in any slice, mm."""

    @abstractmethod
    def landmarks(self) -> tuple[np.ndarray, ...]:
        """Apex, middle of the mitral plane, and at its height aorta, right ventricle, inferior wall, mm."""

    def _draw_contrast(self, rng: np.random.Generator) -> None:
        self.tissue = Tissue(
            rng.uniform(0.25, 0.46), rng.uniform(0.45, 0.95), rng.uniform(0.05, 0.16), rng.uniform(0.7, 1.0)
        )
        self.noise = [Noise3d(rng) for _ in range(6)]
        self.warp = rng.uniform(1.0, 2.6), rng.uniform(16, 26)

    def _draw_papillaries(self, rng: np.random.Generator) -> None:
        self.papillaries = []
        for middle in (np.deg2rad(rng.uniform(-60, -5)), np.deg2rad(rng.uniform(75, 130))):
            for _ in range(int(rng.integers(1, 4))):
                angle = middle + np.deg2rad(rng.uniform(-17, 17))
                low, high = rng.uniform(0.2, 0.35), rng.uniform(0.55, 0.72)
                depth = rng.uniform(0.88, 1.0), rng.uniform(0.5, 0.72)
                thick = rng.uniform(2.8, 6.0) * (self.radius / 25) ** 0.5
                self.papillaries.append((angle, low * self.length, high * self.length, *depth, thick))

    def _draw_surface(self, rng: np.random.Generator) -> None:
        self.trabeculae = rng.uniform(2.0, 6.0), rng.uniform(4.0, 9.0), rng.uniform(2.2, 3.6)
        self.epicardial_fat = rng.uniform(0.3, 3.5), rng.uniform(8, 22)
        self.outer_fat = rng.uniform(-10, 1), rng.uniform(3, 7)

    def _warped(self, points: Points) -> Points:
        """Nothing in a body is as round as an ellipse: bend space itself a little."""
        x, y, z = points
        amount, length = self.warp
        x = x + np.float32(amount) * self.noise[4](points[0], y, z, length, 1.5)
        y = y + np.float32(amount) * self.noise[5](points[0], y, z, length, 1.5)
        return x, y, z

    def render(self, canvas: np.ndarray, points: Points, phase: float, width: float) -> np.ndarray:
        """Paint the heart over what surrounds it, in place.

        Args:
            canvas: signed signal, float32 of the points' shape.
            points: x, y, z in heart coordinates, mm, float32 of one shape.
            phase: of the cycle, 0 is end-diastole.
            width: of the edges, mm.

        Returns:
            `CmrLabel` ids, uint8.
        """
        now = self.surfaces(points, phase, width)
        (x, y, height), (mx, my) = now.place, now.material
        share = np.clip(height / np.float32(self.length), -0.2, 1.4)
        scale = np.sqrt(np.float32(self.radius**2) / np.maximum(now.inner, 40)).clip(0.8, 2.5)
        n_fine = self.noise[0](mx * scale, my * scale, height, self.trabeculae[2], 5.0)
        n_mid = self.noise[1](mx, my, height, 9.0, 1.5)

        lv_wall = np.maximum(now.epi, now.base - 2)
        others = np.minimum(now.atria, now.vessels) - 1.5
        outer = np.minimum(smooth_min(lv_wall, now.right_wall, 4.0), others)
        sac = smooth_min(lv_wall, now.right_wall, self.epicardial_fat[1])
        sac = smooth_min(sac, others, self.epicardial_fat[1])
        sac = np.minimum(sac, outer) - np.float32(self.epicardial_fat[0]) * (0.6 + 0.7 * now.slow).clip(0.1, 2)
        self._paint_sac(canvas, sac, n_mid, now.slow, now.place, width)

        blood = 1 + np.float32(self.tissue.blood_unrest) * (0.6 * n_mid + 0.5 * now.slow)
        muscle = np.float32(self.tissue.myocardium) * (1 + 0.05 * n_mid + 0.04 * n_fine)
        for body in (now.atria, now.vessels):
            paint(canvas, 0.8 * muscle, cover(body - 1.5, width))
            paint(canvas, blood, cover(body, width))
        paint(canvas, muscle, cover(now.right_wall, width))
        rough = (n_fine + 0.25 + 0.3 * n_mid).clip(0, 1.8)
        lower = (1.15 - share).clip(0.1, 1)
        mesh = now.right + np.float32(self.trabeculae[1]) * rough * lower
        band = tube(x, y, height, *self.band, 2.6) + 0.8 * n_mid
        paint(canvas, blood, cover(np.maximum(mesh, -band), width))
        paint(canvas, muscle, cover(lv_wall, width))
        pool = np.maximum(now.endo + np.float32(self.trabeculae[0]) * rough * lower, now.roof)
        paint(canvas, blood, cover(pool, width))
        self._paint_papillaries(canvas, (mx, my, height), now.inner, muscle, now.endo, width)
        # Leaflets: thin sheets in which blood is mixed with valve.
        paint(canvas, 0.55 * blood, now.leaflets)

        labels = np.zeros(canvas.shape, np.uint8)
        labels[(now.right < 0) & (now.epi > 0)] = CmrLabel.RV_CAVITY
        labels[(now.epi <= 0) & (now.base <= 0)] = CmrLabel.MYOCARDIUM
        labels[(now.endo <= 0) & (now.roof <= 0)] = CmrLabel.LV_CAVITY
        return labels

    def _paint_papillaries(self, canvas, material, inner, muscle, endo, width) -> None:
        mx, my, height = material
        cavity = np.sqrt(np.maximum(inner, 1))
        wobble = self.noise[3](mx, my, height, 6.0)
        for angle, low, high, outer, tip, thick in self.papillaries:
            along = (height - np.float32(low)) / np.float32(high - low)
            place = (np.float32(outer) + np.float32(tip - outer) * along.clip(0, 1)) * cavity
            gap = np.hypot(mx - place * np.float32(np.cos(angle)), my - place * np.float32(np.sin(angle)))
            ends = np.abs(along - 0.5) * np.float32(high - low) - np.float32((high - low) / 2 - thick)
            muscle_gap = gap - np.float32(thick) + 0.7 * wobble + np.maximum(ends, 0)
            paint(canvas, muscle, cover(muscle_gap, width) * cover(endo, width))

    def _paint_sac(self, canvas, sac, n_mid, n_slow, place, width) -> None:
        """Fat around the pericardium, its dark line, the fat within and the coronaries that run in it."""
        x, y, height = place
        fat = -np.float32(self.tissue.fat) * (0.8 + 0.18 * n_mid).clip(0.2, 1.2)
        bare, spread = self.outer_fat
        apex = 5 * np.exp(-height / 20).clip(0, 1.5)
        paint(canvas, fat, cover(sac - 1.8 - np.maximum(bare + spread * n_slow + apex, 0), width))
        paint(canvas, 0.12, cover(sac - 1.6, width))
        paint(canvas, fat, cover(sac, width))
        paint(canvas, 0.3, 0.7 * filaments(n_mid, n_slow, 0.2) * cover(sac - 12, width))
        for start, end, radius in self.coronaries:
            paint(
                canvas,
                np.float32(self.tissue.coronary),
                cover(tube(x, y, height, start, end, radius), width) * cover(sac, width),
            )
