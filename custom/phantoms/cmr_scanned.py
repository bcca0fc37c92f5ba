# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The scanned heart of the cardiac phantom: the shape of a patient's heart, beating within published ranges.

Points are carried back to end-diastole and looked up there. Around the axis of the left ventricle, at each height and
angle, its wall is incompressible as in the analytic heart: with cavity radius A, outer radius B, long-axis stretch L
and ejected share E, squared radii become ``A^2 (1 - E) / L`` and ``(B^2 - E A^2) / L``. E may vary with the angle: a
wall that an infarct has hit neither moves nor thickens as the others do. Beyond the wall the right ventricle is
squeezed against the septum, and further out the body comes to rest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from custom.phantoms.cmr_fields import cover
from custom.phantoms.cmr_motion import APEX_LIFT, ROOF_MM, Cycle
from custom.phantoms.cmr_shapes import HELD_OUT, NUM_ANGLES, STEP_MM, heart_names, load_shape, outer_wall, wall_mm
from custom.phantoms.cmr_tissue import BeatingHeart, Points, Surfaces

BODY_MM = 38.0  # beyond the right ventricle the body is at rest this far out
ABOVE_MM = 12.0  # above the mitral valve chambers do not narrow any more from here on
INFARCTED = 0.4  # share of patients


class ScannedHeart(BeatingHeart):
    """A random heart of a scanned shape.

    Healthy ones hold 46 to 96 ml/m2 at end-diastole (body surface 1.5 to 2.2 m2), eject 47 to 75 % and shorten by 10 to
    21 % along the axis; after an infarct 60 to 125 ml/m2, 23 to 62 % and 6 to 14 %.

    Args:
        rng: source of the draws.
        held_out: draw from the shapes that are kept for validation and test patients, else from the others.
    """

    def __init__(self, rng: np.random.Generator, held_out: bool = False) -> None:
        names = heart_names()
        self.name = str(rng.choice(names[-HELD_OUT:] if held_out else names[:-HELD_OUT]))
        self.infarct = rng.uniform() < INFARCTED
        volume = rng.uniform(1.5, 2.2) * (rng.uniform(60, 125) if self.infarct else rng.uniform(46, 96))
        wall = rng.uniform(5.5, 9.0 if self.infarct else 10.0)
        self.wall = wall, wall * rng.uniform(0.4, 0.6)
        self.shape = shape = load_shape(self.name, volume, *self.wall)
        self.length, self.size = shape.length, float(shape.epi.max())
        self.radius = float(np.sqrt(shape.endo2.max()))
        fraction = rng.uniform(0.25, 0.60) if self.infarct else rng.uniform(0.51, 0.74)
        shortening = rng.uniform(0.07, 0.13) if self.infarct else rng.uniform(0.11, 0.20)
        descent = shortening * self.length / (1 + APEX_LIFT)
        twist = rng.uniform(4, 11), rng.uniform(2, 5)
        self.cycle = Cycle(fraction, descent, *twist, rng.uniform(0.3, 0.4), self.length)
        self.right_squeeze = rng.uniform(0.25, 0.45) if self.infarct else rng.uniform(0.40, 0.55)
        self._draw_contrast(rng)
        self.right_wall = rng.uniform(2.5, 4.0)
        self.ejected = self._ejected_share(rng)
        self._draw_landmarks(rng)
        self._draw_papillaries(rng)
        self._draw_surface(rng)
        left, right, length = self.trabeculae
        self.trabeculae = left, 0.6 * right, length  # this right ventricle is wide: trabeculae line its walls only

    def _ejected_share(self, rng: np.random.Generator) -> NDArray:
        """E at heights and angles, scaled so that the cavity as a whole ejects its fraction."""
        shape, end = self.shape, self.cycle
        angle = np.arange(NUM_ANGLES) * (2 * np.pi / NUM_ANGLES)
        gap = np.angle(np.exp(1j * (angle - rng.uniform(0, 2 * np.pi))))
        level, depth = rng.uniform(0.15, 0.6) * self.length, self.infarct * rng.uniform(0.4, 0.8)
        hit = np.exp(-((gap / rng.uniform(0.5, 0.9)) ** 2) - ((shape.heights[:, None] - level) / 25) ** 2)
        self.fade = self._fade(shape.heights)
        share = (1 - depth * hit) * self.fade[:, None]
        # A slab of material height dh is dz thick at end-systole and its cavity has E of the area less, over L.
        stretch = end.stretch(1.0)
        above = shape.heights > self.length
        slab = np.where(above, (ROOF_MM + end.descent_mm) / ROOF_MM, stretch) / self._stretch(1.0)[:, 0]
        mean = np.sum(share * shape.endo2, axis=1) / np.maximum(np.sum(shape.endo2, axis=1), 1e-3)
        kept, lost = np.sum(shape.area * slab), np.sum(shape.area * slab * mean)
        gain = (kept - (1 - end.ejection_fraction) * np.sum(shape.area)) / lost
        return np.clip(share * gain, -0.05, 0.93).astype(np.float32)

    def _fade(self, height: NDArray) -> NDArray:
        """1 in the ventricle, 0 from `ABOVE_MM` above the mitral valve."""
        share = ((np.float32(self.length + ABOVE_MM) - height) / np.float32(ABOVE_MM + 4)).clip(0, 1)
        return share * share * (3 - 2 * share)

    def _stretch(self, c: float) -> NDArray:
        """L of the table's rows, (H, 1): no narrowing or widening above the ventricle."""
        return 1 - (1 - self.cycle.stretch(c)) * self.fade[:, None]

    def _draw_landmarks(self, rng: np.random.Generator) -> None:
        shape, rows = self.shape, self.shape.heights
        turn = np.arange(NUM_ANGLES) * (2 * np.pi / NUM_ANGLES)
        low, high = np.searchsorted(rows, (0.3 * self.length, 0.9 * self.length))
        beside = shape.right_reach[low:high].mean(axis=0)
        pull = np.exp(1j * turn) @ beside
        ux, uy = pull.real / abs(pull), pull.imag / abs(pull)
        self.right_axis = ux, uy

        def on_ring(angle: float, height: float, out: float) -> NDArray:
            row = np.searchsorted(rows, height)
            radius = shape.epi[row, round(angle / (2 * np.pi) * NUM_ANGLES) % NUM_ANGLES] + out
            return np.array([*(shape.centre[row] + radius * np.array([np.cos(angle), np.sin(angle)])), height])

        towards = np.arctan2(uy, ux)
        level = rng.uniform(0.35, 0.55) * self.length
        wide = float(np.interp(level, rows, shape.right_reach.max(axis=1)))
        self.band = on_ring(towards, level, -2.0), on_ring(towards, level - 12, 0.9 * wide)
        # Grooves run where the right ventricle's edges lie, in front and behind.
        half = np.pi * np.mean(beside > 0.2 * beside.max())
        edges = [towards + half, towards - half]
        self.coronaries = [
            (on_ring(angle, 0.95 * self.length, 3), on_ring(angle, 0.25 * self.length, 2), radius)
            for angle, radius in zip(edges, (2.2, 1.8), strict=True)
        ]

    def reach_mm(self) -> tuple[float, float, float]:
        low, high = self.shape.bounds
        middle = (low + high) / 2
        return float(middle[0]), float(middle[1]), float((high - low).max() / 2 + 26)

    def landmarks(self) -> tuple[np.ndarray, ...]:
        top, (ux, uy) = self.length, self.right_axis
        rows, centre = self.shape.heights, self.shape.centre
        apex, mitral = (np.array([np.interp(h, rows, centre[:, k]) for k in (0, 1)]) for h in (0.0, 0.8 * top))
        right = np.array([*(mitral + self.size * np.array([ux, uy])), top])
        inferior = np.array([*(mitral + (0.2 * self.size, self.size)), top])
        return (
            np.array([*apex, 0.0]),
            np.array([*mitral, top]),
            np.array([*self.shape.aortic[:2], top]),
            right,
            inferior,
        )

    def surfaces(self, points: Points, phase: float, width: float) -> Surfaces:
        x, y, z = self._warped(points)
        c = self.cycle.contraction(phase)
        shape, height = self.shape, self.cycle.material_height(z, c)
        row = (height - np.float32(shape.heights[0])) * np.float32(1 / STEP_MM)
        cx, cy = (self._along(shape.centre[:, k], row) for k in (0, 1))
        dx, dy = x - cx, y - cy
        radius = np.sqrt(dx * dx + dy * dy)
        # Torsion: full in the wall, gone where the body is at rest.
        twist = self.cycle.twist(height, c) * (1 + (np.float32(self.size) - radius) / np.float32(BODY_MM)).clip(0, 1)
        cosine, sine = np.cos(twist), np.sin(twist)
        mx, my = cosine * dx + sine * dy, cosine * dy - sine * dx
        where = np.stack([row, np.arctan2(my, mx) * np.float32(NUM_ANGLES / (2 * np.pi))])
        inner, *others = (self._lookup(table, where) for table in self._tables_at(c))
        rest = self._radius_at_rest(radius, inner, *others)
        grow = rest / np.maximum(radius, np.float32(1e-3))
        x, y = cx + mx * grow, cy + my * grow

        n_slow = self.noise[2](x, y, height, 17.0)
        endo, right, atria, vessels, valves = (
            shape.at(field, x, y, height) for field in (shape.lv, shape.rv, shape.atria, shape.vessels, shape.valves)
        )
        others = np.minimum(atria, vessels)
        epi = outer_wall(endo, right, wall_mm(height, self.length, *self.wall))
        epi = np.maximum(epi, 1.0 - others)
        level, slope_x, slope_y = (np.float32(v) for v in shape.plane)
        base = height - level - slope_x * x - slope_y * y
        outside = np.maximum(right - np.float32(self.right_wall), 1.0 - others)
        leaflets = cover(valves, width) * (np.minimum(endo, right) > 0)
        roof = np.full_like(endo, -1)
        return Surfaces(
            (x, y, height), (mx, my), inner, n_slow, endo, epi, base, roof, right, outside, atria, vessels, leaflets
        )

    def _tables_at(self, c: float) -> tuple[NDArray, ...]:
        """Now: squared cavity radius, outer radius, that at rest, right reach at rest, what of it is lost, E and L."""
        shape, ejected, stretch = self.shape, self.ejected * np.float32(c), self._stretch(c).astype(np.float32)
        inner = shape.endo2 * (1 - ejected) / stretch
        outer = np.sqrt(np.maximum(shape.epi**2 - ejected * shape.endo2, 0) / stretch)
        lost = np.float32(self.right_squeeze * c) * self.fade[:, None].astype(np.float32) * shape.right_reach
        return inner, outer, shape.epi, shape.right_reach, lost, ejected, np.broadcast_to(stretch, ejected.shape)

    @staticmethod
    def _radius_at_rest(radius, inner, outer, ring, reach, lost, ejected, stretch) -> NDArray:
        """Distance from the axis, at end-diastole, of the tissue now at `radius`; continuous and rising."""
        square = stretch * radius * radius
        # A^2 = L r^2 / (1 - E) of the cavity's edge; the wall adds the area that was ejected.
        wall = np.sqrt(square + ejected * inner * stretch / (1 - ejected))
        cavity = np.sqrt(square / (1 - ejected))
        free = outer + reach - lost
        far = ring + reach + np.float32(BODY_MM)
        squeezed = ring + (radius - outer) * (reach / np.maximum(reach - lost, np.float32(1e-3)))
        settling = ring + reach + (radius - free) * (np.float32(BODY_MM) / np.maximum(far - free, 1))
        beyond = np.where(radius < free, squeezed, np.where(radius < far, settling, radius))
        return np.where(radius * radius < inner, cavity, np.where(radius < outer, wall, beyond))

    @staticmethod
    def _along(column: NDArray, row: NDArray) -> NDArray:
        return np.interp(row, np.arange(len(column)), column).astype(np.float32)

    @staticmethod
    def _lookup(table: NDArray, where: NDArray) -> NDArray:
        """A table over heights and angles at fractional rows and columns; angles go round, heights end."""
        rows = len(table) - 1
        place = where.copy()
        place[0] = place[0].clip(0, rows)
        return map_coordinates(np.ascontiguousarray(table), place, np.float32, 1, mode="grid-wrap", prefilter=False)
