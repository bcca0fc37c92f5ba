# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Shapes of scanned hearts: label maps of HVSMR-2.0 patients as distances and as radii around the left ventricle.

The label maps (`assets/heart_shapes.npz`, CC BY 4.0, see `assets/README.md`) are of end-diastole, in heart coordinates
(see `cmr_tissue`) whose origin is the apex of the cavity. They hold blood only: the wall is the cavity, dilated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_filter1d, map_coordinates

ASSET = Path(__file__).resolve().parent / "assets" / "heart_shapes.npz"
HELD_OUT = 5  # the last hearts of the asset, for validation and test patients
MARGIN_MM = 30.0  # of the fields around a heart; beyond it distances stay as they are
FINE_MM = 10.0  # further from a chamber, distances are computed on every second voxel
FAR_MM = 60.0  # the distance to a chamber that a heart does not have
NUM_ANGLES = 96
STEP_MM = 1.5  # of heights and radii in the tables
LEAFLET_MM = 2.2  # what is nearer than this to two chambers that a valve joins is its leaflets
SEPTUM_MM = 4.5  # least distance between the ventricles' cavities
LV, RV, LA, RA, AO, PA, SVC, IVC = range(1, 9)
VALVES = ((LV, LA), (LV, AO), (RV, RA), (RV, PA))


@cache
def heart_names() -> tuple[str, ...]:
    """The hearts of the asset; the last `HELD_OUT` are for validation and test patients."""
    with np.load(ASSET, allow_pickle=False) as stored:
        return tuple(sorted(name for name in stored if name.startswith("pat") and name.count("_") == 0))


@dataclass(frozen=True)
class HeartShape:
    """A heart at end-diastole, brought to a given volume and given a wall.

    Args:
        spacing: of the fields, mm.
        origin: heart coordinates of their voxel 0, mm, (3,).
        lv: signed distance to the cavity of the left ventricle, mm, float32 (x, y, z).
        rv: the same of the right ventricle.
        atria: of both atria and the veins that flow into them.
        vessels: of aorta and pulmonary artery.
        valves: negative where two chambers are joined by a valve, mm.
        length: height of the mitral valve above the apex, mm.
        plane: height of the mitral plane on the axis, and its slopes along x and y.
        heights: of the rows of the tables below, mm, (H,).
        centre: axis of the left ventricle, x and y in mm, (H, 2).
        endo2: squared radius of the cavity around that axis, mm2, (H, `NUM_ANGLES`).
        epi: radius of the outer wall, mm.
        right_reach: how far the right ventricle reaches beyond it, mm; 0 where it does not lie.
        area: of the cavity, mm2, (H,).
        aortic: where the aorta begins, mm, (3,).
        bounds: lowest and highest x and y of chambers in reach of slices, mm, ((x, y), (x, y)).
    """

    spacing: float
    origin: NDArray
    lv: NDArray
    rv: NDArray
    atria: NDArray
    vessels: NDArray
    valves: NDArray
    length: float
    plane: tuple[float, float, float]
    heights: NDArray
    centre: NDArray
    endo2: NDArray
    epi: NDArray
    right_reach: NDArray
    area: NDArray
    aortic: NDArray
    bounds: tuple[NDArray, NDArray]

    def at(self, field: NDArray, x: NDArray, y: NDArray, z: NDArray) -> NDArray:
        """A field at points in heart coordinates, float32 of their shape."""
        where = np.empty((3, *x.shape), np.float32)
        for axis, points in enumerate((x, y, z)):
            np.multiply(points - np.float32(self.origin[axis]), np.float32(1 / self.spacing), out=where[axis])
        return map_coordinates(field, where, np.float32, order=1, mode="nearest", prefilter=False)


def load_shape(name: str, volume_ml: float, base_wall_mm: float, apex_wall_mm: float) -> HeartShape:
    """A heart of the asset, scaled as a whole to a volume of its left ventricle.

    Args:
        name: one of `heart_names`.
        volume_ml: of the left ventricle at end-diastole.
        base_wall_mm: thickness of its wall from the middle upwards.
        apex_wall_mm: at the apex.
    """
    with np.load(ASSET, allow_pickle=False) as stored:
        labels = stored[name]
        spacing, length = float(stored["spacing_mm"]), float(stored[f"{name}_length_mm"])
        origin = stored[f"{name}_origin_mm"].astype(float)
    scale = (volume_ml * 1000 / (np.sum(labels == LV) * spacing**3)) ** (1 / 3)
    spacing, origin, length = spacing * scale, origin * scale + (0, 0, apex_wall_mm), length * scale + apex_wall_mm
    margin = int(np.ceil(MARGIN_MM / spacing))
    # What the scan cut off above goes on: a vessel does not end in a lid.
    labels = np.pad(labels, ((margin, margin), (margin, margin), (margin, 0)))
    labels = np.pad(labels, ((0, 0), (0, 0), (0, margin)), mode="edge")
    origin -= margin * spacing
    single = {number: _distance(labels == number, spacing) for number in range(1, SVC)}
    lv = single[LV]
    rv = np.maximum(single[RV], np.float32(SEPTUM_MM) - lv)
    vessels = np.minimum(single[AO], single[PA])
    atria = np.minimum(single[LA], single[RA])
    atria = np.minimum(atria, _distance((labels == SVC) | (labels == IVC), spacing))
    valves = np.minimum.reduce([np.maximum(single[a], single[b]) for a, b in VALVES]) - np.float32(LEAFLET_MM)

    def places(mask: NDArray) -> NDArray:
        return np.argwhere(mask) * spacing + origin

    rim = places((lv < LEAFLET_MM) & (np.minimum(single[LA], single[AO]) < LEAFLET_MM))
    plane = np.linalg.lstsq(np.column_stack([np.ones(len(rim)), rim[:, :2]]), rim[:, 2], rcond=None)[0]
    slopes = np.clip(plane[1:], -0.4, 0.4)
    middle = rim.mean(axis=0)
    plane = (float(middle[2] - slopes @ middle[:2]), float(slopes[0]), float(slopes[1]))
    mouth = places((single[AO] < 2 * LEAFLET_MM) & (lv < 2 * LEAFLET_MM))
    aortic = mouth.mean(axis=0) if len(mouth) else middle
    reached = places((labels > 0) & (labels < SVC))
    reached = reached[reached[:, 2] < length + 20][:, :2]

    shape = HeartShape(
        spacing,
        origin,
        lv,
        rv,
        atria,
        vessels,
        valves,
        length,
        plane,
        *_tables(labels, lv, rv, origin, spacing, length, (base_wall_mm, apex_wall_mm)),
        aortic,
        (reached.min(axis=0), reached.max(axis=0)),
    )
    return shape


def wall_mm(height: NDArray, length: float, base_mm: float, apex_mm: float) -> NDArray:
    """Thickness of the left ventricle's wall: thin at the apex, full from the middle upwards."""
    share = (height / np.float32(0.45 * length)).clip(0, 1)
    return np.float32(apex_mm) + np.float32(base_mm - apex_mm) * share * (2 - share)


def outer_wall(lv: NDArray, rv: NDArray, thickness: NDArray) -> NDArray:
    """Signed distance in mm to the outside of the left ventricle's wall, which fills the septum.

    Args:
        lv: distance to the cavity of the left ventricle.
        rv: distance to that of the right.
        thickness: of the wall there.
    """
    septum = np.maximum(lv - np.float32(1.8) * thickness, rv - np.float32(3.0))
    return np.maximum(np.minimum(lv - thickness, septum), -rv)


def _distance(mask: NDArray, spacing: float) -> NDArray:
    """Signed distance in mm, negative inside, its voxel steps smoothed away."""
    if not mask.any():
        return np.full(mask.shape, np.float32(FAR_MM))
    coarse = distance_transform_edt(~mask[::2, ::2, ::2]).astype(np.float32) * np.float32(2 * spacing)
    for axis, size in enumerate(mask.shape):
        between = np.arange(size) / 2
        low = np.minimum(between.astype(int), coarse.shape[axis] - 1)
        high = np.minimum(low + 1, coarse.shape[axis] - 1)
        share = (between - low).astype(np.float32).reshape([-1 if k == axis else 1 for k in range(3)])
        coarse = coarse.take(low, axis) * (1 - share) + coarse.take(high, axis) * share
    margin = int(np.ceil(FINE_MM / spacing))
    around = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    box = tuple(slice(max(0, int(i[0]) - margin), int(i[-1]) + 1 + margin) for i in around)
    near = distance_transform_edt(~mask[box]) - distance_transform_edt(mask[box])
    coarse[box] = (near - np.sign(near) * 0.5) * spacing
    return gaussian_filter(coarse, 1.0, mode="nearest")


def _tables(
    labels: NDArray,
    lv: NDArray,
    rv: NDArray,
    origin: NDArray,
    spacing: float,
    length: float,
    wall: tuple[float, float],
) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray, NDArray]:
    """`heights`, `centre`, `endo2`, `epi`, `right_reach`, `area` of `HeartShape`, smooth in height and angle."""
    heights = np.arange(-12.0, length + 40, STEP_MM)
    area = np.sum(labels == LV, axis=(0, 1)) * spacing**2
    level = origin[2] + np.arange(labels.shape[2]) * spacing
    weight = np.maximum(area, 1e-3)
    centres = [
        np.sum(np.sum(labels == LV, axis=1 - axis) * (np.arange(n) * spacing + origin[axis])[:, None], axis=0)
        * spacing**2
        / weight
        for axis, n in enumerate(labels.shape[:2])
    ]
    sound = (area > 0.15 * area.max()) & (level < 0.9 * length)
    centre = np.column_stack([np.interp(heights, level[sound], c[sound]) for c in centres])
    centre = gaussian_filter1d(centre, 12 / STEP_MM, axis=0, mode="nearest")

    turn = np.arange(NUM_ANGLES) * (2 * np.pi / NUM_ANGLES)
    radii = np.arange(0.5, 130, STEP_MM)
    x = centre[:, 0, None, None] + radii * np.cos(turn)[:, None]
    y = centre[:, 1, None, None] + radii * np.sin(turn)[:, None]
    z = np.broadcast_to(heights[:, None, None], x.shape)
    where = np.stack([(p - o) / spacing for p, o in zip((x, y, z), origin, strict=True)])
    inside, right = (map_coordinates(field, where, np.float32, order=1, mode="nearest") for field in (lv, rv))
    muscle = outer_wall(inside, right, wall_mm(z.astype(np.float32), length, *wall)) < 0
    endo2 = 2 * np.sum((inside < 0) * radii, axis=-1) * STEP_MM
    epi = np.where(muscle.any(-1), radii[-1 - muscle[..., ::-1].argmax(-1)] + STEP_MM / 2, 0)
    far = np.where((right < 0).any(-1), radii[-1 - (right < 0)[..., ::-1].argmax(-1)] + STEP_MM / 2, 0)
    # Above the wall the last full ring goes on, so that what follows it keeps its shape.
    last = np.searchsorted(heights, 0.86 * length)
    for table in (endo2, epi):
        table[last:] = table[last]
    epi = np.where(endo2 > 0, np.maximum(epi, np.sqrt(endo2) + 2), epi)

    def smooth(table: NDArray, mm: float, angles: float) -> NDArray:
        table = gaussian_filter1d(table, mm / STEP_MM, axis=0, mode="nearest")
        return gaussian_filter1d(table, angles, axis=1, mode="wrap").astype(np.float32)

    reach = smooth(np.clip(far - epi, 0, 70), 5.0, 3.0)
    return (
        heights,
        centre.astype(np.float32),
        smooth(endo2, 2.0, 1.0),
        smooth(epi, 3.0, 2.0),
        reach,
        np.interp(heights, level, area),
    )
