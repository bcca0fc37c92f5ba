# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The analytic heart of the cardiac phantom: implicit bodies that beat, evaluated at any points."""

from __future__ import annotations

import numpy as np

from custom.phantoms.cmr_base import HeartBase
from custom.phantoms.cmr_fields import cover, tube
from custom.phantoms.cmr_motion import Chamber, Cycle, distance_from_square
from custom.phantoms.cmr_tissue import BeatingHeart, Points, Surfaces
from custom.phantoms.oct_fields import smooth_min


class Heart(BeatingHeart):
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
        self.length, self.size, self.radius = length, radius + wall, radius
        self.thick_septum = rng.choice([0.0, 1.0]) * rng.uniform(-0.3, 0.1) * wall * np.array([1.0, rng.uniform(-1, 1)])
        self.bow = rng.uniform(-4, 4, 2)
        self.oval = rng.uniform(0, 0.16), rng.uniform(0, np.pi), rng.uniform(0, 0.07), rng.uniform(0, 2 * np.pi)
        self.tilt = np.tan(np.deg2rad(rng.uniform(-9, 9, 2)))
        self._draw_contrast(rng)
        self._draw_right_ventricle(rng)
        self.bodies = HeartBase(rng, self.size, self.length)
        self.coronaries = self.bodies.coronaries
        self._draw_papillaries(rng)
        self._draw_surface(rng)
        # A dilated left ventricle does not drag the right along.
        self._widen_right_ventricle(volume * rng.uniform(0.85, 1.25) * min(1.0, 170 / volume) ** 0.6)

    def _draw_right_ventricle(self, rng: np.random.Generator) -> None:
        angle = np.pi + np.deg2rad(rng.uniform(-25, 20))
        self.right_axis = np.cos(angle), np.sin(angle)
        reach = rng.uniform(24, 46)
        self.right_shape = rng.uniform(0.72, 0.95), reach, self.size * rng.uniform(0.9, 1.2), rng.uniform(0.004, 0.011)
        self.right_apex = self.length * rng.uniform(0.0, 0.18)
        self.right_ejection = rng.uniform(0.27, 0.45)
        self.right_wall = rng.uniform(2.5, 4.5)
        self.band_level = rng.uniform(0.35, 0.55) * self.length

    def _widen_right_ventricle(self, volume_ml: float) -> None:
        """Give the right ventricle its volume at end-diastole, and tie the moderator band into it."""
        place, reach, breadth, wrap = self.right_shape
        axes = np.arange(-150, 60, 5.0), np.arange(-95, 95, 5.0), np.arange(0, self.length + 12, 5.0)
        x, y, z = (axis.astype(np.float32) for axis in np.meshgrid(*axes, indexing="ij"))
        outside = x * x + y * y > self.epi.square(z)
        low, high = 0.4, 2.5
        for _ in range(10):
            gain = (low + high) / 2
            # Breadth follows reach only in part: a wide right ventricle bulges, the septum stays.
            self.right_shape = place, reach * gain, breadth * gain**0.4, wrap / gain**0.4
            volume = np.sum((self._right_ventricle(x, y, z, 0.0) < 0) & outside) * 5.0**3 / 1000
            low, high = (gain, high) if volume < volume_ml else (low, gain)
        near, far = 0.9 * self.size, place * self.size + 0.9 * self.right_shape[1]
        ux, uy = self.right_axis
        level = self.band_level
        self.band = np.array([near * ux, near * uy, level]), np.array([far * ux - 10 * uy, far * uy, level - 12])

    def reach_mm(self) -> tuple[float, float, float]:
        left = self.right_shape[0] * self.size + self.right_shape[1] + 22
        right = self.size + 24
        return (right - left) / 2, 0.0, max((left + right) / 2, 1.35 * self.size + 28)

    def landmarks(self) -> tuple[np.ndarray, ...]:
        top, (ux, uy) = self.length, self.right_axis
        aortic = np.array([*self.bodies.aorta[0][:2], top])
        right = np.array([self.size * ux, self.size * uy + 0.15 * self.size, top])
        return np.zeros(3), np.array([0, 0, top]), aortic, right, np.array([0.2 * self.size, self.size, top])

    def surfaces(self, points: Points, phase: float, width: float) -> Surfaces:
        x, y, z = self._warped(points)
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
        atria, vessels = self.bodies.distances(x, y, height, base, right)
        leaflets = np.exp(-((base + 1.0) ** 2) / np.float32(2.0)) * cover(endo, width)
        place, material = (x, y, height), (mx, my)
        outside = right - self.right_wall
        return Surfaces(place, material, inner, n_slow, endo, epi, base, base, right, outside, atria, vessels, leaflets)

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
        out = np.maximum(tube(x, y, height, *self.bodies.outflow), height - np.float32(self.length + 12))
        return smooth_min(body, out, 9.0)
