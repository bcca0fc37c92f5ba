# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The slices of a DICOM stack in order: by position along the normal, then by time in the heart cycle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from custom.errors import InputError
from custom.importers.cmr.dicom import DicomImage
from custom.importers.cmr.dicom_options import DicomOptions
from custom.importers.cmr.lines import distinct_positions, lean_degrees, lines_of
from custom.importers.cmr.phases import (
    choose_clock,
    disordered_slices,
    phase_ms,
    time_of,
    uneven_slice,
)
from custom.importers.cmr.repeats import in_time, without_copies

SPACING_TOLERANCE = 0.05
AT_AN_END = "where they lie at an end of the stack"
APART = "put each regular part into a folder and give it as an --input of its own"
MIN_LEAN_DEGREES = 0.05
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class SortedStack:
    """A stack in order.

    Args:
        images: `N` slices of `T` phases, along the normal.
        affine: `(4, 4)`, from (column, row, slice) to mm, right-anterior-superior as in NIfTI.
        phase_ms: median time from one phase to the next; None where there is one phase or no trigger time.
        part: tells two stacks of one series apart, else empty.
        depths: `(N,)` mm, positions along the normal.
        doubts: guesses that the user should know of.
        notes: what else there is to say, images that were left out among it.
        left_out: images at the stack's own places that are not in it, on the user's wish.
    """

    images: tuple[tuple[DicomImage, ...], ...]
    affine: np.ndarray
    phase_ms: float | None
    part: str = ""
    depths: tuple[float, ...] = ()
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: tuple[DicomImage, ...] = ()

    @property
    def flat(self) -> list[DicomImage]:
        """All images."""
        return [image for phases in self.images for image in phases]

    def series(self) -> str:
        """The series that it is from."""
        told = list(dict.fromkeys(image.told() for image in sorted(self.flat, key=lambda image: image.acquired)))
        return told[0] if len(told) == 1 else f"{told[0]} and {len(told) - 1} more"

    def told(self) -> str:
        """The stack as messages tell it."""
        told = self.images[0][0].told() + (f" part {self.part}" if self.part else "")
        return f"{told}, {len(self.images)} slices of {len(self.images[0])} phases"


def sort_slices(where: Path, told: str, images: Sequence[DicomImage], options: DicomOptions) -> list[SortedStack]:
    """Sort images of one orientation into a stack, or into two that lie side by side or in each other's gaps.

    Args:
        where: folder or zip they are from, for messages.
        told: their series, for messages.
        images: of one orientation and matrix.
        options: see :class:`DicomOptions`.

    Raises:
        InputError: slices are missing, irregular or displaced, phases are missing, or images are there twice.
    """
    sets = _interleaved(_lines(where, told, images, options.min_slices), options.min_slices)
    names = [chr(ord("a") + k) for k in range(len(sets))] if len(sets) > 1 else [""]
    return [_one_stack(where, told, part, name, options) for part, name in zip(sets, names, strict=True)]


def is_regular(gaps: np.ndarray) -> bool:
    """Whether positions are evenly spaced."""
    return bool(np.abs(gaps - np.median(gaps)).max() <= SPACING_TOLERANCE * np.median(gaps))


def _lines(where: Path, told: str, images: Sequence[DicomImage], min_slices: int) -> list[list[DicomImage]]:
    """Images in sets on a line each; a set that is no stack of its own was displaced."""
    lines = lines_of(images)
    small = [line for line in lines if len(distinct_positions(line)[0]) < min_slices]
    if len(lines) > 1 and small:
        image = min(small[0], key=lambda image: image.acquired)
        axes = image.orientation
        offsets = np.array([axes @ other.position for other in lines[0]])
        # Along a line that hardly leans, the nearest slice tells how far; good enough for a message.
        nearest = np.argmin([abs((other.position - image.position) @ image.normal) for other in lines[0]])
        distance = np.linalg.norm(axes @ image.position - offsets[nearest])
        fault = f"{told}: {image.path.name} is displaced in its plane by {distance:.1f} mm"
        raise InputError(where, fault, f"remove the displaced images {AT_AN_END}, else {APART}")
    return lines


def _interleaved(sets: Sequence[list[DicomImage]], min_slices: int) -> list[list[DicomImage]]:
    """Each set, or the two stacks that it is if its gaps alternate."""
    found = []
    for images in sets:
        depths, slices = distinct_positions(images)
        gaps = np.diff(depths)
        alternate = len(depths) >= 2 * min_slices and all(is_regular(gaps[k::2]) for k in (0, 1))
        if alternate and not is_regular(gaps):
            found += [[image for part in slices[k::2] for image in part] for k in (0, 1)]
        else:
            found.append(list(images))
    return found


def _one_stack(where: Path, told: str, images: Sequence[DicomImage], name: str, options: DicomOptions) -> SortedStack:
    depths, slices = distinct_positions(images)
    _check_gaps(where, told, depths)
    clock, doubt = choose_clock(slices, options.phases_by)
    doubts = [] if doubt is None else [f"{doubt} (--phases_by)"]
    silent = next((image for part in slices for image in part if time_of(image, clock) is None), None)
    if silent:
        fault = f"{told}: {silent.path.name} does not say its time by {clock}"
        raise InputError(where, fault, "choose another --phases_by, such as auto")
    copies = [without_copies(part) for part in slices]
    num_copies = sum(map(len, slices)) - sum(map(len, copies))
    slices = [in_time(where, told, k, depths, part, clock, options.duplicates) for k, part in enumerate(copies)]
    counts = [len(part) for part in slices]
    usual = Counter(counts).most_common(1)[0][0]
    complete = [k for k, count in enumerate(counts) if count == usual]
    ends = slice(complete[0], complete[-1] + 1) if options.drop_incomplete else slice(None)
    for k in range(len(slices))[ends]:
        if counts[k] != usual:
            fault = f"{told}: slice {k + 1} (at {depths[k]:.1f} mm) has {counts[k]} phases, most have {usual}"
            raise InputError(where, fault, "export the series again; --drop_incomplete leaves out slices at the ends")
    dropped = [image for k, part in enumerate(slices) if k not in range(len(slices))[ends] for image in part]
    slices, depths = slices[ends], depths[ends]
    if len(slices) < options.min_slices:
        remedy = "export the series again, or say with --min_slices how few slices are a stack"
        raise InputError(where, f"{told}: {len(slices)} complete slices are left", remedy)
    if clock == "trigger":
        _check_steps(where, told, depths, slices, options.phases_by)
        disordered = disordered_slices(slices) if usual > 1 else []
        if disordered:
            doubts.append(
                f"in slice {disordered[0] + 1} InstanceNumber does not follow the trigger times, as it does in others: "
                "ordered by trigger time; to go by InstanceNumber, say --phases_by instance"
            )
    notes = []
    if dropped:
        notes.append(f"left out {len(dropped)} images of {told}: slices at the ends lack phases (--drop_incomplete)")
    taken = {id(image) for part in slices for image in part} | {id(image) for image in dropped}
    again = [image for part in copies for image in part if id(image) not in taken]
    if num_copies:
        notes.append(f"left out {num_copies} images of {told}: copies of others")
    if again:
        notes.append(f"left out {len(again)} images of {told}: acquired again (--duplicates {options.duplicates})")
    lean = lean_degrees(slices)
    if lean > MIN_LEAN_DEGREES:
        notes.append(f"positions lean by {lean:.2f} degrees against the slices' normal: the affine is sheared")
    return SortedStack(
        images=tuple(map(tuple, slices)),
        affine=_affine(slices),
        phase_ms=phase_ms(slices) if clock == "trigger" else None,
        part=name,
        depths=tuple(map(float, depths)),
        doubts=tuple(doubts),
        notes=tuple(notes),
        left_out=(*dropped, *again),
    )


def _affine(slices: Sequence[Sequence[DicomImage]]) -> np.ndarray:
    first, last = slices[0][0], slices[-1][0]
    affine = np.eye(4)
    affine[:3, :3] = np.stack(
        [
            first.orientation[0] * first.spacing[1],
            first.orientation[1] * first.spacing[0],
            (last.position - first.position) / (len(slices) - 1),
        ],
        axis=1,
    )
    affine[:3, 3] = first.position
    affine[:3] = _LPS_TO_RAS @ affine[:3]
    return affine


def _check_gaps(where: Path, told: str, depths: np.ndarray) -> None:
    gaps = np.diff(depths)
    if is_regular(gaps):
        return
    spacing = float(np.median(gaps))
    widest = int(np.argmax(gaps))
    steps = gaps / gaps.min()
    between = f"slice {widest + 1} (at {depths[widest]:.1f} mm) and the next (at {depths[widest + 1]:.1f} mm)"
    if np.abs(steps - np.rint(steps)).max() <= SPACING_TOLERANCE * steps.max():
        fault = f"{told}: slices are missing between {between}, others are {gaps.min():.1f} mm apart"
        raise InputError(where, fault, f"export the whole series; if there is no more of it, {APART}")
    apart = f"{gaps.min():.2f} to {gaps.max():.2f} mm apart, usually {spacing:.2f}"
    fault = f"{told}: slices are {apart}, most between {between}"
    raise InputError(where, fault, APART)


def _check_steps(
    where: Path, told: str, depths: np.ndarray, slices: Sequence[Sequence[DicomImage]], wanted: str
) -> None:
    """Refuse trigger times that no cine has, unless the user wants them."""
    uneven = uneven_slice(slices) if wanted == "auto" else None
    if uneven:
        k, times = uneven
        listed = ", ".join(f"{time:g}" for time in times[:6]) + (", ..." if len(times) > 6 else "")
        fault = f"{told}: slice {k + 1} (at {depths[k]:.1f} mm) has trigger times {listed} ms, others step evenly"
        remedy = "mend them, or say with --phases_by trigger or instance what tells the phases' order"
        raise InputError(where, fault, remedy)
