# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Anatomy of the OCT phantom: a coronary vessel as seeded, continuous functions of pullback position.

Everything that a frame shows (lumen, wall, plaque, branches, devices) is a signed-distance function of the pixel and
a smooth function of the position ``z``, so one vessel can be cut at any pitch and the same cut is always the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from custom.phantoms.oct_fields import ANGLES, SmoothNoise, lookup, smooth_min, wrap


class Label(IntEnum):
    """Ids of the dense ground truth. Labels are the anatomy, also where a shadow hides it."""

    LUMEN = 0
    CATHETER = 1
    INTIMA = 2
    MEDIA = 3
    ADVENTITIA = 4  # and the loose tissue behind it
    LIPID = 5
    CALCIUM = 6
    FIBROUS = 7
    GUIDEWIRE = 8
    STENT = 9


# Backscattered amplitude relative to the intima, and attenuation in 1/mm (amplitude falls as exp(-mu z) over the round
# trip), in the order of `Label`. Real wall (Danilov et al., mean over 130 frames): 4.3 /mm from 0.3 to 0.8 mm deep.
AMPLITUDE = np.array([0.0, 0.0, 1.0, 0.5, 0.9, 0.5, 0.14, 1.15, 24.0, 14.0], np.float32)
ATTENUATION = np.array([0.0, 0.0, 1.6, 2.4, 3.5, 7.0, 1.0, 1.9, 52.0, 60.0], np.float32)

SHEATH_RADIUS_MM = 0.45
WIRE_RADIUS_MM = 0.18
STRUT_RADIUS_MM = 0.05
SURFACE_MM = 0.05  # over which the surface of the lumen rises


@dataclass(frozen=True)
class Plaque:
    """One lesion: a soft or sharp ellipsoid inside the thickened intima (angles rad, lengths mm)."""

    kind: Label
    phi: float
    z: float
    half_angle: float
    half_length: float
    cap: float
    thickness: float

    def reach(self, z: float, phi: np.ndarray) -> np.ndarray:
        """Squared normalised distance from the lesion's axis; 1 at its rim."""
        return (wrap(phi - self.phi) / self.half_angle) ** 2 + ((z - self.z) / self.half_length) ** 2


@dataclass(frozen=True)
class Branch:
    """One side branch: a tilted tube that leaves the vessel (angles rad, lengths mm)."""

    phi: float
    z: float
    radius: float
    tilt: float


@dataclass(frozen=True)
class Slice:
    """What the beam meets in one frame; every map is (A-lines, depths)."""

    labels: np.ndarray
    amplitude: np.ndarray
    attenuation: np.ndarray


@dataclass
class Vessel:
    """A random coronary vessel with the devices in it.

    Args:
        rng: source of all of its draws.
        num_frames: frames of the pullback, over whose length lesions and branches are spread.
        pitch_mm: distance that the catheter travels in one frame.
        stent: whether a stent lies in it; None draws it (one vessel in four).
        heart_motion_mm: amplitude of the heart's displacement of the catheter in the vessel.
    """

    rng: np.random.Generator
    num_frames: int
    pitch_mm: float
    stent: bool | None
    heart_motion_mm: float
    plaques: list[Plaque] = field(init=False)
    branches: list[Branch] = field(init=False)

    def __post_init__(self) -> None:
        rng, length = self.rng, self.num_frames * self.pitch_mm
        self.radius = rng.uniform(0.95, 1.35)
        self.shape = SmoothNoise(rng, 2.5, (2, 6), roll_off=1.3)
        self.taper = SmoothNoise(rng, 5.0)
        self.drift = SmoothNoise(rng, 1.6), SmoothNoise(rng, 1.6)
        self.drift_mm = rng.uniform(0.28, 0.5)
        self.intima = SmoothNoise(rng, 3.0, (0, 4), roll_off=1.5)
        self.intima_mm = rng.uniform(0.12, 0.4)
        self.media_mm = rng.uniform(0.08, 0.16)
        self.streaks = SmoothNoise(rng, 0.6, (0, 40), 0.014, roll_off=16, terms=160)
        self.patches = SmoothNoise(rng, 1.0, (0, 12), 0.12, roll_off=4, terms=64)
        self.shadows = SmoothNoise(rng, 0.5, (0, 70), roll_off=40, terms=140)
        self.wire_angle = rng.uniform(0, 2 * np.pi), SmoothNoise(rng, 4.0)
        self.beat = rng.uniform(0, 2 * np.pi, 3), rng.uniform(28, 60)
        self.stent_mm = (0.2 * length, 0.7 * length) if self._has_stent() else None
        self.attenuation_scale = rng.uniform(0.8, 1.25)
        self.plaques = [self._draw_plaque(length) for _ in range(2 + rng.poisson(0.28 * length))]
        self.branches = [self._draw_branch(length) for _ in range(rng.poisson(0.12 * length))]

    def _has_stent(self) -> bool:
        drawn = bool(self.rng.random() < 0.25)
        return drawn if self.stent is None else self.stent

    def _draw_plaque(self, length: float) -> Plaque:
        rng = self.rng
        kind = rng.choice([Label.LIPID, Label.CALCIUM, Label.FIBROUS])
        z, phi = rng.uniform(0, length), rng.uniform(0, 2 * np.pi)
        cap = rng.uniform(0.06, 0.3) if kind != Label.FIBROUS else 0.02
        size = rng.uniform(0.35, 1.0), rng.uniform(0.8, 2.8), cap, rng.uniform(0.3, 0.7)
        return Plaque(Label(kind), phi, z, *size)

    def _draw_branch(self, length: float) -> Branch:
        rng = self.rng
        phi, z = rng.uniform(0, 2 * np.pi), rng.uniform(0, length)
        return Branch(phi, z, rng.uniform(0.25, 0.6), rng.uniform(-0.6, 0.6))

    def position(self, time: np.ndarray) -> np.ndarray:
        """Position along the vessel in mm at a time in frames; the heart drags the catheter to and fro."""
        phases, period = self.beat
        return self.pitch_mm * time + self.heart_motion_mm * np.cos(2 * np.pi * time / period + phases[2])

    def centre(self, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vessel centre seen from the catheter in mm: slow drift and bend of the vessel, and the beating heart."""
        phases, period = self.beat
        beat = self.heart_motion_mm * np.cos(2 * np.pi * time / period + phases[:2, None])
        return tuple(self.drift_mm * d(self.position(time)) + b for d, b in zip(self.drift, beat, strict=True))

    def cut(self, theta: np.ndarray, time: np.ndarray, radii: np.ndarray) -> Slice:
        """Meet the vessel along every A-line of one rotation.

        Args:
            theta: angle of each A-line in rad, (A,).
            time: time of each A-line in frames, (A,). The vessel shifts during the rotation, which opens a seam between
                its last and its first A-line; its shape is that of the first.
            radii: distance of each depth sample from the catheter axis in mm, (D,).

        Returns:
            Labels, relative backscattered amplitude and attenuation (1/mm).
        """
        z = float(self.position(time[0]))
        cx, cy = self.centre(time)
        px, py = np.cos(theta)[:, None] * radii, np.sin(theta)[:, None] * radii
        x, y = px - cx[:, None], py - cy[:, None]
        phi = np.arctan2(y, x)
        wire = self.wire_angle[0] + 0.5 * self.wire_angle[1](z)
        wire_distance = SHEATH_RADIUS_MM + WIRE_RADIUS_MM + 0.01
        wx, wy = px - wire_distance * np.cos(wire), py - wire_distance * np.sin(wire)
        to_wire = np.hypot(wx, wy) - WIRE_RADIUS_MM
        depth = self._lumen_distance(z, x, y, phi)
        # The vessel gives way to the devices in it.
        depth = smooth_min(depth, radii[None] - SHEATH_RADIUS_MM - 0.02, 0.1)
        depth = smooth_min(depth, to_wire - 0.03, 0.1)
        maps = self._wall(z, phi, depth)
        self._add_stent(maps, z, phi, depth)
        facing = np.clip(-(wx * px + wy * py) / (radii * (to_wire + WIRE_RADIUS_MM) + 1e-9), 0, 1)
        _paint(maps, to_wire < 0, Label.GUIDEWIRE)
        maps.amplitude[to_wire < 0] *= np.sqrt(facing[to_wire < 0])
        _paint(maps, np.broadcast_to(radii < SHEATH_RADIUS_MM, depth.shape), Label.CATHETER)
        return maps

    def _lumen_distance(self, z: float, x: np.ndarray, y: np.ndarray, phi: np.ndarray) -> np.ndarray:
        """Distance outside the lumen in mm, negative inside: the trunk joined smoothly with its branches."""
        radius = self.radius * (1 + 0.08 * self.shape(z, ANGLES) + 0.1 * self.taper(z))
        for p in self.plaques:
            radius = radius - 0.3 * p.thickness * np.exp(-0.7 * p.reach(z, ANGLES))
        depth = np.hypot(x, y) - lookup(np.maximum(radius, 0.5), phi)
        for b in self.branches:
            if abs(z - b.z) < 4:  # farther off it cannot reach a pixel that is seen
                along, across = x * np.cos(b.phi) + y * np.sin(b.phi), y * np.cos(b.phi) - x * np.sin(b.phi)
                tube = np.hypot(across, z - b.z - b.tilt * along) - b.radius
                depth = smooth_min(depth, np.maximum(tube, np.abs(along - 1.6) - 1.6), 0.15)
        return depth

    def _wall(self, z: float, phi: np.ndarray, depth: np.ndarray) -> Slice:
        """Three layers and the lesions in them."""
        thickness = self.intima_mm * np.exp(0.45 * self.intima(z, ANGLES))
        for p in self.plaques:
            thickness = np.maximum(thickness, (p.cap + 1.05 * p.thickness) * np.exp(-0.5 * p.reach(z, ANGLES)))
        outer = lookup(thickness, phi)
        labels = np.full(depth.shape, Label.ADVENTITIA, np.uint8)
        labels[depth < outer + self.media_mm] = Label.MEDIA
        labels[depth < outer] = Label.INTIMA
        amplitude, attenuation = AMPLITUDE[labels], ATTENUATION[labels] * (depth > 0) * self.attenuation_scale
        labels[depth < 0] = Label.LUMEN
        streaks, patches = (lookup(t.table(z), phi, depth) for t in (self.streaks, self.patches))
        for p in self.plaques:
            if abs(z - p.z) > 2 * p.half_length:
                continue
            across = (depth - p.cap - p.thickness / 2) / (p.thickness / 2)
            edge = np.sqrt(p.reach(z, phi) + across**2) - 1 + 0.18 * patches
            softness = 0.12 if p.kind == Label.LIPID else 0.05
            weight = (0.5 - 0.5 * np.tanh(edge / softness)) * (depth > 0)
            amplitude += weight * (AMPLITUDE[p.kind] - amplitude)
            attenuation += weight * (ATTENUATION[p.kind] - attenuation)
            if p.kind == Label.CALCIUM:  # specular reflection at its sharp borders
                amplitude *= 1 + 0.6 * np.exp(-((edge / 0.08) ** 2))
            labels[weight > 0.5] = p.kind
        loose = np.clip((depth - outer) / 0.3, 0, 1)  # texture of the wall grows coarser outwards
        amplitude *= np.clip(0.5 + depth / SURFACE_MM, 0, 1) * np.exp(0.22 * patches + (0.08 + 0.25 * loose) * streaks)
        attenuation *= np.exp(0.2 * lookup(self.shadows(z, ANGLES), phi))
        return Slice(labels, amplitude.astype(np.float32), attenuation.astype(np.float32))

    def _add_stent(self, maps: Slice, z: float, phi: np.ndarray, depth: np.ndarray) -> None:
        """Zigzag rings of struts pressed into the surface of the lumen."""
        if self.stent_mm is None or not self.stent_mm[0] < z < self.stent_mm[1]:
            return
        crowns = 8
        swing = 0.8 * np.abs(2 * ((z / 1.1) % 1) - 1) * np.pi / crowns  # a zigzag of 1.1 mm
        for sign in (-1, 1):
            phase = wrap(crowns * (phi - sign * swing)) / crowns
            inside = np.hypot(phase * self.radius, depth - 0.02) < STRUT_RADIUS_MM
            _paint(maps, inside, Label.STENT)


def _paint(maps: Slice, where: np.ndarray, label: Label) -> None:
    maps.labels[where], maps.amplitude[where], maps.attenuation[where] = label, AMPLITUDE[label], ATTENUATION[label]
