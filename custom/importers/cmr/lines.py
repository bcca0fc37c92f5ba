# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Slices on straight lines: the first pixels of a stack lie on one, which may lean against the slices' normal.

A stack that leans is sheared, as a gantry tilt or rounded positions make it; its affine can hold that. What lies off
the line of the others was moved, or belongs to another stack beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from custom.importers.cmr.dicom import DicomImage

SAME_POSITION_MM = 0.1
SAME_LINE_MM = 0.5
"""How far a slice may lie beside the line through the others."""
MAX_LEAN = 1.0
"""mm sideways per mm along the normal, 45 degrees; what leans more is not one stack."""


def distinct_positions(images: Sequence[DicomImage]) -> tuple[np.ndarray, list[list[DicomImage]]]:
    """Positions along the normal of the first image in mm, rising, and the images at each."""
    normal = images[0].normal
    depths = np.array([image.position @ normal for image in images])
    order = np.argsort(depths, kind="stable")
    starts = np.flatnonzero(np.diff(depths[order], prepend=-np.inf) > SAME_POSITION_MM)
    parts = np.split(order, starts[1:])
    return np.array([depths[part].mean() for part in parts]), [[images[k] for k in part] for part in parts]


def lines_of(images: Sequence[DicomImage]) -> list[list[DicomImage]]:
    """Images in sets whose first pixels lie on a straight line each, the set with most positions first.

    Of all lines through two positions the one that most depths lie on is taken, of several the one that leans least;
    then the next, of the images that are left.

    Args:
        images: of one orientation.
    """
    axes, normal = images[0].orientation, images[0].normal
    places = np.array([[*(axes @ image.position), normal @ image.position] for image in images])
    left = np.arange(len(images))
    found = []
    while len(left):
        on_line = left[_best_line(places[left])]
        found.append([images[k] for k in on_line])
        left = np.setdiff1d(left, on_line)
    return found


def lean_degrees(images: Sequence[Sequence[DicomImage]]) -> float:
    """Angle between the normal and the line from the first slice to the last."""
    step = images[-1][0].position - images[0][0].position
    return float(np.degrees(np.arccos(np.clip(abs(step @ images[0][0].normal) / np.linalg.norm(step), 0, 1))))


def _best_line(places: np.ndarray) -> np.ndarray:
    """Which of the places `(n, 3)` (two in the plane, one along the normal) are on the line of most depths, bool."""
    rounded = np.unique(np.round(places / SAME_POSITION_MM), axis=0) * SAME_POSITION_MM
    # Rounding only tells copies apart; lines go through places as they are.
    distinct = np.array([places[np.argmin(np.abs(places - place).sum(axis=1))] for place in rounded])
    best, best_key = None, (0, 0.0)
    for k, start in enumerate(distinct):
        depth = distinct[:, 2] - start[2]
        far = np.abs(depth) > SAME_POSITION_MM
        slopes = np.zeros((len(distinct), 2))
        slopes[far] = (distinct[far, :2] - start[:2]) / depth[far, None]
        for slope in np.unique(np.vstack([np.zeros((1, 2)), slopes[k + 1 :]]), axis=0):
            lean = float(np.linalg.norm(slope))
            if lean > MAX_LEAN:
                continue
            on_line = _on_line(distinct, start, slope)
            key = (len(np.unique(np.round(distinct[on_line, 2] / SAME_POSITION_MM))), -lean)
            if key > best_key or best is None:
                best, best_key = (start, slope), key
    return _on_line(places, *_refined(distinct, *best))


def _on_line(places: np.ndarray, start: np.ndarray, slope: np.ndarray) -> np.ndarray:
    expected = start[:2] + slope * (places[:, 2:] - start[2])
    return np.linalg.norm(places[:, :2] - expected, axis=1) <= SAME_LINE_MM


def _refined(places: np.ndarray, start: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The line of least squares through what lies on a line, unless it would lose some of it."""
    on_line = _on_line(places, start, slope)
    depths = places[on_line, 2]
    if len(np.unique(np.round(depths / SAME_POSITION_MM))) < 3:
        return start, slope
    design = np.stack([np.ones_like(depths), depths - depths.mean()], axis=1)
    (middle, better), *_ = np.linalg.lstsq(design, places[on_line, :2], rcond=None)
    centre = np.array([*middle, depths.mean()])
    return (centre, better) if _on_line(places, centre, better)[on_line].all() else (start, slope)
