# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What is looked at of a densified stack: what was acquired, long-axis planes, slices of the heart."""

from __future__ import annotations

import numpy as np

from custom.geometry import spacing_from_affine
from custom.pictures.planes import Plane, Volume, apex_at, long_axis_planes

FIELD_MM = 170.0  # of the slices shown: the heart and what is near it


def acquired_in(volume: Volume, known: np.ndarray) -> Volume:
    """The stack that was densified. Its slices are evenly spaced, as those of our inference are."""
    affine = volume.affine.copy()
    affine[:3, 3] += known[0] * affine[:3, volume.axis]
    affine[:3, volume.axis] *= known[1] - known[0] if len(known) > 1 else 1
    return Volume(np.take(volume.values, known, axis=volume.axis), affine, volume.axis)


def upright_planes(acquired: Volume) -> dict[str, Plane]:
    """Long-axis planes with the apex above, where it is known which end it is."""
    planes = long_axis_planes(acquired)
    return {view: plane.turned() for view, plane in planes.items()} if apex_at(acquired) else planes


def ends_of(acquired: Volume) -> tuple[str, str]:
    """What lies at the upper and at the lower end of a cut."""
    known = apex_at(acquired) is not None
    return ("apex", "base") if known else ("first slice", "last slice")


def normalised(volume: Volume, known: np.ndarray, planes: dict[str, Plane]) -> tuple[np.ndarray, tuple[float, float]]:
    """Slices `(N, T, h, w)` around the heart, 0 black and 1 white, and what black and white were."""
    slices = _around(volume, next(iter(planes.values())).centre)
    low, high = (float(v) for v in np.percentile(slices[known], (0.5, 98)))
    return (slices - low) / ((high - low) or 1.0), (low, high)


def _around(volume: Volume, centre: np.ndarray) -> np.ndarray:
    """Slices `(N, T, h, w)`, only what lies within `FIELD_MM` / 2 of a point in mm."""
    window, spacing = [slice(None)] * 4, spacing_from_affine(volume.affine)
    middle = volume.voxels(centre[None])[0]
    for axis in (axis for axis in range(3) if axis != volume.axis):
        half, length = FIELD_MM / 2 / spacing[axis], volume.values.shape[axis]
        start = round(min(max(middle[axis] - half, 0), max(length - 2 * half, 0)))
        window[axis] = slice(start, round(min(start + 2 * half, length)))
    return np.moveaxis(volume.values[tuple(window)], (volume.axis, 3), (0, 1))
