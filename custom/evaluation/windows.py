# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The test windows of the protocol, in groups that are scored apart: what `evaluate.json` calls `windows`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch.utils.data import Dataset

from custom.data.stack_set import StackSet
from custom.data.triplets import GridTripletDataset
from custom.data.windows import GridWindowDataset
from custom.errors import InputError, TooShort
from custom.geometry import SPACING_TOLERANCE

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WindowGroups:
    """Windows in groups.

    Attributes:
        main: factor -> windows of all test scans.
        dense: the same of stacks that have true slices between known ones; may be empty.
        sweep: fewer windows at the smallest factor, for a sweep over numbers of steps; may be empty.
        left_out: scan that took no part -> why.
    """

    main: Mapping[int, Dataset]
    dense: Mapping[int, Dataset] = field(default_factory=dict)
    sweep: Mapping[int, Dataset] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def groups(self) -> dict[str, Mapping[int, Dataset]]:
        """Folder of a group's results in those of the whole -> its windows."""
        return {"": self.main} | ({"dense": self.dense} if self.dense else {})

    @property
    def dataset(self) -> Dataset:
        """The windows of the largest factor, by the name that MONAI asks for."""
        return self.main[max(self.main)]


def stack_windows(
    data: Sequence[dict],
    phases: int = 0,
    phase_step: int = 1,
    crop_size: Sequence[int] | None = (128, 128),
    half_gap_mm: float = 8.0,
    max_windows_per_stack: int | None = None,
    dense_factors: Sequence[int] = (2, 4, 8),
    known_mm: float = 8.0,
    dense_windows_per_stack: int | None = None,
    sweep_windows_per_stack: int | None = None,
    seed: int = 0,
    labels: bool = False,
) -> WindowGroups:
    """CaLID's triplets, and windows of the stacks that are dense enough to have a truth at several factors.

    Args:
        data: entries of a datalist, see `custom.data.datalist.load_datalist`.
        phases: of the heart cycle in an item, see `GridTripletDataset`.
        phase_step: likewise.
        crop_size: (height, width) in pixels; None for whole planes.
        half_gap_mm: from the unknown slice to its known neighbours.
        max_windows_per_stack: at most so many triplets, evenly spread; None for all.
        dense_factors: steps between the known slices of dense stacks. The stacks that are dense enough for the largest
            factor that any of them is dense enough for take part.
        known_mm: distance of the known slices of dense stacks.
        dense_windows_per_stack: at most so many of their windows.
        sweep_windows_per_stack: at most so many triplets in a sweep over steps; None for no sweep.
        seed: of the choice of windows.
        labels: windows bring the labels of their slices where an entry names any.

    Raises:
        InputError: what the data sets say; no stack is long enough.
    """
    common = {"phases": phases, "phase_step": phase_step, "crop_size": crop_size, "seed": seed}
    triplets = {"gap": 2, "half_gap_mm": half_gap_mm, **common}
    # Held until the data sets are built: they then share its check of the files.
    stacks = StackSet(data, phases, 4.0)
    usable, left_out = _long_enough(data, lambda entries: GridTripletDataset(entries, **triplets))

    def windows(most: int | None) -> dict[int, Dataset]:
        return {2: GridTripletDataset(usable, **triplets, max_windows_per_stack=most, labels=labels)}

    spacings = {id(entry): info.spacing_mm for entry, info in zip(data, stacks.infos, strict=True)}
    factors, entries = _dense([(entry, spacings[id(entry)]) for entry in usable], known_mm, dense_factors)
    options = {"half_gap_mm": known_mm / 2, "max_windows_per_stack": dense_windows_per_stack, "labels": labels}
    dense = {factor: GridTripletDataset(entries, gap=factor, **options, **common) for factor in factors}
    sweep = {} if sweep_windows_per_stack is None else windows(sweep_windows_per_stack)
    return WindowGroups(windows(max_windows_per_stack), dense, sweep, left_out)


def pullback_windows(
    data: Sequence[dict],
    factors: Sequence[int] = (2, 4, 6),
    stride: int = 1,
    crop_size: Sequence[int] | None = (256, 256),
    max_windows_per_pullback: int | None = None,
    outer: bool = False,
    seed: int = 0,
) -> WindowGroups:
    """Gaps of several lengths, at the same places of the same pullbacks.

    Args:
        data: entries of a datalist, see `custom.data.datalist.load_datalist`.
        factors: steps between known frames.
        stride: frames per step.
        crop_size: (height, width) in pixels; None for whole frames.
        max_windows_per_pullback: at most so many gaps, evenly spread; None for all.
        outer: also give the known frames beyond the gap, for methods that read four.
        seed: of the places.

    Raises:
        InputError: what the data sets say; no pullback is long enough.
    """
    options = {"stride": stride, "crop_size": crop_size, "seed": seed, "outer": outer}
    usable, left_out = _long_enough(data, lambda entries: GridWindowDataset(entries, gap=max(factors), **options))
    options["max_windows_per_pullback"] = max_windows_per_pullback
    return WindowGroups({int(f): GridWindowDataset(usable, gap=int(f), **options) for f in factors}, left_out=left_out)


def _long_enough(data: Sequence[dict], build: Callable[[Sequence[dict]], Dataset]) -> tuple[list[dict], dict[str, str]]:
    """The scans that a window fits into, and those left out -> why."""
    usable, left_out, last = [], {}, None
    for entry in data:
        try:
            build([entry])
            usable.append(entry)
        except TooShort as error:
            left_out[error.path.name], last = error.fault, error
    if last is not None and not usable:
        raise InputError(last.path, last.fault, "no other test scan is longer: prepare longer ones") from last
    for name, fault in left_out.items():
        logger.warning("%s is left out: %s", name, fault)
    return usable, left_out


def _dense(
    entries: Sequence[tuple[dict[str, Any], float]], known_mm: float, factors: Sequence[int]
) -> tuple[list[int], list[dict]]:
    """The factors possible, and the stacks dense enough for the largest of them."""
    for factor in sorted(factors, reverse=True):
        limit = known_mm / factor * (1 + SPACING_TOLERANCE)
        chosen = [entry for entry, spacing in entries if spacing <= limit]
        if chosen:
            return [f for f in sorted(factors) if f <= factor], chosen
    return [], []
