# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Which series of one grid are parts of one stack, more slices or more phases, and which are stacks of their own.

Scanners and archives cut a stack in many ways: a series for each slice, for each phase, for each image, seven slices in
one and three in the next. Positions and times tell: parts complete each other, stacks repeat each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from custom.importers.cmr.dicom import DicomImage
from custom.importers.cmr.dicom_options import DicomOptions
from custom.importers.cmr.lines import SAME_POSITION_MM, distinct_positions, lines_of
from custom.importers.cmr.phases import acquisitions, are_distinct, choose_clock
from custom.importers.cmr.slices import is_regular
from custom.importers.notes import Doubt


def like(description: str) -> str:
    """A series description without its numbers: what series of one stack share."""
    return re.sub(r"\d+", "#", description)


def join_series(images: Sequence[DicomImage], options: DicomOptions) -> tuple[list[list[DicomImage]], list[str]]:
    """Put together series that complete each other.

    Args:
        images: of one matrix, pixel spacing, image type and orientation.
        options: `join`, `min_slices` and `phases_by` count.

    Returns:
        Sets of images, each of one stack or of too few slices for one; notes on what was put together,
        guesses among them.
    """
    notes: list[str] = []
    found: list[list[DicomImage]] = []
    for family in _families(images, options.join):
        series = _by_series(family)
        if len(series) == 1:
            found.append(family)
        elif options.join == "none":
            found += series
        elif _completes(family, options):
            found.append(family)
            notes.append(_told_join(family, series))
        else:
            sets = _grown(series, options)
            found += sets
            notes += [_told_join(part, _by_series(part)) for part in sets if len(_by_series(part)) > 1]
            notes += _repeated(sets, options)
    return found, notes


def _families(images: Sequence[DicomImage], join: str) -> list[list[DicomImage]]:
    """Images whose series may be joined. A series goes by the description that most of its images have."""
    if join == "all":
        return [list(images)]
    families: dict[str, list[DicomImage]] = {}
    for part in _by_series(images):
        words = [like(image.description) for image in part]
        families.setdefault(max(sorted(set(words)), key=words.count), []).extend(part)
    return list(families.values())


def _by_series(images: Iterable[DicomImage]) -> list[list[DicomImage]]:
    series: dict[tuple, list[DicomImage]] = {}
    for image in sorted(images, key=lambda image: image.acquired):
        series.setdefault(image.series_key, []).append(image)
    return list(series.values())


def _completes(images: Sequence[DicomImage], options: DicomOptions) -> bool:
    """Whether images are one whole stack: on one line, evenly spaced, the same number of phases, nothing twice."""
    depths, slices = distinct_positions(images)
    if len(depths) < options.min_slices or not is_regular(np.diff(depths)) or len(lines_of(images)) > 1:
        return False
    clock, doubt = choose_clock(slices, options.phases_by)
    if len({len(part) for part in slices}) > 1:
        return False
    if clock == "instance" and doubt is None and options.phases_by == "auto" and _are_single_stacks(slices):
        return False
    return all(len(acquisitions(part, clock)) == 1 and are_distinct(part, clock) for part in slices)


def _are_single_stacks(slices: Sequence[Sequence[DicomImage]]) -> bool:
    """Whether images of several series share places and none says when in the heart cycle it is."""
    return any(len({image.series_key for image in part}) > 1 for part in slices)


def _grown(series: Sequence[list[DicomImage]], options: DicomOptions) -> list[list[DicomImage]]:
    """Stacks that grow, the largest series first, by series that continue them; what is left over is put together."""
    by_size = sorted(series, key=lambda part: -len(distinct_positions(part)[0]))
    stacks: list[list[DicomImage]] = []
    rest: list[list[DicomImage]] = []
    for part in by_size:
        home = next((stack for stack in _nearest(stacks, part) if _continues(stack, part, options)), None)
        if home is not None:
            home.extend(part)
        elif len(distinct_positions(part)[0]) >= options.min_slices:
            stacks.append(list(part))
        else:
            rest.append(part)
    pooled = [image for part in rest for image in part]
    return [*stacks, *([pooled] if pooled else [])]


def _nearest(stacks: Sequence[list[DicomImage]], part: Sequence[DicomImage]) -> list[list[DicomImage]]:
    """Stacks from the same folder first, then by the distance of their series numbers."""
    folder, number = part[0].path.parent, part[0].number
    return sorted(
        stacks,
        key=lambda stack: (stack[0].path.parent != folder, min(abs(image.number - number) for image in stack)),
    )


def _continues(stack: Sequence[DicomImage], part: Sequence[DicomImage], options: DicomOptions) -> bool:
    """Whether a series has slices that a stack lacks, none that it has, and is evenly spaced with it."""
    depths = distinct_positions(stack)[0]
    normal = stack[0].normal
    own = np.array([image.position @ normal for image in part])
    if np.abs(own[:, None] - depths).min() <= SAME_POSITION_MM:
        return False
    return _completes([*stack, *part], options)


def _told_join(images: Sequence[DicomImage], series: Sequence[Sequence[DicomImage]]) -> str:
    positions = [len(distinct_positions(part)[0]) for part in series]
    told = ", ".join(f"{part[0].told()}: {n}" for part, n in zip(series[:4], positions, strict=False))
    more = f" and {len(series) - 4} more" if len(series) > 4 else ""
    whole = len(distinct_positions(images)[0])
    return f"{len(series)} series make one stack of {whole} slices ({told}{more}); --join none keeps them apart"


def _repeated(sets: Sequence[Sequence[DicomImage]], options: DicomOptions) -> list[Doubt]:
    """Stacks of one image per place at the same places may be phases that do not say so."""
    single: dict[tuple, int] = {}
    for images in sets:
        depths, slices = distinct_positions(images)
        if len(depths) >= options.min_slices and all(len(part) == 1 for part in slices):
            key = tuple(np.round(depths).astype(int))
            single[key] = single.get(key, 0) + 1
    return [
        Doubt(
            f"{count} series of one phase lie at the same {len(key)} places and do not say when in the heart cycle "
            "they are: taken as stacks of their own; if they are phases of one cine, say --phases_by series"
        )
        for key, count in single.items()
        if count > 1
    ]
