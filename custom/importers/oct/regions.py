# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The regions of a screen that DICOM calibrates one by one: which of them is the cross-section, and its scale."""

from __future__ import annotations

from pydicom import Dataset

from custom.importers.notes import Doubt

CENTIMETRES = 3
TWO_DIMENSIONAL = 1
"""RegionSpatialFormat; others are M-mode, spectra, graphs."""
MIN_SQUARE = 0.75
"""Shorter over longer side of a region: a strip along the pullback has less."""


def region_spacing(dataset: Dataset, notes: list[str]) -> tuple[float, float] | None:
    """Distance of columns and of rows in mm in the region of the cross-section.

    That is nearly square, holds the centre of the frame, and is the largest such region, in this order of weight. A
    lone region that is a strip off the centre tells nothing of the cross-section.

    Args:
        dataset: with or without SequenceOfUltrasoundRegions.
        notes: gets what was chosen from several.
    """
    centre = (float(dataset.get("Columns") or 0) / 2, float(dataset.get("Rows") or 0) / 2)
    found = []
    for item in dataset.get("SequenceOfUltrasoundRegions") or ():
        if spacing := _spacing(item):
            left, top, right, bottom = _box(item, centre)
            sides = sorted((right - left + 1, bottom - top + 1))
            is_square = sides[1] > 0 and sides[0] / sides[1] >= MIN_SQUARE
            holds = left <= centre[0] <= right + 1 and top <= centre[1] <= bottom + 1
            told = f"columns {left:g} to {right:g}, rows {top:g} to {bottom:g}"
            found.append(((is_square, holds, sides[0] * sides[1]), spacing, told))
    if not found:
        return None
    (is_square, holds, _), spacing, told = max(found, key=lambda item: item[0])
    if not (is_square or holds):
        notes.append(Doubt(f"the ultrasound region at {told} is no cross-section, its scale is not used"))
        return None
    others = [other for _, other, _ in found if abs(other[0] - spacing[0]) > 0.01 * spacing[0]]
    if others:
        line = f"{len(found)} ultrasound regions have different scales: that of the cross-section is taken ({told})"
        notes.append(line if is_square and holds else Doubt(f"{line} (--depth_spacing_mm)"))
    return spacing


def _spacing(item: Dataset) -> tuple[float, float] | None:
    """In mm; None of a region that is not measured in centimetres both ways, or is no picture."""
    units = [item.get(f"PhysicalUnits{axis}Direction") for axis in "XY"]
    if any(unit is not None and unit != CENTIMETRES for unit in units) or units[0] is None:
        return None
    if item.get("RegionSpatialFormat") not in (None, TWO_DIMENSIONAL):
        return None
    try:
        across, down = (abs(float(item[f"PhysicalDelta{axis}"].value)) * 10 for axis in "XY")
    except (KeyError, TypeError, ValueError):
        return None
    return (across, down) if 0 < min(across, down) and max(across, down) < float("inf") else None


def _box(item: Dataset, centre: tuple[float, float]) -> tuple[float, float, float, float]:
    """(left, top, right, bottom); a region that states none is the whole frame."""
    names = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
    values = [item.get(name) for name in names]
    if any(value is None for value in values):
        return 0.0, 0.0, 2 * centre[0] - 1, 2 * centre[1] - 1
    left, top, right, bottom = (float(value) for value in values)
    return left, top, right, bottom
