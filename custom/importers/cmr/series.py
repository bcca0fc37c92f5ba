# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""From the images of a DICOM study to its short-axis stacks: which series belong together, and which are no stack."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from custom.errors import InputError
from custom.importers.cmr.dicom import DicomImage
from custom.importers.cmr.slices import (
    DUPLICATES,
    SortedStack,
    are_parts_of_a_cycle,
    distinct_positions,
    is_regular,
    on_lines,
    sort_slices,
)

ORIENTATION_TOLERANCE = 2e-3
"""Of direction cosines, 0.1 degrees: scanners round them at the sixth digit."""
MAX_TILT_DEGREES = 15.0
"""Slices tilted by less were meant to be parallel; a long-axis view is tilted by more."""


@dataclass(frozen=True)
class DicomOptions:
    """What becomes of DICOM images; `data_scripts/prepare_cmr.py` explains each to its users.

    Raises:
        InputError: an unknown choice, or an expression that is none.
    """

    series: str | None = None
    min_slices: int = 4
    duplicates: str = "error"
    drop_incomplete: bool = False

    def __post_init__(self) -> None:
        if self.duplicates not in DUPLICATES:
            raise InputError("--duplicates", f"is {self.duplicates}", f"choose from {', '.join(DUPLICATES)}")
        if isinstance(self.min_slices, bool) or not isinstance(self.min_slices, int) or self.min_slices < 2:
            raise InputError("--min_slices", f"is {self.min_slices}", "give a whole number of at least 2")
        try:
            re.compile(self.series or "")
        except (re.error, TypeError) as error:
            raise InputError("--series", f"is not an expression ({error})", "mend it") from error


@dataclass(eq=False)
class _Group:
    """Images of one family (what a series or a set of like series shares) and of one orientation."""

    family: tuple
    orientation: int
    images: list[DicomImage]

    @property
    def num_positions(self) -> int:
        return len(distinct_positions(self.images)[0])

    def told(self) -> str:
        told = sorted({image.told() for image in self.images})
        return told[0] if len(told) == 1 else f"{told[0]} and {len(told) - 1} more"


def sort_stacks(
    where: Path, images: Sequence[DicomImage], options: DicomOptions
) -> tuple[list[SortedStack], list[str], list[InputError]]:
    """The stacks of a study, each slice by position and each phase by time.

    Images of a series with the same matrix, pixel spacing, image type and orientation are a stack if they lie at
    `min_slices` positions or more. Series with fewer, as of scanners that give each slice a series of its own, are put
    together if all this and their descriptions agree but for numbers. So are series that continue each other's grid,
    and series at the same positions that are phases of one heart cycle. What still has fewer is a long-axis view, a
    localiser or the like; slices that continue the grid of a stack whose description is another one are a fault.

    Args:
        where: folder or zip they are from, for messages.
        images: of one study.
        options: see :class:`DicomOptions`.

    Returns:
        The stacks; notes on what was left out; faults of stacks that could not be sorted.

    Raises:
        InputError: no stack, or slices that were meant to be parallel and are not.
    """
    kept = [image for image in images if re.search(options.series or "", image.description)]
    notes = [f"left out {len(images) - len(kept)} images: --series does not match"] if len(kept) < len(images) else []
    stacks, small = _grouped(kept, options.min_slices)
    frames = _orientations(kept)
    continuing: list[InputError] = []
    for group in small:
        tilt = _tilted_against(group, stacks, frames)
        if tilt:
            n, degrees, other = group.num_positions, *tilt
            fault = f"slices differ in orientation: {n} of {group.told()} by {degrees:.1f} degrees from {other.told()}"
            raise InputError(where, fault, "remove them from the folder, or take the series apart")
        where_told = f"{group.num_positions} position{'s' * (group.num_positions > 1)}"
        told = f"left out {len(group.images)} images of {group.told()}: {where_told}, no stack"
        notes.append(told)
        stack = next((stack for stack in stacks if _adjoins(group, stack)), None)
        if stack:
            fault = f"{told}, but they continue the grid of {stack.told()}"
            remedy = "give both series one SeriesDescription, or leave them out with --series"
            continuing.append(InputError(where, fault, remedy))
    if not stacks:
        found = "; ".join(notes) or "no images"
        tilts = "" if not _nearly_parallel(small, frames, options.min_slices) else ", slices differ in orientation"
        raise InputError(where, f"holds no stack of {options.min_slices} slices ({found}){tilts}", "see --min_slices")
    found, faults = [], continuing
    for group in stacks:
        try:
            found += sort_slices(
                where, group.told(), group.images, options.min_slices, options.duplicates, options.drop_incomplete
            )
        except InputError as error:
            faults.append(error)
    if not found:
        raise faults[0]
    if len(found) > 1:
        notes.append(f"{len(found)} stacks: {', '.join(stack.told() for stack in found)}")
    return found, notes, faults


def _orientations(images: Sequence[DicomImage]) -> list[np.ndarray]:
    """Orientations `(2, 3)` that differ by more than rounding."""
    found: list[np.ndarray] = []
    for image in images:
        if not any(np.abs(image.orientation - other).max() <= ORIENTATION_TOLERANCE for other in found):
            found.append(image.orientation)
    return found


def _grouped(images: Sequence[DicomImage], min_slices: int) -> tuple[list[_Group], list[_Group]]:
    """Groups of enough positions, and the others."""
    frames = _orientations(images)

    def group_by(families: Sequence[tuple], images: Sequence[DicomImage]) -> list[_Group]:
        groups: dict[tuple, _Group] = {}
        for family, image in zip(families, images, strict=True):
            near = [np.abs(image.orientation - frame).max() for frame in frames]
            k = int(np.argmin(near))
            groups.setdefault((family, k), _Group(family, k, [])).images.append(image)
        return list(groups.values())

    first = group_by([(image.series, *_matrix(image)) for image in images], images)
    stacks = [group for group in first if group.num_positions >= min_slices]
    rest = [image for group in first if group not in stacks for image in group.images]
    pooled = group_by([_family(image) for image in rest], rest)
    groups = _joined([*stacks, *pooled], min_slices)
    return tuple([g for g in groups if (g.num_positions >= min_slices) == enough] for enough in (True, False))


def _joined(groups: Sequence[_Group], min_slices: int) -> list[_Group]:
    """Groups of like series put together where they are parts of one stack: of its slices, or of its heart cycle."""
    groups = list(groups)
    k = 0
    while k < len(groups):
        first = groups[k]
        other = next((g for g in groups[k + 1 :] if _are_one(first, g, min_slices)), None)
        if other is None:
            k += 1
            continue
        groups.remove(other)
        groups[k] = _Group(_family(first.images[0]), first.orientation, first.images + other.images)
        k = 0
    return groups


def _are_one(first: _Group, second: _Group, min_slices: int) -> bool:
    if first.orientation != second.orientation or _family(first.images[0]) != _family(second.images[0]):
        return False
    union = first.images + second.images
    depths, slices = distinct_positions(union)
    few, many = sorted((first.num_positions, second.num_positions))
    if len(depths) == few == many:  # the same positions
        return len(on_lines(union)) == 1 and all(are_parts_of_a_cycle(images) for images in slices)
    if len(depths) < max(min_slices, many + 1) or not is_regular(np.diff(depths)) or len(on_lines(union)) > 1:
        return False
    alike = len({len(images) for images in slices}) == 1
    return few < min_slices or (len(depths) == few + many and alike)


def _adjoins(group: _Group, stack: _Group) -> bool:
    """Whether slices lie where the stack would go on, whatever they are called."""
    if group.orientation != stack.orientation or _matrix(group.images[0]) != _matrix(stack.images[0]):
        return False
    depths, _ = distinct_positions(stack.images + group.images)
    new = len(depths) - stack.num_positions
    return new > 0 and is_regular(np.diff(depths)) and len(on_lines(stack.images + group.images)) == 1


def _family(image: DicomImage) -> tuple:
    return re.sub(r"\d+", "#", image.description), *_matrix(image)


def _matrix(image: DicomImage) -> tuple:
    return image.shape, tuple(round(value, 4) for value in image.spacing), image.kind


def _tilted_against(
    group: _Group, stacks: Sequence[_Group], frames: Sequence[np.ndarray]
) -> tuple[float, _Group] | None:
    """The stack of the same series, or of like series, that a few slices are nearly parallel to, and their angle."""
    series = {image.series for image in group.images}
    for stack in stacks:
        same_series = series & {image.series for image in stack.images}
        if group.orientation != stack.orientation and (same_series or group.family == stack.family):
            degrees = _angle(frames[group.orientation], frames[stack.orientation])
            if degrees < MAX_TILT_DEGREES:
                return degrees, stack
    return None


def _nearly_parallel(groups: Sequence[_Group], frames: Sequence[np.ndarray], min_slices: int) -> bool:
    """Whether groups of a family would be a stack if their slices were parallel."""
    positions = Counter()
    for group in groups:
        reference = next(other for other in groups if other.family == group.family)
        if _angle(frames[group.orientation], frames[reference.orientation]) < MAX_TILT_DEGREES:
            positions[group.family] += group.num_positions
    return max(positions.values(), default=0) >= min_slices


def _angle(first: np.ndarray, second: np.ndarray) -> float:
    """Angle in degrees of the rotation between two orientations `(2, 3)`."""
    matrices = [np.stack([*axes, np.cross(*axes)]) for axes in (first, second)]
    return float(np.degrees(Rotation.from_matrix(matrices[0].T @ matrices[1]).magnitude()))
