# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""From the images of a DICOM study to its short-axis stacks: geometry first, series where geometry leaves a choice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from custom.errors import InputError
from custom.importers.cmr.continuation import candidates, continued_stacks, missing_images
from custom.importers.cmr.dicom import DicomImage, LeftOut
from custom.importers.cmr.dicom_options import DicomOptions
from custom.importers.cmr.joining import join_series, like
from custom.importers.cmr.lines import distinct_positions
from custom.importers.cmr.slices import APART, AT_AN_END, SortedStack, sort_slices
from custom.importers.notes import Doubt

__all__ = ["DicomOptions", "sort_stacks"]
ORIENTATION_TOLERANCE = 2e-3
"""Of direction cosines, 0.1 degrees: scanners round them at the sixth digit."""
MAX_TILT_DEGREES = 15.0
"""Slices tilted by less were meant to be parallel; a long-axis view is tilted by more."""
SAME_PIXEL = 1e-3
"""Relative; headers round pixel spacings at the fourth digit."""
SAME_ECHO_MS = 0.5


@dataclass(eq=False)
class _Group:
    """Images of one stack-to-be: of one family (matrix, pixels, kind, echo) and of one orientation."""

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
    where: Path, images: Sequence[DicomImage], options: DicomOptions, left_out: Sequence[LeftOut] = ()
) -> tuple[list[SortedStack], list[str], list[InputError]]:
    """The stacks of a study, each slice by position and each phase by time.

    Images of equal matrix, pixel spacing, image type and orientation are a stack if they lie at `min_slices` positions
    or more. Series are put together where their slices or phases complete each other
    (`custom.importers.cmr.joining.join_series`) and apart where they repeat each other. What has fewer positions is a
    long-axis view, a localiser or the like; a stack that such images continue is a fault.

    Args:
        where: folder or zip they are from, for messages.
        images: of one study.
        options: see :class:`DicomOptions`.
        left_out: images of the study that cannot be part of a stack.

    Returns:
        The stacks; notes on what was put together or left out, guesses among them (`Doubt`); faults of stacks that
        could not be sorted or lack images.

    Raises:
        InputError: no stack, or slices that were meant to be parallel and are not.
    """
    kept = [image for image in images if re.search(options.series or "", image.description)]
    left_out = [item for item in left_out if re.search(options.series or "", item.description)]
    notes = [f"left out {len(images) - len(kept)} images: --series does not match"] if len(kept) < len(images) else []
    frames = _orientations(kept)
    stacks, small = _grouped(kept, frames, options, notes)
    few: list[tuple[list[DicomImage], str]] = []
    for group in small:
        tilt = _tilted_against(group, stacks, frames)
        if tilt:
            n, degrees, other = group.num_positions, *tilt
            fault = f"slices differ in orientation: {n} of {group.told()} by {degrees:.1f} degrees from {other.told()}"
            raise InputError(where, fault, f"remove them from the folder {AT_AN_END}, else {APART}")
        where_told = f"{group.num_positions} position{'s' * (group.num_positions > 1)}"
        notes.append(f"left out {len(group.images)} images of {group.told()}: {where_told}, no stack")
        few.append((group.images, f"{where_told}, no stack"))
    if not stacks:
        found = "; ".join(notes) or "no images"
        tilts = "" if not _nearly_parallel(small, frames, options.min_slices) else ", slices differ in orientation"
        remedy = "export the whole stack, or say with --min_slices how few slices are one"
        if tilts:
            remedy = "export the whole stack, or mend the orientations in its headers"
        raise InputError(where, f"holds no stack of {options.min_slices} slices ({found}){tilts}", remedy)
    sorted_stacks: list[SortedStack] = []
    faults: list[InputError] = []
    for group in stacks:
        try:
            sorted_stacks += sort_slices(where, group.told(), group.images, options)
        except InputError as error:
            faults.append(error)
    found = []
    for stack in sorted_stacks:
        fault = missing_images(where, stack, candidates(left_out, few))
        if fault:
            faults.append(fault)
            continue
        found.append(stack)
        notes += [*stack.notes, *(Doubt(f"{stack.series()}: {doubt}") for doubt in stack.doubts)]
    if not found:
        raise faults[0]
    if len(found) > 1:
        notes.append(f"{len(found)} stacks: {', '.join(stack.told() for stack in found)}")
        notes += continued_stacks(found, options.join)
    return found, notes, faults


def _orientations(images: Sequence[DicomImage]) -> list[np.ndarray]:
    """Orientations `(2, 3)` that differ by more than rounding."""
    found: list[np.ndarray] = []
    for image in images:
        if not any(np.abs(image.orientation - other).max() <= ORIENTATION_TOLERANCE for other in found):
            found.append(image.orientation)
    return found


def _grouped(
    images: Sequence[DicomImage], frames: Sequence[np.ndarray], options: DicomOptions, notes: list[str]
) -> tuple[list[_Group], list[_Group]]:
    """Groups of enough positions, and the others."""
    echoes = _clusters([image.echo_ms or 0.0 for image in images], SAME_ECHO_MS)
    pixels = _clusters([np.log(image.spacing[0]) for image in images], SAME_PIXEL)
    ratios = _clusters([np.log(image.spacing[1]) for image in images], SAME_PIXEL)
    alike: dict[tuple, _Group] = {}
    for image, *numbers in zip(images, echoes, pixels, ratios, strict=True):
        near = [np.abs(image.orientation - frame).max() for frame in frames]
        # Behind the third word (magnitude, phase) stands what was done to an image: NORM, DIS2D.
        kind = image.kind[:3] if options.join == "all" else image.kind
        family = (image.shape, kind, *numbers)
        k = int(np.argmin(near))
        alike.setdefault((family, k), _Group(family, k, [])).images.append(image)
    found = []
    for group in alike.values():
        sets, told = join_series(group.images, options)
        notes += told
        found += [_Group(group.family, group.orientation, images) for images in sets]
    stacks = [group for group in found if group.num_positions >= options.min_slices]
    return stacks, [group for group in found if group not in stacks]


def _clusters(values: Sequence[float], tolerance: float) -> list[int]:
    """For each value the number of its cluster; neighbours closer than `tolerance` are in one."""
    values = np.array(values)
    order = np.argsort(values, kind="stable")
    numbers = np.cumsum(np.diff(values[order], prepend=values[order[:1]]) > tolerance)
    found = np.empty(len(values), int)
    found[order] = numbers
    return found.tolist()


def _tilted_against(
    group: _Group, stacks: Sequence[_Group], frames: Sequence[np.ndarray]
) -> tuple[float, _Group] | None:
    """The stack of the same series, or of like series, that a few slices are nearly parallel to, and their angle."""
    series = {image.series_key for image in group.images}
    words = {like(image.description) for image in group.images}
    for stack in stacks:
        same_series = series & {image.series_key for image in stack.images}
        like_series = group.family == stack.family and words & {like(image.description) for image in stack.images}
        if group.orientation != stack.orientation and (same_series or like_series):
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
