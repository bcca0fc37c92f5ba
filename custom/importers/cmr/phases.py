# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The images at one place: phases of the heart cycle in order, or the same phases acquired again.

Times decide before series do: images of several series at one place are phases of one cine if their times differ as
phases do, and images of one series are two acquisitions if their times repeat.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from custom.importers.cmr.dicom import DicomImage

SAME_TIME_MS = 0.5
MIN_PHASE_MS = 10.0
"""Images of one place that are closer in time than this are no two phases of a heart, but two acquisitions."""
UNEVEN = 2.5
"""Phases of a cine are equally long; steps that differ by this factor are of something else."""
_ATTRIBUTES = {"trigger": "trigger_ms", "temporal": "temporal", "instance": "instance", "series": "number"}


def choose_clock(slices: Sequence[Sequence[DicomImage]], wanted: str = "auto") -> tuple[str, str | None]:
    """What tells the phases of a slice apart: trigger time, else temporal position, else instance number.

    Args:
        slices: the images at each position.
        wanted: one of `custom.importers.cmr.dicom_options.CLOCKS`.

    Returns:
        The clock, and a doubt about it to tell the user, or None.
    """
    if wanted != "auto":
        return wanted, None
    several = [part for part in slices if len(part) > 1]
    # Two images of one stated time are as likely the same image twice.
    pairs = bool(several) and max(map(len, several)) == 2
    for clock in ("trigger", "temporal"):
        values = [[time_of(image, clock) for image in part] for part in slices]
        if any(value is None for part in values for value in part):
            continue
        if not several or any(len(set(part)) > 1 for part in values):
            return clock, None
    stated = {image.trigger_ms for part in several for image in part} - {0.0}
    if None in stated:
        return "instance", "not all images state a trigger time: ordered by InstanceNumber" if len(stated) > 1 else None
    if stated and pairs:
        return "trigger", None
    if stated:
        times = f"{min(stated):g}" if len(stated) == 1 else f"{min(stated):g} to {max(stated):g}"
        return "instance", f"all phases of a slice state the same trigger time ({times} ms): ordered by InstanceNumber"
    return "instance", None


def time_of(image: DicomImage, clock: str) -> float | None:
    """When an image is in the heart cycle, in units of the clock."""
    return getattr(image, _ATTRIBUTES[clock])


def acquisitions(images: Sequence[DicomImage], clock: str) -> list[list[DicomImage]]:
    """The images at one place, told apart by acquisition, in the order of acquisition.

    Args:
        images: of one place.
        clock: of :func:`choose_clock`.

    Returns:
        One list if the images are phases of one acquisition; else one for each time that the place was acquired.
    """
    images = sorted(images, key=lambda image: image.acquired)
    units = _by(images, lambda image: image.series_key)
    if len(units) == len(images) or clock == "series":
        # A series for each image says nothing: phases, if their times differ.
        return [images] if _are_phases(units, clock) else units
    if len(units) > 1:
        return [images] if _are_apart(units, clock) else units
    keys = [lambda image: image.acquired[1], lambda image: image.acquired[2]]
    for key in keys[: 1 if clock == "instance" else 2]:
        runs = _by(images, key)
        if len(runs) > 1 and _repeat(runs, clock):
            return runs
    runs = _falls(images, clock)
    if len(runs) > 1 and _repeat(runs, clock):
        return runs
    return _entwined(images, clock) or [images]


def are_distinct(images: Sequence[DicomImage], clock: str) -> bool:
    """Whether no two images of one place have the same time."""
    times = [time_of(image, clock) for image in images]
    if any(time is None for time in times):
        return False
    return len(times) == 1 or bool(np.diff(sorted(times)).min() > (SAME_TIME_MS if clock == "trigger" else 0))


def _by(images: Sequence[DicomImage], key: Callable) -> list[list[DicomImage]]:
    found: dict = {}
    for image in images:
        found.setdefault(key(image), []).append(image)
    return list(found.values())


def _are_phases(units: Sequence[Sequence[DicomImage]], clock: str) -> bool:
    """Whether single images of several series are phases of one cine: each has a time of its own."""
    times = sorted(time_of(unit[0], clock) or 0 for unit in units)
    least = MIN_PHASE_MS if clock == "trigger" else 1
    return len(times) == 1 or bool(np.diff(times).min() >= least)


def _are_apart(units: Sequence[Sequence[DicomImage]], clock: str) -> bool:
    """Whether units cover different parts of the heart cycle: then they are one acquisition in pieces."""
    if clock not in ("trigger", "temporal"):
        return False
    if all(len(unit) == 1 for unit in units):
        return _are_phases(units, clock)
    spans = sorted((min(times), max(times)) for times in ([time_of(i, clock) for i in unit] for unit in units))
    least = MIN_PHASE_MS if clock == "trigger" else 1
    return all(after[0] - before[1] >= least for before, after in zip(spans, spans[1:], strict=False))


def _repeat(runs: Sequence[Sequence[DicomImage]], clock: str) -> bool:
    """Whether runs of one series go over the heart cycle again, rather than on."""
    if clock == "instance":
        # Nothing says when in the cycle: twice the same number of images is twice the same, one image each is a cine.
        return len({len(run) for run in runs}) == 1 and len(runs[0]) > 1
    if any(time_of(image, clock) is None for run in runs for image in run):
        return False
    spans = sorted((min(times), max(times)) for times in ([time_of(i, clock) for i in run] for run in runs))
    if all(len(run) == 1 for run in runs):
        return clock == "trigger" and all(b[0] - a[0] < MIN_PHASE_MS for a, b in zip(spans, spans[1:], strict=False))
    return min(map(len, runs)) > 1 and any(b[0] < a[1] for a, b in zip(spans, spans[1:], strict=False))


def _falls(images: Sequence[DicomImage], clock: str) -> list[list[DicomImage]]:
    """Images in the order of InstanceNumber, a new run wherever the time falls."""
    if clock not in ("trigger", "temporal"):
        return [list(images)]
    runs: list[list[DicomImage]] = []
    for image in sorted(images, key=lambda image: image.instance):
        if not runs or (time_of(image, clock) or 0) < (time_of(runs[-1][-1], clock) or 0):
            runs.append([])
        runs[-1].append(image)
    return runs


def _entwined(images: Sequence[DicomImage], clock: str) -> list[list[DicomImage]]:
    """Runs whose images alternate: trigger times in tufts of equal size, which no heart has as phases; [] if not so."""
    if clock != "trigger" or len(images) < 4:
        return []
    ordered = sorted(images, key=lambda image: image.trigger_ms or 0)
    steps = np.diff([image.trigger_ms or 0 for image in ordered])
    starts = np.flatnonzero(steps >= MIN_PHASE_MS) + 1
    tufts = [part.tolist() for part in np.split(np.arange(len(ordered)), starts)]
    sizes = {len(tuft) for tuft in tufts}
    if len(tufts) < 2 or len(sizes) > 1 or sizes == {1}:
        return []
    by_acquisition = [sorted((ordered[k] for k in tuft), key=lambda image: image.acquired) for tuft in tufts]
    return [list(run) for run in zip(*by_acquisition, strict=True)]


def phase_ms(slices: Sequence[Sequence[DicomImage]]) -> float | None:
    """Median step of trigger times; None with one phase or without times."""
    steps = _steps(slices)
    return float(np.median(steps)) if len(steps) else None


def uneven_slice(slices: Sequence[Sequence[DicomImage]]) -> tuple[int, list[float]] | None:
    """The first slice whose trigger times do not step as those of a cine do, and its times; None if all do.

    The steps of a slice agree among themselves and, since the heart does not change its rate by much more than a half
    between two breath-holds, with those of the other slices.
    """
    steps = _steps(slices)
    if not len(steps):
        return None
    usual = float(np.median(steps))
    for k, part in enumerate(slices):
        times = [float(image.trigger_ms) for image in part]
        own = np.diff(times)
        if len(own) and not (usual / UNEVEN < own.min() and own.max() < usual * UNEVEN):
            return k, times
    return None


def disordered_slices(slices: Sequence[Sequence[DicomImage]]) -> list[int]:
    """Slices in which instance numbers do not rise with the phases although they do in most others."""
    rising = [bool(np.all(np.diff([image.instance for image in part]) > 0)) for part in slices]
    falling = [bool(np.all(np.diff([image.instance for image in part]) < 0)) for part in slices]
    usual = rising if sum(rising) >= sum(falling) else falling
    if Counter(usual)[True] < max(2, 2 * len(slices) / 3):
        return []
    return [k for k, is_usual in enumerate(usual) if not is_usual]


def _steps(slices: Sequence[Sequence[DicomImage]]) -> np.ndarray:
    if any(image.trigger_ms is None for part in slices for image in part):
        return np.zeros(0)
    return np.array([step for part in slices for step in np.diff([image.trigger_ms for image in part])])
