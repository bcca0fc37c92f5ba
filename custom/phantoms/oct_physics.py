# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Physics of the OCT phantom: speckle as interference of scattered light, attenuation, and the 8-bit display.

The numbers were measured on 130 real frames (Danilov et al.) resampled to 256 A-lines x 256 depths of 10.2 um:

==========================================  ==============
lumen gray, mean                            4.1
wall gray 0.14 mm deep: 5 %, mean, 95 %     12, 89, 122
mean wall gray 0.27, 0.51, 0.88 mm deep     82, 54, 25
speckle deviation where gray is 10, 50, 90  3.7, 11.2, 13.3
speckle correlation, next depth, A-line     0.66, 0.27
speckle correlation, next frame (texture)   0.14
frame correlation, next frame               0.90
linear interpolation x2, x4, x6, PSNR dB    26.9, 25.3, 24.1
all pixels: mean, deviation                 29, 34
==========================================  ==============

The speckle deviation, linear at low gray and constant at high gray, is that of ``35 ln(1 + a)`` with two looks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

# Gray levels that the catheter draws round the centre, over radius / sheath radius, from the mean radial profile of the
# real frames: an inner ring at 0.55, the turbid sheath from 0.68 to 1.
TURBID = 0.68
RING_RADII = np.array(
    [0.0, 0.06, 0.12, 0.18, 0.22, 0.3, 0.44, 0.5, 0.55, 0.6, 0.66, 0.72, 0.76, 0.85, 0.92, 0.98, 1.03]
)
RING_GRAYS = np.array([60.0, 30, 6, 20, 13, 9, 6, 17, 38, 19, 13, 30, 36, 24, 25, 44, 4])


@dataclass(frozen=True)
class Optics:
    """What the console and the probe do to the light.

    Args:
        axial_sigma_mm: standard deviation of the point spread along the beam.
        angular_sigma_rad: standard deviation of the point spread across the beam, an angle as the rotation sweeps it.
        looks: independent detections averaged in power (2: the two polarisation channels of a diverse receiver).
        gain: amplitude of the intima at the surface in units of the display's knee.
        noise: amplitude of the detector noise in the same units.
        compression: gray levels per e-fold of amplitude above the knee.
        focus_mm: depth of best focus.
        rayleigh_mm: depth over which the focus falls off.
    """

    axial_sigma_mm: float = 0.010
    angular_sigma_rad: float = 0.012
    looks: int = 2
    gain: float = 13.0
    noise: float = 0.13
    compression: float = 35.0
    focus_mm: float = 1.2
    rayleigh_mm: float = 2.5

    def collect(self, amplitude: np.ndarray, attenuation: np.ndarray, radii: np.ndarray) -> np.ndarray:
        """Mean amplitude that returns from each pixel (A, D), in display units: Beer-Lambert and the beam's focus."""
        spacing = radii[1] - radii[0]
        travelled = (np.cumsum(attenuation, axis=1) - 0.5 * attenuation) * spacing
        focus = 1 / np.sqrt(1 + ((radii - self.focus_mm) / self.rayleigh_mm) ** 2)
        return (self.gain * focus * amplitude * np.exp(-travelled)).astype(np.float32)

    def display(self, amplitude: np.ndarray) -> np.ndarray:
        """Log compression to uint8: ``compression * ln(1 + amplitude)``."""
        return np.clip(np.rint(self.compression * np.log1p(amplitude)), 0, 255).astype(np.uint8)


def rings(
    theta: np.ndarray, radii: np.ndarray, sheath_radius: float, compression: float
) -> tuple[np.ndarray, np.ndarray]:
    """The catheter's own echoes in display units, both (A, D).

    Args:
        theta: angle of each A-line in rad, (A,).
        radii: distance of each depth sample from the axis in mm, (D,).
        sheath_radius: in mm.
        compression: of the display.

    Returns:
        What the smooth inner surfaces return in phase (a little off the middle, as the probe is), and the mean
        amplitude of the turbid sheath.
    """
    reach = radii / sheath_radius
    turbid = reach > TURBID
    wobble = np.where(turbid, 1.0, 1 + 0.03 * np.cos(theta)[:, None])
    amplitude = np.expm1(np.interp(wobble * reach, RING_RADII, RING_GRAYS, right=0.0) / compression).astype(np.float32)
    return amplitude * (1 + 0.2 * np.sin(theta)[:, None]) * ~turbid, 1.25 * amplitude * turbid


def scatterers(seed: int, position: float, shape: tuple[int, ...]) -> np.ndarray:
    """Random phasor of every resolution cell, complex64, circular Gaussian of unit power.

    Fresh phasors are anchored at whole positions, drawn from (seed, anchor), and turned into each other in between:
    ``cos(pi u / 2) W_k + sin(pi u / 2) W_(k+1)``. The power is 1 everywhere, the correlation 0 from two units on, and
    what is drawn depends on the position alone, so frames of any pitch agree.

    Args:
        seed: of the pullback.
        position: along the pullback, in speckle lengths.
        shape: of the result.
    """
    anchor = int(np.floor(position))
    angle = np.pi / 2 * (position - anchor)
    field = np.cos(angle) * _phasors(seed, anchor, shape)
    return field if angle == 0 else field + np.sin(angle) * _phasors(seed, anchor + 1, shape)


def _phasors(seed: int, anchor: int, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng([seed, 1, anchor])
    pairs = rng.standard_normal((*shape, 2), dtype=np.float32)
    return np.float32(np.sqrt(0.5)) * pairs.view(np.complex64)[..., 0]


def detect(
    mean: np.ndarray, phasors: np.ndarray, sigma: tuple[float, float], floor: np.ndarray, mirror: np.ndarray
) -> np.ndarray:
    """Interfere the scattered light within the point spread and detect its amplitude.

    Args:
        mean: amplitude that each pixel scatters back, (A, D).
        phasors: of the scatterers, complex64 (looks, A, D), unit power.
        sigma: of the point spread in pixels (A-lines, depths).
        floor: complex detector noise, (looks, A, D).
        mirror: amplitude that returns in phase from smooth surfaces, (A, D).

    Returns:
        Detected amplitude (A, D): with one look and a constant mean its square is exponentially distributed (fully
        developed speckle, contrast 1; Goodman, Speckle Phenomena in Optics, section 3).
    """
    power = np.zeros(mean.shape, np.float32)
    # White noise of unit power keeps unit power under a kernel of unit energy.
    gain = np.float32(np.sqrt(np.prod([_inverse_energy(s) for s in sigma])))
    for look, noise in zip(phasors, floor, strict=True):
        spread = gaussian_filter(mean * look, sigma, mode=("wrap", "nearest"), truncate=3.0)
        echo = gain * spread + noise + mirror
        power += echo.real**2 + echo.imag**2
    return np.sqrt(power / len(phasors))


def _inverse_energy(sigma: float) -> float:
    """1 / (sum of squares) of the sampled Gaussian kernel of `gaussian_filter`."""
    kernel = gaussian_filter1d(np.eye(1, 129, 64)[0], sigma, truncate=3.0)
    return 1 / np.sum(kernel**2)
