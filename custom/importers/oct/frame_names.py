# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What the names of a folder's images say: which are frames of one pullback, in which order, and what is missing."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from custom.errors import InputError
from custom.importers.notes import Doubt

MASK_WORDS = re.compile(
    r"(^|[^a-z])(masks?|seg|segs|segmentations?|labels?|gt|ground_?truth|annot\w*|contours?|rois?|overlays?|pred|predictions?)"
    r"([^a-z]|$)"
)
"""In a name, in small letters: it is drawn upon an image, not an image."""
GAPS = ("keep", "split")
_TOLD_GAPS = 3


@dataclass(frozen=True)
class FrameSeries:
    """Images whose names differ in one number.

    Args:
        name: what is common to them, numbers that differ as `#`.
        paths: in the order of their numbers.
        numbers: of the frames, rising; None where names tell none.
        doubts: what may be wrong with them.
    """

    name: str
    paths: tuple[Path, ...]
    numbers: tuple[int, ...] | None = None
    doubts: tuple[Doubt, ...] = ()


def natural_key(path: Path) -> list[int | str]:
    """Sort key with numbers by value: frame 2 before frame 10."""
    return [int(part) if part.isdigit() else part.lower() for part in re.split(r"(\d+)", path.name)]


def looks_like_mask(name: str) -> bool:
    """Whether a name without suffix says that it is a mask."""
    return bool(MASK_WORDS.search(re.sub(r"\d+", "#", name).lower()))


def frame_series(
    folder: Path, paths: Sequence[Path], only: str | None = None, take_masks: bool = False
) -> tuple[list[FrameSeries], list[tuple[Path, str]]]:
    """The pullbacks that a folder's images are frames of, and the images that are none, with the reason.

    Args:
        folder: of the images, for messages.
        paths: of the images.
        only: regular expression; images whose names do not match are no frames.
        take_masks: names like `frame1_mask` count as any other.

    Raises:
        InputError: nothing matches; two series of names, neither of them masks; two images of one number.
    """
    chosen = _matching(folder, paths, only)
    left_out = [(path, f"its name does not match --frame_names {only}") for path in paths if path not in chosen]
    series = [found for named in _alike(chosen) for found in _by_number(named)]
    masks = [] if take_masks else [found for found in series if looks_like_mask(found.name)]
    frames = [found for found in series if found not in masks]
    if not frames:
        frames, masks = masks, []
    left_out += [(path, "its name says mask, not frame; --frame_names chooses") for m in masks for path in m.paths]
    several = [found for found in frames if len(found.paths) > 1]
    if not several and len(frames) > 1 and not any("#" in found.name for found in frames):
        told = Doubt("the names carry no numbers: frames are in the order of the names; rename them if that is wrong")
        several = [FrameSeries(folder.name, tuple(sorted(chosen, key=natural_key)), None, (told,))]
        frames = several
    if not several:
        return frames, left_out
    left_out += [(p, "one image of a series of its own") for one in frames if one not in several for p in one.paths]
    _check_one_kind(folder, several)
    if len(several) > 1:
        names = ", ".join(found.name for found in several[:4])
        each = "each is a pullback (--frame_names), all of one patient (--patient_from file makes each one)"
        told = Doubt(f"the folder holds {len(several)} series of numbers, {names}: {each}")
        several = [replace(found, doubts=(*found.doubts, told)) for found in several]
    if masks:
        told = Doubt(f"{sum(len(m.paths) for m in masks)} images named like masks ({masks[0].name}) are left out")
        several = [replace(found, doubts=(*found.doubts, Doubt(f"{told} (--frame_names)"))) for found in several]
    return several, left_out


def with_gaps(series: FrameSeries, gaps: str) -> tuple[list[FrameSeries], list[Path]]:
    """A series as it is, with a doubt where numbers are missing, or its runs without gaps; and what is in no run.

    Args:
        series: with or without numbers.
        gaps: one of `GAPS`.
    """
    numbers = series.numbers
    if numbers is None or len(numbers) < 2:
        return [series], []
    steps = [after - before for before, after in zip(numbers, numbers[1:], strict=False)]
    step = math.gcd(*steps)
    doubts = list(series.doubts)
    if step > 1:
        doubts.append(
            Doubt(f"frame numbers go in steps of {step}: the frame pitch must be that of the folder (--frame_pitch_mm)")
        )
    cuts = [k + 1 for k, found in enumerate(steps) if found > step]
    if cuts and gaps == "keep":
        told = [_told_gap(numbers[k - 1], numbers[k], step) for k in cuts[:_TOLD_GAPS]]
        told += [f"{len(cuts) - _TOLD_GAPS} more gaps"] if len(cuts) > _TOLD_GAPS else []
        line = f"frames are missing: {', '.join(told)}; those beside a gap count as neighbours, though they lie apart"
        doubts.append(Doubt(f"{line} (--gaps split makes each run without gaps a pullback)"))
    if not cuts or gaps == "keep":
        return [replace(series, doubts=tuple(doubts))], []
    runs = list(zip([0, *cuts], [*cuts, len(numbers)], strict=True))
    kept = [(a, b) for a, b in runs if b - a > 1]
    told = Doubt(f"frames are missing between {len(runs)} runs of numbers: each run is a pullback (--gaps keep)")
    found = [
        FrameSeries(f"{series.name}_{numbers[a]}-{numbers[b - 1]}", series.paths[a:b], numbers[a:b], (*doubts, told))
        for a, b in kept
    ]
    return found, [series.paths[a] for a, b in runs if b - a == 1]


def _told_gap(before: int, after: int, step: int) -> str:
    first, last = before + step, after - step
    return f"{first if first == last else f'{first} to {last}'} between {before} and {after}"


def _matching(folder: Path, paths: Sequence[Path], only: str | None) -> list[Path]:
    if only is None:
        return list(paths)
    try:
        chosen = [path for path in paths if re.search(only, path.name)]
    except re.error as error:
        raise InputError("--frame_names", f"is not an expression ({error})", "mend it") from error
    if not chosen:
        raise InputError(folder, f"has no image whose name matches --frame_names {only}", "mend the expression")
    return chosen


def _alike(paths: Sequence[Path]) -> list[list[Path]]:
    """Images whose names are alike but for numbers, in natural order."""
    found: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(paths, key=natural_key):
        found.setdefault((re.sub(r"\d+", "#", path.stem).lower(), path.suffix.lower()), []).append(path)
    return list(found.values())


def _by_number(paths: Sequence[Path]) -> list[FrameSeries]:
    """Series of which only one number runs, of names that are alike.

    Of several numbers that differ, the last counts frames and those before it tell pullbacks, unless each of those
    would have one frame: then a number that rises in even steps counts (names that hold a time besides).
    """
    tokens = [tuple(int(number) for number in re.findall(r"\d+", path.stem)) for path in paths]
    running = [k for k in range(len(tokens[0])) if len({token[k] for token in tokens}) > 1]
    if not running:
        if len(paths) > 1:
            fault = f"and {paths[1].name} have the same number"
            raise InputError(paths[0], fault, "rename or remove one of them")
        return [FrameSeries(paths[0].stem, tuple(paths))]
    groups: dict[tuple[int, ...], list[int]] = {}
    for k, token in enumerate(tokens):
        groups.setdefault(tuple(token[i] for i in running[:-1]), []).append(k)
    if all(len(group) == 1 for group in groups.values()):
        for column in reversed(running):
            numbers = [token[column] for token in tokens]
            if len(running) == 1 or _is_even(numbers):
                return [_series(paths, numbers, column)]
    return [_series([paths[k] for k in g], [tokens[k][running[-1]] for k in g], running[-1]) for g in groups.values()]


def _is_even(numbers: Sequence[int]) -> bool:
    steps = [after - before for before, after in zip(numbers, numbers[1:], strict=False)]
    return len(steps) > 1 and min(steps) > 0 and 2 * steps.count(min(steps)) >= len(steps)


def _series(paths: Sequence[Path], numbers: Sequence[int], column: int) -> FrameSeries:
    order = sorted(range(len(paths)), key=lambda k: numbers[k])
    for first, second in zip(order, order[1:], strict=False):
        if numbers[first] == numbers[second]:
            fault = f"and {paths[second].name} have the same number"
            raise InputError(paths[first], fault, "rename or remove one of them")
    parts = re.split(r"(\d+)", paths[0].stem)
    parts[2 * column + 1] = "#"
    name = "".join(parts) if len(paths) > 1 else paths[0].stem
    return FrameSeries(name, tuple(paths[k] for k in order), tuple(numbers[k] for k in order))


def _check_one_kind(folder: Path, series: Sequence[FrameSeries]) -> None:
    """Refuse series whose names differ in more than numbers: two pullbacks, or one of them drawn upon the other."""
    kinds = {}
    for found in series:
        kinds.setdefault((re.sub(r"\d+", "#", found.name), found.paths[0].suffix.lower()), found)
    if len(kinds) > 1:
        names = " and ".join(f"{found.name}{found.paths[0].suffix}" for found in list(kinds.values())[:3])
        remedy = "choose one with --frame_names (a regular expression), or give each pullback a folder"
        raise InputError(folder, f"mixes images of {len(kinds)} kinds of names, {names}", remedy)
