# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The heart of the cardiac phantom: implicit bodies that beat, evaluated at any points.

Heart coordinates in mm: z along the long axis of the left ventricle from apex (0) to base, x towards the left
ventricle's free wall, y towards the diaphragm, as a short-axis slice is shown (right ventricle on the left).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from custom.phantoms.cmr_base import HeartBase
from custom.phantoms.cmr_fields import Noise3d, cover, filaments, paint, tube
from custom.phantoms.cmr_motion import Chamber, Cycle, distance_from_square
from custom.phantoms.oct_fields import smooth_min
from custom.scans.labels import CmrLabel


@dataclass(frozen=True)
class Tissue:
    """Signals relative to blood; fat is drawn as negative (see `cmr_thorax`)."""

    myocardium: float
    fat: float
    blood_unrest: float
    coronary: float


class Heart:
    """A random heart.

    Args:
        rng: source of the draws: end-diastolic volume 85 to 285 ml (bending and the uneven valve plane change what the
            labels hold by up to some 8 %), ejection fraction 22 to 74 %, wall 6.5 to 15 mm.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        volume = np.exp(rng.uniform(np.log(85), np.log(285)))
        wall = rng.uniform(6.5, 15.0 if volume < 180 else 11.5)
        sphericity = rng.uniform(1.45, 2.1) - 0.25 * (volume > 200)
        widest, blunt, narrow = rng.uniform(0.6, 0.8), rng.uniform(2.0, 2.5), rng.uniform(0.05, 0.3)
        # The volume of a chamber of unit radius scales with the cube: solve for the radius that gives the volume.
        unit = Chamber(1, 0, 2 * sphericity * widest, 2 * sphericity, blunt, narrow).volume_ml()
        radius = (volume / unit) ** (1 / 3)
        cap = wall * rng.uniform(0.5, 0.75)
        length = 2 * sphericity * radius + cap
        top = cap + 2 * sphericity * radius * widest
        self.endo = Chamber(radius, cap, top, length, blunt, narrow)
        self.epi = Chamber(radius + wall, 0, top, length, blunt, narrow * 0.7)
        fraction = rng.uniform(0.22, 0.55 if volume > 200 else 0.74)
        twist = rng.uniform(5, 13), rng.uniform(2, 6)
        self.cycle = Cycle(fraction, rng.uniform(10.8, 14.2), *twist, rng.uniform(0.3, 0.4), length)
        self.length, self.size = length, radius + wall
        self.thick_septum = rng.choice([0.0, 1.0]) * rng.uniform(-0.3, 0.1) * wall * np.array([1.0, rng.uniform(-1, 1)])
        self.bow = rng.uniform(-4, 4, 2)
        self.oval = rng.uniform(0, 0.16), rng.uniform(0, np.pi), rng.uniform(0, 0.07), rng.uniform(0, 2 * np.pi)
        self.tilt = np.tan(np.deg2rad(rng.uniform(-9, 9, 2)))
        self.tissue = Tissue(
            rng.uniform(0.25, 0.46), rng.uniform(0.45, 0.95), rng.uniform(0.05, 0.16), rng.uniform(0.7, 1.0)
        )
        self.noise = [Noise3d(rng) for _ in range(6)]
        self.warp = rng.uniform(1.0, 2.6), rng.uniform(16, 26)
        self._draw_right_ventricle(rng)
        self.base = HeartBase(rng, self.size, self.length)
        self._draw_papillaries(rng)
        self.trabeculae = rng.uniform(2.0, 6.0), rng.uniform(4.0, 9.0), rng.uniform(2.2, 3.6)
        self.epicardial_fat = rng.uniform(0.3, 3.5), rng.uniform(8, 22)
        self.outer_fat = rng.uniform(-10, 1), rng.uniform(3, 7)

    def _draw_right_ventricle(self, rng: np.random.Generator) -> None:
        angle = np.pi + np.deg2rad(rng.uniform(-25, 20))
        self.right_axis = np.cos(angle), np.sin(angle)
        reach = rng.uniform(24, 46)
        self.right_shape = rng.uniform(0.72, 0.95), reach, self.size * rng.uniform(0.9, 1.2), rng.uniform(0.004, 0.011)
        self.right_apex = self.length * rng.uniform(0.05, 0.28)
        self.right_ejection = rng.uniform(0.15, 0.4)
        self.right_wall = rng.uniform(2.5, 4.5)
        self.band = rng.uniform(0.35, 0.55) * self.length

    def _draw_papillaries(self, rng: np.random.Generator) -> None:
        self.papillaries = []
        for middle in (np.deg2rad(rng.uniform(-60, -5)), np.deg2rad(rng.uniform(75, 130))):
            for _ in range(int(rng.integers(1, 4))):
                angle = middle + np.deg2rad(rng.uniform(-17, 17))
                low, high = rng.uniform(0.2, 0.35), rng.uniform(0.55, 0.72)
                depth = rng.uniform(0.88, 1.0), rng.uniform(0.5, 0.72)
                thick = rng.uniform(2.8, 6.0) * (self.endo.radius / 25) ** 0.5
                self.papillaries.append((angle, low * self.length, high * self.length, *depth, thick))

    def reach_mm(self) -> tuple[float, float, float]:
        """Middle x, middle y and half width of a square around the heart in any slice, mm."""
        left = self.right_shape[0] * self.size + self.right_shape[1] + 22
        right = self.size + 24
        return (right - left) / 2, 0.0, max((left + right) / 2, 1.35 * self.size + 28)

    def landmarks(self) -> tuple[np.ndarray, ...]:
        """Apex, middle of the mitral plane, and at its height aorta, right ventricle, inferior wall, mm."""
        top, (ux, uy) = self.length, self.right_axis
        aortic = np.array([*self.base.aorta[0][:2], top])
        right = np.array([self.size * ux, self.size * uy + 0.15 * self.size, top])
        return np.zeros(3), np.array([0, 0, top]), aortic, right, np.array([0.2 * self.size, self.size, top])

    def render(
        self, canvas: np.ndarray, points: tuple[np.ndarray, np.ndarray, np.ndarray], phase: float, width: float
    ) -> np.ndarray:
        """Paint the heart over what surrounds it, in place.

        Args:
            canvas: signed signal, float32 of the points' shape.
            points: x, y, z in heart coordinates, mm, float32 of one shape.
            phase: of the cycle, 0 is end-diastole.
            width: of the edges, mm.

        Returns:
            `CmrLabel` ids, uint8.
        """
        x, y, z = points
        # Nothing in a body is as round as an ellipse: bend space itself a little.
        amount, length = self.warp
        x = x + np.float32(amount) * self.noise[4](points[0], y, z, length, 1.5)
        y = y + np.float32(amount) * self.noise[5](points[0], y, z, length, 1.5)
        c = self.cycle.contraction(phase)
        height = self.cycle.material_height(z, c)
        share = np.clip(height / np.float32(self.length), -0.2, 1.4)
        bend = 4 * share * (1 - share)
        x, y = x - np.float32(self.bow[0]) * bend, y - np.float32(self.bow[1]) * bend
        twist = self.cycle.twist(height, c)
        cosine, sine = np.cos(twist), np.sin(twist)
        # Material directions: the ventricle's own x and y, turned back by the torsion.
        mx, my = cosine * x + sine * y, cosine * y - sine * x
        radial = mx * mx + my * my
        inner, endo, epi = self._left_ventricle(mx, my, radial, height, c)
        n_slow = self.noise[2](x, y, height, 17.0)
        base = height - np.float32(self.length) - np.float32(self.tilt[0]) * x - np.float32(self.tilt[1]) * y
        base += np.float32(1.2) * n_slow
        right = self._right_ventricle(x, y, height + 2 * n_slow, c)
        atria, vessels = self.base.distances(x, y, height, base, right)

        scale = np.sqrt(np.float32(self.endo.radius**2) / np.maximum(inner, 40)).clip(0.8, 2.5)
        n_fine = self.noise[0](mx * scale, my * scale, height, self.trabeculae[2], 5.0)
        n_mid = self.noise[1](mx, my, height, 9.0, 1.5)

        lv_wall = np.maximum(epi, base - 2)
        outer = np.minimum(smooth_min(lv_wall, right - self.right_wall, 4.0), np.minimum(atria, vessels) - 1.5)
        sac = smooth_min(lv_wall, right - self.right_wall, self.epicardial_fat[1])
        sac = smooth_min(sac, np.minimum(atria, vessels) - 1.5, self.epicardial_fat[1])
        sac = np.minimum(sac, outer) - np.float32(self.epicardial_fat[0]) * (0.6 + 0.7 * n_slow).clip(0.1, 2)
        self._paint_sac(canvas, sac, n_mid, n_slow, (x, y, height), width)

        blood = 1 + np.float32(self.tissue.blood_unrest) * (0.6 * n_mid + 0.5 * n_slow)
        muscle = np.float32(self.tissue.myocardium) * (1 + 0.05 * n_mid + 0.04 * n_fine)
        for body in (atria, vessels):
            paint(canvas, 0.8 * muscle, cover(body - 1.5, width))
            paint(canvas, blood, cover(body, width))
        paint(canvas, muscle, cover(right - self.right_wall, width))
        rough = (n_fine + 0.25 + 0.3 * n_mid).clip(0, 1.8)
        lower = (1.15 - share).clip(0.1, 1)
        mesh = right + np.float32(self.trabeculae[1]) * rough * lower
        band = tube(x, y, height, *self._band_ends(), 2.6) + 0.8 * n_mid
        paint(canvas, blood, cover(np.maximum(mesh, -band), width))
        paint(canvas, muscle, cover(lv_wall, width))
        pool = np.maximum(endo + np.float32(self.trabeculae[0]) * rough * lower, base)
        paint(canvas, blood, cover(pool, width))
        self._paint_papillaries(canvas, (mx, my, height), inner, muscle, blood, endo, width)
        # Mitral leaflets: a thin sheet in which blood is mixed with valve.
        leaflet = np.exp(-((base + 1.0) ** 2) / np.float32(2.0)) * cover(endo, width)
        paint(canvas, 0.55 * blood, leaflet)

        labels = np.zeros(canvas.shape, np.uint8)
        labels[(right < 0) & (epi > 0)] = CmrLabel.RV_CAVITY
        labels[(epi <= 0) & (base <= 0)] = CmrLabel.MYOCARDIUM
        labels[(endo <= 0) & (base <= 0)] = CmrLabel.LV_CAVITY
        return labels

    def _left_ventricle(
        self, mx: np.ndarray, my: np.ndarray, radial: np.ndarray, height: np.ndarray, c: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Squared cavity radius now, and signed distances to endocardium and epicardium.

        The wall is incompressible: with long-axis stretch L and ejected share E of the cavity, squared radii become
        ``A^2 (1 - E) / L`` and ``(B^2 - E A^2) / L``, so the wall keeps its volume and must thicken.
        """
        stretch, ejected = np.float32(self.cycle.stretch(c)), np.float32(self.cycle.ejection_fraction * c)
        e2, p2, e3, p3 = (np.float32(v) for v in self.oval)
        safe = radial + np.float32(1.0)
        double = ((mx * mx - my * my) * np.cos(2 * p2) + 2 * mx * my * np.sin(2 * p2)) / safe
        triple = (mx * (mx * mx - 3 * my * my) * np.cos(p3) + my * (3 * mx * mx - my * my) * np.sin(p3)) / (
            safe * np.sqrt(safe)
        )
        oval = 1 + e2 * double + e3 * triple
        inner0, outer0 = self.endo.square(height) * oval, self.epi.square(height) * oval
        inner = np.where(inner0 > 0, inner0 * (1 - ejected) / stretch, inner0)
        outer = (outer0 - ejected * np.maximum(inner0, 0)) / stretch
        endo = distance_from_square(radial, inner, self.endo.slope(height))
        sx, sy = self.thick_septum
        shifted = (mx - np.float32(sx)) ** 2 + (my - np.float32(sy)) ** 2
        epi = distance_from_square(shifted, outer, self.epi.slope(height))
        return inner, endo, np.minimum(epi, endo - np.float32(0.5))

    def _right_ventricle(self, x: np.ndarray, y: np.ndarray, height: np.ndarray, c: float) -> np.ndarray:
        """Signed distance to the right ventricle's endocardium, the left ventricle not yet cut out."""
        place, reach, breadth, wrap = self.right_shape
        lower = ((self.length - 8 - height) / (self.length - 8 - self.right_apex)).clip(0, 3)
        profile = 1 - lower ** np.float32(1.8)
        ux, uy = (np.float32(v) for v in self.right_axis)
        eta = ux * y - uy * x
        # Tips bend around the septum: the body follows a parabola.
        xi = ux * x + uy * y - np.float32(place * self.size) * (1 - 0.3 * lower) + np.float32(wrap) * eta * eta
        a = np.float32(reach * (1 - self.right_ejection * c))
        b = np.float32(breadth * (1 - 0.4 * self.right_ejection * c))
        value = (xi / a) ** 2 + (eta / b) ** 2 - profile
        slope = np.float32(0.9 / (self.length - 8 - self.right_apex)) * lower.clip(0, 1.2) ** np.float32(0.8)
        norm = 2 * np.sqrt((xi / a**2) ** 2 + (eta / b**2) ** 2 + slope * slope) + np.float32(0.01)
        body = np.maximum(value / norm, height - np.float32(self.length - 4) + 0.1 * y)
        out = np.maximum(tube(x, y, height, *self.base.outflow), height - np.float32(self.length + 12))
        return smooth_min(body, out, 9.0)

    def _band_ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The moderator band, from the septum to the free wall of the right ventricle."""
        near, far = 0.9 * self.size, self.right_shape[0] * self.size + 0.9 * self.right_shape[1]
        ux, uy = self.right_axis
        return np.array([near * ux, near * uy, self.band]), np.array([far * ux - 10 * uy, far * uy, self.band - 12])

    def _paint_papillaries(self, canvas, material, inner, muscle, blood, endo, width) -> None:
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
        for start, end, radius in self.base.coronaries:
            paint(
                canvas,
                np.float32(self.tissue.coronary),
                cover(tube(x, y, height, start, end, radius), width) * cover(sac, width),
            )
