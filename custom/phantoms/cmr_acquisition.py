# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Slices of a cardiac phantom: averaged from thin ones over the slice profile, displaced by breath-holds, detected."""

from __future__ import annotations

import numpy as np

from custom.phantoms.cmr_scanner import Scanner, displace, slice_profile
from custom.phantoms.cmr_thorax import Thorax
from custom.phantoms.cmr_tissue import BeatingHeart

SUBSLICE_MM = 1.0  # at most, between the thin slices that a slice is averaged from
BLOCK = 6  # thin slices at a time: their arrays stay in the cache


def acquire(
    patient: tuple[BeatingHeart, Thorax, Scanner],
    axes: tuple[np.ndarray, np.ndarray, np.ndarray],
    pitch_mm: float,
    num_phases: int,
    breath_hold_mm: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of a stack.

    Args:
        patient: heart, thorax around it, and the scanner.
        axes: scan coordinates in mm of rows (X,), columns (Y,) and the middles of slices (Z,).
        pitch_mm: between the middles of slices.
        num_phases: phases, evenly spread over one heartbeat.
        breath_hold_mm: standard deviation, along each axis, of the shift of a slice.
        seed: of noise and shifts, with a slice's position and phase.

    Returns:
        Image, int16 (X, Y, Z, T), and `CmrLabel` ids of the plane in the middle of each slice, uint8.
    """
    heart, thorax, scanner = patient
    xs, ys, slices = axes
    middle = heart.length / 2
    positions = [round((z + 1000) * 1000) for z in slices]
    shifts = [np.random.default_rng([seed, 3, position]).standard_normal(3) * breath_hold_mm for position in positions]
    # The heart lies higher by the third shift: what is seen lies lower in it.
    thin, weights, middles = thin_slices(slices, np.array([-shift[2] for shift in shifts]), pitch_mm, scanner)
    used = np.flatnonzero(weights.max(axis=0) > 1e-3)
    blocks = [used[i : i + BLOCK] for i in range(0, len(used), BLOCK)]
    box = _heart_box(heart, scanner, xs, ys)
    width = 0.8 * scanner.pixel_mm

    still = np.zeros((len(thin), len(xs), len(ys)), np.float32)
    for block in blocks:
        place = scanner.to_patient(scanner.points(xs, ys, thin[block], middle), middle)
        still[block] = thorax.signal(*place, width)
    field = scanner.sensitivity(scanner.to_patient(scanner.points(xs, ys, slices, middle), middle))

    shape = (len(xs), len(ys), len(slices), num_phases)
    image, labels = np.empty(shape, np.int16), np.zeros(shape, np.uint8)
    for t in range(num_phases):
        phase = t / num_phases
        signed = np.zeros((len(slices), len(xs), len(ys)), np.float32)
        for block in blocks:
            canvas = still[block]
            points = scanner.points(xs[box[0]], ys[box[1]], thin[block], middle)
            inside = np.ascontiguousarray(canvas[:, box[0], box[1]])
            ids = heart.render(inside, points, phase, width)
            canvas[:, box[0], box[1]] = inside
            for k, layer, truth in zip(block, canvas, ids, strict=True):
                for n in np.flatnonzero(weights[:, k]):
                    signed[n] += weights[n, k] * layer
                labels[box[0], box[1], middles == k, t] = truth[..., None]
        for n, (position, shift) in enumerate(zip(positions, shifts, strict=True)):
            pixels = shift[:2] / scanner.pixel_mm
            seen = displace(signed[n], pixels, order=3)
            labels[:, :, n, t] = displace(labels[:, :, n, t], pixels, order=0)
            image[:, :, n, t] = scanner.detect(seen, field[n], [seed, 4, position, round(phase * 1_000_000)])
    return image, labels


def thin_slices(
    slices: np.ndarray, shifts: np.ndarray, pitch_mm: float, scanner: Scanner
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thin slices, at whole fractions of the pitch: a slice that no breath-hold shifts has one in its middle.

    Args:
        slices: heights of the middles of slices, `pitch_mm` apart, (Z,).
        shifts: of each along the axis, mm.
        pitch_mm: between slices.
        scanner: has the slice profile.

    Returns:
        Heights of the thin slices in mm (K,), their weights in each slice (Z, K), the one in its middle (Z,).
    """
    per_pitch = max(1, int(np.ceil(pitch_mm / SUBSLICE_MM - 1e-9)))
    step = pitch_mm / per_pitch
    reach = int(np.ceil(0.75 * scanner.thickness_mm / step))
    steps = np.rint(shifts / step).astype(int)
    low, high = min(0, steps.min()) - reach, max(0, steps.max()) + reach + 1
    thin = np.arange(low, (len(slices) - 1) * per_pitch + high) * step + slices[0]
    middles = np.arange(len(slices)) * per_pitch + steps - low
    weights = np.zeros((len(slices), len(thin)), np.float32)
    for n, shift in enumerate(shifts):
        offsets = np.arange(-reach, reach + 1) * step + (steps[n] * step - shift)
        profile = slice_profile(offsets, scanner.thickness_mm).astype(np.float32)
        weights[n, middles[n] - reach : middles[n] + reach + 1] = profile / profile.sum()
    return thin, weights, middles


def _heart_box(heart: BeatingHeart, scanner: Scanner, xs: np.ndarray, ys: np.ndarray) -> tuple[slice, slice]:
    """The pixels of a slice that the heart can reach."""
    x, y, half = heart.reach_mm()
    middle = np.array([x, y]) @ scanner.plan[:2, :2]
    found = [np.flatnonzero(np.abs(axis - m) < half + 8) for axis, m in zip((xs, ys), middle, strict=True)]
    return tuple(slice(int(i[0]), int(i[-1]) + 1) if len(i) else slice(0, 1) for i in found)
