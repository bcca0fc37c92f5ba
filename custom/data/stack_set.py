# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The stacks of a datalist, and what is cut from them: slices and phases at given places of the plane."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from custom.data.frame_cache import shared_stack_cache
from custom.data.sizes import distances, whole_number
from custom.errors import InputError, TooShort
from custom.geometry import SPACING_TOLERANCE
from custom.scans.nifti import stem
from custom.scans.scan import Scan
from custom.scans.stacks import to_unit


class StackSet:
    """The stacks of a datalist with the slices of each that may be used, and windows cut from them.

    Args:
        datalist: dictionaries with "image" (path), "patient" and optionally "slices" [start, stop) and "axis", the
            through-plane array axis where it is not the one of largest spacing.
        phases: of the heart cycle in an item; 0 for one without a phase axis.
        cache_gib: see `custom.data.frame_cache.ScanCache`.

    Raises:
        InputError: a stack is unusable, or has one phase where several are asked for; a number of phases that is none.
    """

    def __init__(self, datalist: Sequence[dict], phases: int, cache_gib: float) -> None:
        whole_number("--phases", phases, 0)
        if not datalist:
            raise ValueError("The datalist has no stacks.")
        self.keys = [(Path(item["image"]), item.get("axis")) for item in datalist]
        self.cache = shared_stack_cache(self.keys, cache_gib)
        self.infos: list[Scan] = [self.cache.info(key) for key in self.keys]
        self.patients = [str(item["patient"]) for item in datalist]
        self.ranges = [
            range(info.num_slices)[slice(*item.get("slices", (None,)))]
            for info, item in zip(self.infos, datalist, strict=True)
        ]
        for info in self.infos:
            if phases and info.num_phases == 1:
                raise InputError(info.path, "has one phase only", "give a 4D cine, or use the 2D bundle")

    def require_slices(self, stack: int, count: int, why: str) -> None:
        """Raises TooShort if a stack has fewer than `count` usable slices."""
        if len(self.ranges[stack]) < count:
            fault = f"{len(self.ranges[stack])} usable slices, {why} needs {count}"
            raise TooShort(self.infos[stack].path, fault, "remove it from the datalist or widen its slice range")

    def fitting_strides(self, half_gaps_mm: Sequence[float], steps: int, why: str) -> list[list[int]]:
        """Of each stack the strides that lead from a slice to one at a distance, see `RandomTripletDataset`.

        Args:
            half_gaps_mm: least and most distance; a stack in which no multiple of its spacing fits gets stride 1.
            steps: how many of a stride a stack must hold.
            why: so many, for the message.

        Raises:
            InputError: distances that are none, or that fit no stack; a stack with fewer than `steps + 1` slices.
        """
        least, most = distances("--half_gaps_mm", half_gaps_mm)
        least, most = least * (1 - SPACING_TOLERANCE), most * (1 + SPACING_TOLERANCE)
        found = []
        for stack, info in enumerate(self.infos):
            self.require_slices(stack, steps + 1, why)
            longest = (len(self.ranges[stack]) - 1) // steps
            found.append([k for k in range(1, longest + 1) if least <= k * info.spacing_mm <= most])
        if not any(found):
            near = min(info.spacing_mm for info in self.infos)
            fault = f"is {list(half_gaps_mm)}, and no stack has slices at such a distance"
            remedy = f"the nearest are {near:.3g} mm apart: give a range that holds this"
            raise InputError("--half_gaps_mm", fault, remedy)
        return [strides or [1] for strides in found]

    def cut(
        self, stack: int, slices: Sequence[int], phases: Sequence[int], rows: np.ndarray, columns: np.ndarray
    ) -> np.ndarray:
        """Slices and phases `(L, n, len(rows), len(columns))` in [0, 1] at the given pixels.

        Pixels outside the plane replicate its edge. The same ones serve all slices and phases, so they stay aligned.
        """
        volume = self.cache.whole(self.keys[stack])
        places = (at.clip(0, length - 1) for at, length in zip((rows, columns), volume.shape[2:], strict=True))
        # Only what is looked at becomes float.
        return to_unit(self.infos[stack], volume[np.ix_(slices, phases, *places)])

    def planes(self, stack: int, slices: Sequence[int], phases: Sequence[int]) -> np.ndarray:
        """Whole planes `(L, n, H, W)` in [0, 1]."""
        return to_unit(self.infos[stack], self.cache.whole(self.keys[stack])[np.ix_(slices, phases)])

    def name(self, stack: int, phase: int | None) -> str:
        """File stem of a stack, with the phase if the item is one phase of a cine."""
        name = stem(self.infos[stack].path)
        return name if phase is None or self.infos[stack].num_phases == 1 else f"{name}_t{phase:02d}"


def cyclic_phases(num_phases: int, count: int, start: int) -> np.ndarray:
    """`count` phases from `start` on, around the cycle; spread evenly over it where it has more."""
    steps = np.arange(count)
    if num_phases > count:
        steps = steps * num_phases // count
    return (start + steps) % num_phases


def as_item(values: np.ndarray, phases: int) -> torch.Tensor:
    """`(L, n, h, w)` as `(L, 1, n, h, w)`, or as `(L, 1, h, w)` where there is one phase and no phase axis."""
    return torch.from_numpy(np.ascontiguousarray(values[:, None] if phases else values))
