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

DUPLICATES = ("error", "first", "last")
SAME_POSITION_MM = 0.1
SAME_LINE_MM = 0.5
"""How far the slices of a stack may lie beside the line through the others."""
SAME_LEANING_LINE_MM = 0.1
"""The same for a line that leans against the normal: scanners state positions to a micrometre."""
MIN_PHASE_MS = 10.0
"""Between phases of a cine; images of two acquisitions can be closer."""
SPACING_TOLERANCE = 0.05
SAME_TIME_MS = 0.5
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class SortedStack:
    """A stack in order.

    Args:
        images: `N` slices of `T` phases, along the normal.
        affine: `(4, 4)`, from (column, row, slice) to mm, right-anterior-superior as in NIfTI.
        phase_ms: median time from one phase to the next; None where there is one phase or no trigger time.
        part: tells two stacks of one series apart, else empty.
    """

    images: tuple[tuple[DicomImage, ...], ...]
    affine: np.ndarray
    phase_ms: float | None
    part: str = ""

    def told(self) -> str:
        """The stack as messages tell it."""
        told = self.images[0][0].told() + (f" part {self.part}" if self.part else "")
        return f"{told}, {len(self.images)} slices of {len(self.images[0])} phases"


def distinct_positions(images: Sequence[DicomImage]) -> tuple[np.ndarray, list[list[DicomImage]]]:
    """Positions along the normal of the first image in mm, rising, and the images at each."""
    normal = images[0].normal
    depths = np.array([image.position @ normal for image in images])
    order = np.argsort(depths, kind="stable")
    starts = np.flatnonzero(np.diff(depths[order], prepend=-np.inf) > SAME_POSITION_MM)
    parts = np.split(order, starts[1:])
    return np.array([depths[part].mean() for part in parts]), [[images[k] for k in part] for part in parts]


def sort_slices(
    where: Path, told: str, images: Sequence[DicomImage], min_slices: int, duplicates: str, drop_incomplete: bool
) -> list[SortedStack]:
    """Sort images of one orientation into a stack, or into two that lie side by side or in each other's gaps.

    Args:
        where: folder or zip they are from, for messages.
        told: their series, for messages.
        images: of one orientation and matrix.
        min_slices: of a stack.
        duplicates: "error", or which to keep of images of the same place and time.
        drop_incomplete: leave out slices at the ends that lack phases.

    Raises:
        InputError: slices are missing, irregular or displaced, phases are missing, or images are there twice.
    """
    sets = _interleaved(_lines(where, told, images, min_slices), min_slices)
    names = [chr(ord("a") + k) for k in range(len(sets))] if len(sets) > 1 else [""]
    return [
        _one_stack(where, told, part, name, min_slices, duplicates, drop_incomplete)
        for part, name in zip(sets, names, strict=True)
    ]


def on_lines(images: Sequence[DicomImage]) -> list[tuple[np.ndarray, list[DicomImage]]]:
    """Images in sets whose first pixels lie on one line, each with the place in the plane where the line starts.

    The line may lean against the normal, as the third column of an affine can; several lines are parallel to it.
    """
    axes, normal = images[0].orientation, images[0].normal
    offsets = np.array([axes @ image.position for image in images])
    depths = np.array([normal @ image.position for image in images])
    if np.ptp(depths) > SAME_POSITION_MM:
        design = np.stack([np.ones_like(depths), depths - depths.mean()], axis=1)
        fit = np.linalg.lstsq(design, offsets, rcond=None)[0]
        if np.linalg.norm(offsets - design @ fit, axis=1).max() <= SAME_LEANING_LINE_MM:
            return [(offsets[0], list(images))]
    lines: list[tuple[np.ndarray, list[DicomImage]]] = []
    for image, offset in zip(images, offsets, strict=True):
        near = [line for start, line in lines if np.linalg.norm(offset - start) <= SAME_LINE_MM]
        if near:
            near[0].append(image)
        else:
            lines.append((offset, [image]))
    return lines


def _lines(where: Path, told: str, images: Sequence[DicomImage], min_slices: int) -> list[list[DicomImage]]:
    """The sets of :func:`on_lines`, each a stack of its own.

    Raises:
        InputError: a set is too small for that.
    """
    lines = on_lines(images)
    if len(lines) > 1 and min(len(distinct_positions(line)[0]) for _, line in lines) < min_slices:
        main = max(lines, key=lambda item: len(item[1]))
        off = next(item for item in lines if item is not main)
        name = min(off[1], key=lambda image: image.acquired).path.name
        fault = f"{told}: {name} is displaced in its plane by {np.linalg.norm(off[0] - main[0]):.1f} mm"
        raise InputError(where, fault, "remove the displaced images, or take the series apart")
    return [line for _, line in lines]


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


def is_regular(gaps: np.ndarray) -> bool:
    """Whether distances between neighbouring slices are equal."""
    return bool(np.abs(gaps - np.median(gaps)).max() <= SPACING_TOLERANCE * np.median(gaps))


def _one_stack(
    where: Path,
    told: str,
    images: Sequence[DicomImage],
    name: str,
    min_slices: int,
    duplicates: str,
    drop_incomplete: bool,
) -> SortedStack:
    depths, slices = distinct_positions(images)
    _check_gaps(where, told, depths)
    times = _clock(slices)
    slices = [_in_time(where, told, k, depths, part, times, duplicates) for k, part in enumerate(slices)]
    counts = [len(part) for part in slices]
    usual = Counter(counts).most_common(1)[0][0]
    complete = [k for k, count in enumerate(counts) if count == usual]
    ends = slice(complete[0], complete[-1] + 1) if drop_incomplete else slice(None)
    for k in range(len(slices))[ends]:
        if counts[k] != usual:
            fault = f"{told}: slice {k + 1} (at {depths[k]:.1f} mm) has {counts[k]} phases, most have {usual}"
            raise InputError(where, fault, "export the series again; --drop_incomplete leaves out slices at the ends")
    slices, depths = slices[ends], depths[ends]
    if len(slices) < min_slices:
        raise InputError(where, f"{told}: {len(slices)} complete slices are left", "export the series again")
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
    return SortedStack(tuple(map(tuple, slices)), affine, _phase_ms(slices) if times == "trigger_ms" else None, name)


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
        raise InputError(where, fault, "export the whole series")
    apart = f"{gaps.min():.2f} to {gaps.max():.2f} mm apart, usually {spacing:.2f}"
    fault = f"{told}: slices are {apart}, most between {between}"
    raise InputError(where, fault, "take the series apart into regular stacks")


def _clock(slices: Sequence[Sequence[DicomImage]]) -> str:
    """The attribute that tells phases of a slice apart: trigger time, else temporal position, else instance number."""
    several = [part for part in slices if len(part) > 1]
    for attribute in ("trigger_ms", "temporal"):
        values = [[getattr(image, attribute) for image in part] for part in slices]
        if any(value is None for part in values for value in part):
            continue
        if any(len(set(part)) > 1 for part in values if len(part) > 1):
            return attribute
    # Equal times that are not 0 are a statement: the images are there twice. With three and more of them in each slice,
    # counted, the time is a delay and the images are phases.
    stated = all(image.trigger_ms for part in several for image in part)
    if stated and len(several) == len(slices) and all(_are_counted(part) for part in slices):
        return "instance"
    return "trigger_ms" if several and stated else "instance"


def _are_counted(images: Sequence[DicomImage]) -> bool:
    numbers = {image.instance for image in images}
    return len(numbers) == len(images) >= 3 and len({image.series for image in images}) == 1


def are_parts_of_a_cycle(images: Sequence[DicomImage]) -> bool:
    """Whether images of several series at one position are phases of one cycle: their times differ, without overlap."""
    runs: dict[str, list[DicomImage]] = {}
    for image in images:
        runs.setdefault(image.series, []).append(image)
    for attribute, apart in (("trigger_ms", MIN_PHASE_MS), ("temporal", 1)):
        if any(getattr(image, attribute) is None for image in images):
            continue
        spans = sorted(
            (min(times), max(times)) for times in ([getattr(i, attribute) for i in r] for r in runs.values())
        )
        if all(after[0] - before[1] >= apart for before, after in zip(spans, spans[1:], strict=False)):
            return True
    return False


def _runs(images: Sequence[DicomImage]) -> list[list[DicomImage]]:
    """Images of one position by acquisition: series, unless these are phases of one cycle, then repeats within them."""
    runs: dict[str, list[DicomImage]] = {}
    one = are_parts_of_a_cycle(images)
    for image in sorted(images, key=lambda image: image.acquired):
        runs.setdefault("" if one else image.series, []).append(image)
    return [part for run in runs.values() for part in _repeats(run)]


def _repeats(run: list[DicomImage]) -> list[list[DicomImage]]:
    """A run of images in order of acquisition, cut where the heart cycle starts again, if that gives whole cycles."""
    if len(run) < 4 or any(image.trigger_ms is None for image in run):
        return [run]
    parts = [[run[0]]]
    for before, image in zip(run, run[1:], strict=False):
        if image.trigger_ms < before.trigger_ms:
            parts.append([])
        parts[-1].append(image)
    spans = [(part[0].trigger_ms, part[-1].trigger_ms) for part in parts]
    overlap = all(
        after[0] < before[1] and before[0] < after[1] for before, after in zip(spans, spans[1:], strict=False)
    )
    whole = len(parts) > 1 and len({len(part) for part in parts}) == 1 and len(parts[0]) > 1
    return parts if whole and overlap else [run]


def _in_time(
    where: Path,
    told: str,
    k: int,
    depths: np.ndarray,
    images: Sequence[DicomImage],
    attribute: str,
    duplicates: str,
) -> list[DicomImage]:
    """The phases of slice `k` in order, without repeated acquisitions."""

    def key(image: DicomImage) -> tuple:
        return getattr(image, attribute), image.acquired

    runs = _runs(images)
    place = f"{told}: slice {k + 1} (at {depths[k]:.1f} mm)"
    remedy = "remove one of them, or choose with --duplicates first or last"
    if len(runs) > 1 and duplicates == "error":
        names = ", ".join(dict.fromkeys(run[0].told() for run in runs))
        raise InputError(where, f"{place} was acquired {len(runs)} times ({names})", remedy)
    chosen = sorted(runs[-1 if duplicates == "last" else 0], key=key)
    kept: list[DicomImage] = []
    same = SAME_TIME_MS if attribute == "trigger_ms" else 0
    for image in chosen:
        if not kept or getattr(image, attribute) - getattr(kept[-1], attribute) > same:
            kept.append(image)
        elif duplicates == "error":
            told_time = f"{attribute.removesuffix('_ms')} {getattr(image, attribute):g}"
            fault = f"{place} has two images of {told_time}: {kept[-1].path.name} and {image.path.name}"
            if attribute == "trigger_ms":
                remedy += " if they are one phase; of phases remove the TriggerTime, then InstanceNumber counts"
            raise InputError(where, fault, remedy)
        elif duplicates == "last":
            kept[-1] = image
    return kept


def _phase_ms(slices: Sequence[Sequence[DicomImage]]) -> float | None:
    steps = [step for part in slices for step in np.diff([image.trigger_ms for image in part])]
    return float(np.median(steps)) if steps else None
