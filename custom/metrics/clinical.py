# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a clinic reads off a segmented short-axis stack: volumes, ejection fraction, myocardial mass.

Volumes are sums of voxels, the "summation of discs" of cardiac MR: each slice stands for the space halfway to its
neighbours. Papillary muscles count as cavity where the segmentation says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from custom.scans.labels import CmrLabel

MYOCARDIUM_G_PER_ML = 1.05
"""Density of myocardium, by which clinics turn its volume into mass."""


def voxel_volume_mm3(affine: np.ndarray) -> float:
    """Volume of a voxel, oblique or not, from the `(4, 4)` affine of its image."""
    return float(abs(np.linalg.det(np.asarray(affine)[:3, :3])))


def volumes_ml(labels: np.ndarray, voxel_mm3: float, structure: int) -> np.ndarray:
    """Volume of a structure in every phase.

    Args:
        labels: `(N, T, H, W)`: N slices, T phases.
        voxel_mm3: of the labels' own grid. A stack made denser by interpolation has thinner voxels.
        structure: its number in the labels.

    Returns:
        `(T,)` in ml.

    Raises:
        ValueError: labels of another shape, or a volume that is not positive.
    """
    if labels.ndim != 4 or not voxel_mm3 > 0:
        raise ValueError(f"Labels are (N, T, H, W) and a voxel has volume, got {labels.shape} and {voxel_mm3}.")
    return np.count_nonzero(labels == structure, axis=(0, 2, 3)) * (voxel_mm3 / 1000)


@dataclass(frozen=True)
class VentricleFunction:
    """One ventricle over the heart cycle.

    Attributes:
        edv_ml: end-diastolic volume, the largest.
        esv_ml: end-systolic volume, the smallest; None for a single phase.
        stroke_volume_ml: their difference; None for a single phase.
        ejection_fraction: stroke volume over end-diastolic volume, in [0, 1]; None for a single phase or no volume.
        end_diastole: phase of the largest volume, the first of several.
        end_systole: phase of the smallest.
    """

    edv_ml: float
    esv_ml: float | None
    stroke_volume_ml: float | None
    ejection_fraction: float | None
    end_diastole: int
    end_systole: int


def ventricle_function(volumes: np.ndarray) -> VentricleFunction:
    """Function of a ventricle from its volume in every phase, `(T,)` in ml."""
    largest, smallest = int(volumes.argmax()), int(volumes.argmin())
    edv, esv = float(volumes[largest]), float(volumes[smallest])
    if len(volumes) == 1:
        return VentricleFunction(edv, None, None, None, largest, smallest)
    fraction = (edv - esv) / edv if edv > 0 else None
    return VentricleFunction(edv, esv, edv - esv, fraction, largest, smallest)


@dataclass(frozen=True)
class HeartMeasures:
    """Measures of a segmented stack or cine.

    Attributes:
        lv: function of the left ventricle.
        rv: of the right ventricle, whose phases are its own.
        lv_volumes_ml: `(T,)`.
        rv_volumes_ml: `(T,)`.
        mass_g: of the left ventricle's myocardium, at its end-diastole.
    """

    lv: VentricleFunction
    rv: VentricleFunction
    lv_volumes_ml: np.ndarray
    rv_volumes_ml: np.ndarray
    mass_g: float

    def rows(self) -> list[dict[str, object]]:
        """Rows "measure", "unit", "phase", "value" for a CSV file; value is empty where a measure needs a cine."""
        rows = []
        for name, volumes, function in (
            ("LV", self.lv_volumes_ml, self.lv),
            ("RV", self.rv_volumes_ml, self.rv),
        ):
            rows += [(f"{name} volume", "ml", phase, volume) for phase, volume in enumerate(volumes)]
            cycle = function.ejection_fraction is not None
            rows += [
                (f"{name} EDV", "ml", function.end_diastole, function.edv_ml),
                (f"{name} ESV", "ml", function.end_systole if cycle else "", function.esv_ml),
                (f"{name} stroke volume", "ml", "", function.stroke_volume_ml),
                (f"{name} ejection fraction", "%", "", 100 * function.ejection_fraction if cycle else None),
            ]
        rows.append(("LV mass", "g", self.lv.end_diastole, self.mass_g))
        return [
            {"measure": name, "unit": unit, "phase": phase, "value": "" if value is None else f"{value:.3f}"}
            for name, unit, phase, value in rows
        ]


def heart_measures(labels: np.ndarray, voxel_mm3: float) -> HeartMeasures:
    """Volumes, function and mass from labels `(N, T, H, W)`; see :func:`volumes_ml`."""
    lv = volumes_ml(labels, voxel_mm3, CmrLabel.LV_CAVITY)
    rv = volumes_ml(labels, voxel_mm3, CmrLabel.RV_CAVITY)
    function = ventricle_function(lv)
    myocardium = volumes_ml(labels, voxel_mm3, CmrLabel.MYOCARDIUM)
    mass = MYOCARDIUM_G_PER_ML * float(myocardium[function.end_diastole])
    return HeartMeasures(function, ventricle_function(rv), lv, rv, mass)
