# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""How the left ventricle of the cardiac phantom beats, and its shape, as functions of height along its long axis.

Heights are mm from the epicardial apex (0) towards the base; ``length`` is the height of the mitral plane at
end-diastole. All radii are kept as squares: that makes the incompressible wall below a sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import trapezoid
from scipy.interpolate import PchipInterpolator

ROOF_MM = 55.0  # above the mitral plane the atria stretch as the plane descends; this far above nothing moves
APEX_LIFT = 0.08  # the apex rises by this share of the base's descent


@dataclass(frozen=True)
class Cycle:
    """One heartbeat.

    Args:
        ejection_fraction: share of the cavity's end-diastolic volume that is ejected.
        descent_mm: way of the base towards the apex.
        apex_twist_deg: rotation of the apex at end-systole.
        base_twist_deg: rotation of the base at end-systole, the other way round.
        end_systole: its phase.
        length: height of the mitral plane at end-diastole.
    """

    ejection_fraction: float
    descent_mm: float
    apex_twist_deg: float
    base_twist_deg: float
    end_systole: float
    length: float

    def contraction(self, phase: float) -> float:
        """0 at end-diastole (phase 0), 1 at end-systole; rapid filling, diastasis and atrial kick follow. Period 1."""
        t = self.end_systole
        knots = [0, 0.25 * t, 0.5 * t, 0.8 * t, t, t + 0.08, t + 0.2, t + 0.3, 0.86, 0.94, 1]
        values = [0, 0.16, 0.52, 0.93, 1, 0.9, 0.42, 0.26, 0.18, 0.06, 0]
        return float(PchipInterpolator(knots, values)(phase % 1.0))

    def material_height(self, z: np.ndarray, contraction: float) -> np.ndarray:
        """Where the tissue now at height `z` was at end-diastole: inverse of the long-axis shortening, continuous."""
        down, lift = np.float32(self.descent_mm * contraction), np.float32(APEX_LIFT * self.descent_mm * contraction)
        length = np.float32(self.length)
        ventricle = (z - lift) * (length / (length - down - lift))
        atria = length + (z - (length - down)) * np.float32(ROOF_MM / (ROOF_MM + float(down)))
        return np.where(z > length + ROOF_MM, z, np.minimum(ventricle, atria))

    def stretch(self, contraction: float) -> float:
        """Present over end-diastolic length of the left ventricle."""
        return 1 - (1 + APEX_LIFT) * self.descent_mm * contraction / self.length

    def twist(self, height: np.ndarray, contraction: float) -> np.ndarray:
        """Rotation about the long axis in rad at material heights."""
        share = np.clip(height / np.float32(self.length), 0, 1.3)
        apex, base = np.deg2rad(self.apex_twist_deg), -np.deg2rad(self.base_twist_deg)
        return np.float32(contraction) * (np.float32(apex) + np.float32(base - apex) * share)


@dataclass(frozen=True)
class Chamber:
    """A left-ventricular surface at end-diastole: squared radius over height, half an egg cut off by the base.

    Args:
        radius: largest radius, mm.
        apex: height of its lower end.
        widest: height of the largest radius.
        length: height of the mitral plane.
        bluntness: exponent of the lower part; 2 is an ellipsoid, more is blunter.
        narrowing: how much of the squared radius is lost at the base.
    """

    radius: float
    apex: float
    widest: float
    length: float
    bluntness: float
    narrowing: float

    def square(self, height: np.ndarray) -> np.ndarray:
        """Squared radius in mm2 at material heights; negative beyond the apex, which closes the surface."""
        lower = np.clip((self.widest - height) / (self.widest - self.apex), 0, 3)
        upper = np.clip((height - self.widest) / (self.length - self.widest), 0, 1.5)
        profile = 1 - lower ** np.float32(self.bluntness) - np.float32(self.narrowing) * upper * upper
        return np.float32(self.radius**2) * profile

    def slope(self, height: np.ndarray) -> np.ndarray:
        """Derivative of `square` below the widest height in mm, for distances; 0 above."""
        lower = np.clip((self.widest - height) / (self.widest - self.apex), 0, 1.5)
        gain = self.bluntness / (self.widest - self.apex) * self.radius**2
        return np.float32(gain) * lower ** np.float32(self.bluntness - 1)

    def volume_ml(self) -> float:
        """Volume between apex and mitral plane, ml."""
        heights = np.linspace(self.apex, self.length, 401)
        return float(np.pi * trapezoid(self.square(heights), heights) / 1000)


def distance_from_square(radial: np.ndarray, square: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """First-order signed distance to the surface ``r^2 = square(z)``: ``F / |grad F|`` of ``F = r^2 - square``.

    Args:
        radial: squared distance of the points from the axis, mm2.
        square: squared radius of the surface at their heights, mm2.
        slope: its derivative with height, mm.
    """
    return (radial - square) / (np.sqrt(4 * radial + slope * slope) + np.float32(1e-3))
