# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a scanner does to the body of the cardiac phantom: where slices lie, how thick they are, coils and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift
from scipy.spatial.transform import Rotation
from scipy.special import erf

# Columns: where the short axis's x (to the LV free wall), y (to the diaphragm) and z (to the base) point in a usual
# patient, in (right, anterior, superior).
SHORT_AXIS = np.array([[-0.71, 0.31, 0.63], [-0.70, -0.27, -0.66], [-0.034, -0.91, 0.41]])
GAIN = 400.0  # stored value of blood in the middle of the heart
EDGE = 0.12  # softness of the slice profile, as a share of the thickness


@dataclass(frozen=True)
class Scanner:
    """A scanner set up for one patient; everything random is drawn once, whatever is then asked of it.

    Args:
        pixel_mm: in-plane spacing.
        thickness_mm: full width at half maximum of the slice profile.
        noise: standard deviation of the noise of either channel relative to blood.
        blur: standard deviation of the in-plane point spread, pixels.
        noise_blur: the same for the noise: images are often interpolated on the scanner.
        plan: 3 x 3, from scan axes (x, y, slice) to heart axes: how the slices were planned, a few degrees off.
        anatomy: 3 x 3, from heart axes to (right, anterior, superior).
        shift_mm: of the field of view in plane, (2,).
        world_mm: position of the heart in the scanner, (3,).
        coils: (right, anterior, superior) of each coil in mm, its reach in mm and its strength.
        drift: direction of a linear bias field, 1/mm, (3,).
        interval_ms: duration of a heartbeat.
    """

    pixel_mm: float
    thickness_mm: float
    noise: float
    blur: float
    noise_blur: float
    plan: NDArray
    anatomy: NDArray
    shift_mm: NDArray
    world_mm: NDArray
    coils: tuple[tuple[NDArray, float, float], ...]
    drift: NDArray
    interval_ms: float

    @staticmethod
    def draw(rng: np.random.Generator, apex_mm: float) -> Scanner:
        """Draw a scanner for a heart whose apex lies `apex_mm` from the middle of its ventricle."""
        turn = rng.normal(0, 18) + rng.choice([0, 90, 180, 270], p=[0.79, 0.07, 0.07, 0.07])
        plan = Rotation.from_euler("zxy", [turn, *rng.normal(0, 4, 2)], degrees=True).as_matrix()
        left, _, right = np.linalg.svd(SHORT_AXIS)
        anatomy = Rotation.from_rotvec(rng.normal(0, 0.1, 3)).as_matrix() @ left @ right
        front = anatomy @ np.array([-0.4, -0.2, -1.0]) * (apex_mm + rng.uniform(20, 45))
        coils = (
            (front, rng.uniform(45, 90), rng.uniform(0.6, 2.6)),
            (np.array([0.0, -120.0, 0.0]), rng.uniform(50, 100), rng.uniform(0.1, 0.8)),
        )
        return Scanner(
            pixel_mm=rng.uniform(1.25, 1.9),
            thickness_mm=rng.uniform(6, 9),
            noise=np.exp(rng.uniform(np.log(0.01), np.log(0.045))),
            blur=rng.uniform(0.35, 0.75),
            noise_blur=rng.choice([0.0, rng.uniform(0.3, 0.7)]),
            plan=plan,
            anatomy=anatomy,
            shift_mm=rng.normal(0, 7, 2),
            world_mm=rng.uniform(-40, 40, 3),
            coils=coils,
            drift=rng.normal(0, 0.0025, 3),
            interval_ms=rng.uniform(600, 1150),
        )

    def points(self, xs: NDArray, ys: NDArray, zs: NDArray, middle: float) -> tuple[NDArray, NDArray, NDArray]:
        """Heart coordinates of scan positions: pivot at height `middle` of the axis.

        Args:
            xs, ys, zs: scan coordinates along the three axes in mm, (X,), (Y,), (Z,).
            middle: height of the pivot, mm.

        Returns:
            x, y, z in mm, float32 (Z, X, Y) each.
        """
        grid = zs[:, None, None] - middle, xs[None, :, None], ys[None, None, :]
        return tuple(
            (
                self.plan[i, 2] * grid[0] + self.plan[i, 0] * grid[1] + self.plan[i, 1] * grid[2] + (i == 2) * middle
            ).astype(np.float32)
            for i in range(3)
        )

    def to_patient(self, points: tuple[NDArray, NDArray, NDArray], middle: float) -> tuple[NDArray, NDArray, NDArray]:
        """(right, anterior, superior) in mm, zero at the middle of the ventricle, of heart coordinates."""
        x, y, z = points[0], points[1], points[2] - np.float32(middle)
        rows = self.anatomy.astype(np.float32)
        return tuple(row[0] * x + row[1] * y + row[2] * z for row in rows)

    def affine(self, origin: NDArray, pitch_mm: float, middle: float, oblique: bool) -> NDArray:
        """4 x 4 affine of the stack, RAS+.

        Args:
            origin: scan coordinates (x, y, z) of voxel 0, mm.
            pitch_mm: between slices.
            middle: height of the pivot, mm.
            oblique: whether slices lie as the patient does, or along the axes of the world.
        """
        axes = self.anatomy @ self.plan if oblique else np.eye(3)
        affine = np.eye(4)
        affine[:3, :3] = axes * (self.pixel_mm, self.pixel_mm, pitch_mm)
        affine[:3, 3] = self.world_mm + axes @ (np.asarray(origin) - (0, 0, middle))
        return affine

    def sensitivity(self, patient: tuple[NDArray, NDArray, NDArray]) -> NDArray:
        """Bias field at points, 1 in the middle of the heart, float32."""
        return (self._received(*patient) / self._received(*np.zeros((3, 1), np.float32))).astype(np.float32)

    def _received(self, right: NDArray, anterior: NDArray, superior: NDArray) -> NDArray:
        total = np.float32(0.7)
        for (r, a, s), reach, strength in self.coils:
            square = (right - np.float32(r)) ** 2 + (anterior - np.float32(a)) ** 2 + (superior - np.float32(s)) ** 2
            total = total + np.float32(strength) * np.exp(square * np.float32(-0.5 / reach**2))
        r, a, s = (np.float32(v) for v in self.drift)
        return total * np.exp(r * right + a * anterior + s * superior)

    def detect(self, signed: NDArray, field: NDArray, key: list[int]) -> NDArray:
        """Point spread, coils, Rician noise and storage of one slice.

        Args:
            signed: signed signal, float32 (X, Y).
            field: bias field of the same shape.
            key: seeds the noise.

        Returns:
            int16 of the same shape.
        """
        clean = gaussian_filter(signed, self.blur, mode="nearest", truncate=3.0) * field
        channels = np.random.default_rng(key).standard_normal((2, *signed.shape), np.float32)
        if self.noise_blur:
            channels = gaussian_filter(channels, (0, self.noise_blur, self.noise_blur), mode="wrap", truncate=3.0)
        channels *= np.float32(self.noise)
        magnitude = np.hypot(clean + channels[0], channels[1])
        return np.clip(np.rint(magnitude * np.float32(GAIN)), 0, np.iinfo(np.int16).max).astype(np.int16)


def slice_profile(offset_mm: NDArray, thickness_mm: float) -> NDArray:
    """Through-plane sensitivity of a slice: a box with error-function edges, half maximum at half the thickness.

    Args:
        offset_mm: distance from the middle of the slice.
        thickness_mm: full width at half maximum.
    """
    edge = EDGE * thickness_mm * np.sqrt(2)
    return 0.5 * (erf((offset_mm + thickness_mm / 2) / edge) - erf((offset_mm - thickness_mm / 2) / edge))


def displace(image: NDArray, pixels: NDArray, order: int) -> NDArray:
    """A slice seen after a breath-hold at another depth: shifted by `pixels` (2,), edges repeated."""
    return shift(image, pixels, order=order, mode="nearest", prefilter=order > 1) if np.any(pixels) else image
