# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Stacks that an archive has divided among studies: a part in one StudyInstanceUID, the rest in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from custom.importers.cmr.dicom import DicomImage
from custom.importers.cmr.joining import like
from custom.importers.cmr.lines import distinct_positions, lines_of
from custom.importers.cmr.slices import SPACING_TOLERANCE
from custom.importers.cmr.source import CmrSource
from custom.importers.notes import Doubt


def with_divided_stacks(sources: Sequence[CmrSource]) -> list[CmrSource]:
    """DICOM studies with a doubt where slices of two studies of one patient make one regular stack together."""
    found = list(sources)
    for k, other in combinations(range(len(found)), 2):
        first, second = found[k], found[other]
        if first.patient != second.patient or not (first.headers and second.headers):
            continue
        parts, more = (_alike(source.headers.images) for source in (first, second))
        for family in parts.keys() & more.keys():
            if _make_one_stack(parts[family], more[family]):
                doubt = Doubt(
                    f"slices of {more[family][0].told()} and those of another study of this patient ({first.name}) "
                    "make one regular stack, taken apart; if they are one, say --join all"
                )
                found[other] = replace(found[other], doubts=(*found[other].doubts, doubt))
                break
    return found


def _alike(images: Sequence[DicomImage]) -> dict[tuple, list[DicomImage]]:
    """Images by matrix, pixel, orientation and description, as far as parts of one stack have them in common."""
    found: dict[tuple, list[DicomImage]] = {}
    for image in images:
        numbers = np.round([*image.spacing, *image.orientation.ravel()], 2) + 0.0  # no -0
        found.setdefault((image.shape, like(image.description), *numbers), []).append(image)
    return found


def _make_one_stack(first: Sequence[DicomImage], second: Sequence[DicomImage]) -> bool:
    """Whether the slices of two sets lie at equal distances on one line, and neither set has what the other has."""
    depths = distinct_positions([*first, *second])[0]
    if len(depths) < 3 or len(depths) < len(distinct_positions(first)[0]) + len(distinct_positions(second)[0]):
        return False
    gaps = np.diff(depths)
    is_regular = np.abs(gaps - np.median(gaps)).max() <= SPACING_TOLERANCE * np.median(gaps)
    return bool(is_regular) and len(lines_of([*first, *second])) == 1
