# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Triplets and longer windows of slices cut from short-axis stacks: random ones to train on, fixed ones to test on.

A window is `gap + 1` slices at equal distances, of which the first and the last are known. With `phases=0` a window
shows one phase of the heart cycle, `(gap + 1, 1, h, w)`; with `phases=n` it shows n phases, `(gap + 1, 1, n, h, w)`.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from custom.data.augmented import Transform, augmented, cropped
from custom.data.outer import with_outer
from custom.data.sizes import plane_size, whole_number
from custom.data.stack_set import StackSet, as_item, cyclic_phases
from custom.scans.labels import LabelSet, cut_labels
from custom.scans.nifti import stem
from custom.switches import is_on


class RandomTripletDataset(Dataset):
    """Random training triplets: patient, stack, distance, place, phase, changes and crop are drawn for every index.

    What index `i` gives depends on `(seed, i)` alone, so a training that goes on after a kill sees the triplets it
    would have seen (`custom.data.augmented`). Any index from 0 up is valid; `len` only says how many make an epoch
    (`custom.data.windows.EpochWindowSampler`). Each patient is drawn equally often, however many stacks, slices and
    phases there are of it, and each stack of a patient as often as the others.

    Args:
        data: dictionaries with "image" (path), "patient" and optionally "slices" [start, stop) and "axis", the
            through-plane array axis where it is not the one of largest spacing. All arguments are kept under their
            names, as in the other data sets of random draws: `custom.training.stage_record` tells by them.
        num_draws: triplets in an epoch.
        phases: of the heart cycle in an item. 0: one, drawn at random, without a phase axis. n: consecutive ones around
            the cycle from a random start; n spread evenly over the cycle where it has more.
        half_gaps_mm: least and most distance between neighbouring slices of a triplet. A stack in which no multiple of
            its spacing fits is read slice by slice.
        crop_size: (height, width) in pixels, cut at random after the transform. Smaller planes are centred in it, their
            edges replicated. None for whole planes.
        transform: MONAI dictionary transforms of "image" `(C, H, W)`: whole planes in [0, 1], the slices in order, each
            with its phases ("phases" of them), those of "outer" at either end. What MONAI draws once for all channels,
            as its spatial transforms do, treats them alike.
        seed: of all draws.
        outer: also give the known slices beyond the two neighbours, for methods that read four.
        uneven: the slice in the middle lies anywhere between its neighbours, where a stack is dense enough, and not
            only halfway.
        cache_gib: see `custom.data.frame_cache.ScanCache`.

    Raises:
        InputError: a stack is unusable, has fewer than three usable slices, or one phase where several are asked for;
            distances that no stack has.
    """

    def __init__(
        self,
        data: Sequence[dict],
        num_draws: int,
        phases: int = 0,
        half_gaps_mm: Sequence[float] = (2.0, 10.5),
        crop_size: Sequence[int] | None = (128, 128),
        transform: Transform | None = None,
        seed: int = 0,
        outer: bool = False,
        uneven: bool = False,
        cache_gib: float = 4.0,
    ) -> None:
        self.stacks = StackSet(data, phases, cache_gib)
        self.data, self.num_draws, self.seed, self.transform, self.cache_gib = (
            data,
            num_draws,
            seed,
            transform,
            cache_gib,
        )
        self.phases, self.half_gaps_mm = phases, half_gaps_mm
        self.crop_size = plane_size("--crop_size", crop_size)
        self.outer, self.uneven = outer, is_on(uneven)
        self._strides = self.stacks.fitting_strides(half_gaps_mm, 2, "a triplet")
        patients = list(dict.fromkeys(self.stacks.patients))
        self._stacks_of = [[k for k, p in enumerate(self.stacks.patients) if p == patient] for patient in patients]

    def __len__(self) -> int:
        return self.num_draws

    def __getitem__(self, index: int) -> dict:
        """Triplet `index`.

        Returns:
            "image" `(3, 1, [n,] h, w)` in [0, 1], "stride", "half_gap_mm", "first" (index of a slice), "patient",
            "scan" and, if asked for, "outer" as `GridTripletDataset` gives it; with `uneven` also "positions" `(3,)` of
            the slices, from 0 to 1.
        """
        rng = np.random.default_rng([self.seed, index])
        of_patient = self._stacks_of[rng.integers(len(self._stacks_of))]
        stack = of_patient[rng.integers(len(of_patient))]
        info, usable = self.stacks.infos[stack], self.stacks.ranges[stack]
        stride = int(rng.choice(self._strides[stack]))
        first = usable.start + int(rng.integers(len(usable) - 2 * stride))
        start = int(rng.integers(info.num_phases))
        places = rng.random(2)

        slices = with_outer(first, 2, stride, usable)
        middle = int(rng.integers(1, 2 * stride)) if self.uneven else stride
        slices[2] = first + middle
        slices = slices if self.outer else slices[1:-1]
        picked = cyclic_phases(info.num_phases, self.phases, start) if self.phases else [start]
        planes = torch.from_numpy(self.stacks.planes(stack, slices, picked)).flatten(0, 1)
        item = {"image": planes, "phases": len(picked), "positions": torch.tensor([0, middle / (2 * stride), 1])}
        item = augmented(self.transform, item, self.seed, index)
        image = cropped(item["image"], self.crop_size, places).unflatten(0, (len(slices), len(picked)))
        image = image[:, None] if self.phases else image
        return {
            "image": image[1:-1] if self.outer else image,
            **({"outer": image[[0, -1]]} if self.outer else {}),
            **({"positions": item["positions"]} if self.uneven else {}),
            "stride": stride,
            "half_gap_mm": stride * info.spacing_mm,
            "first": first,
            "patient": self.stacks.patients[stack],
            "scan": self.stacks.name(stack, None if self.phases else start),
        }


class GridTripletDataset(Dataset):
    """Fixed windows for validation and test, one centred crop per stack (B18).

    Triplets (`gap=2`) start at every slice, so that every inner slice is asked for once (B20); longer windows follow
    each other, the last slice of one being the first of the next.

    Args:
        data: as :class:`RandomTripletDataset`, optionally with "centre" [y, x] of the crop in pixels; the middle of the
            plane by default.
        gap: slice steps between the two known slices, of which `gap - 1` slices are unknown.
        half_gap_mm: distance from the middle of a window to its known slices. Each stack gets the stride that comes
            nearest. None: `stride` for all.
        stride: slices per step.
        phases: of the heart cycle in an item. 0: one, each `phase_step`-th phase of a cine being an item of its own. n:
            n phases from phase 0 on, as :class:`RandomTripletDataset` takes them.
        phase_step: see `phases`.
        crop_size: (height, width) in pixels, moved inside the plane where it sticks out; a smaller plane is centred in
            it, its edges replicated. None for whole planes.
        max_windows_per_stack: at most this many items, spread evenly over the slices and phases of a stack; None for
            all.
        seed: of the choice that `max_windows_per_stack` makes, once per file name.
        labels: also give the segmentation of stacks whose entry names one, see `custom.scans.labels`.
        cache_gib: see `custom.data.frame_cache.ScanCache`.

    Raises:
        InputError: a stack is unusable, shorter than a gap, or has one phase where several are asked for.
    """

    def __init__(
        self,
        data: Sequence[dict],
        gap: int = 2,
        half_gap_mm: float | None = None,
        stride: int = 1,
        phases: int = 0,
        phase_step: int = 1,
        crop_size: Sequence[int] | None = (128, 128),
        max_windows_per_stack: int | None = None,
        seed: int = 0,
        labels: bool = False,
        cache_gib: float = 4.0,
    ) -> None:
        self.stacks = StackSet(data, phases, cache_gib)
        self.labels = LabelSet(data, self.stacks.infos) if labels else None
        self.gap, self.phases = gap, phases
        self.crop_size = plane_size("--crop_size", crop_size)
        if max_windows_per_stack is not None:
            whole_number("--val_windows, in evaluation --max_windows_per_stack", max_windows_per_stack)
        self.strides: list[int] = []
        self.corners: list[tuple[int, int]] = []
        self.windows: list[tuple[int, int, int]] = []  # (stack, first slice, phase)
        for stack, (info, item) in enumerate(zip(self.stacks.infos, data, strict=True)):
            if half_gap_mm is not None:
                # Of two equally near strides the smaller: rounding half down.
                stride = max(1, int(np.ceil(half_gap_mm / (gap / 2 * info.spacing_mm) - 0.5)))
            self.stacks.require_slices(stack, gap * stride + 1, f"a gap of {gap} at stride {stride}")
            self.strides.append(stride)
            self.corners.append(_centred_corner(info.plane, self.crop_size, item.get("centre")))
            usable = self.stacks.ranges[stack]
            firsts = range(usable.start, usable.stop - gap * stride, 1 if gap == 2 else gap * stride)
            starts = [0] if phases else range(0, info.num_phases, phase_step)
            windows = [(stack, first, phase) for first in firsts for phase in starts]
            if max_windows_per_stack is not None and max_windows_per_stack < len(windows):
                # One at random of each of equally long runs: an even step could meet the same phase again and again.
                rng = np.random.default_rng([seed, zlib.crc32(stem(info.path).encode())])
                windows = [
                    windows[rng.choice(run)] for run in np.array_split(range(len(windows)), max_windows_per_stack)
                ]
            self.windows += windows

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> dict:
        """Window `index`.

        Returns:
            "image" `(gap + 1, 1, [n,] h, w)` in [0, 1]; "outer" `(2, 1, [n,] h, w)`, the known slices before and after
            those two, at the same distance, replicated at the ends of the stack; "patient", "scan", "first", "stride",
            "half_gap_mm" and "crop" (y, x), negative where the plane is smaller than the crop, None for whole planes.
            With `labels` and a mask also "label" `(gap + 1, 1, [n,] h, w)` uint8 and "label_classes", the structures
            that the mask knows.
        """
        stack, first, phase = self.windows[index]
        info, usable, stride = self.stacks.infos[stack], self.stacks.ranges[stack], self.strides[stack]
        phases = cyclic_phases(info.num_phases, self.phases, phase) if self.phases else [phase]
        size = self.crop_size or info.plane
        rows, columns = (np.arange(c, c + n) for c, n in zip(self.corners[stack], size, strict=True))
        slices = with_outer(first, self.gap, stride, usable)
        image = self.stacks.cut(stack, slices, phases, rows, columns)
        labels = {}
        if self.labels is not None and self.labels.paths[stack] is not None:
            label = cut_labels(self.labels.whole(stack), slices[1:-1], phases, rows, columns)
            labels = {"label": as_item(label, self.phases), "label_classes": self.labels.known[stack]}
        return {
            "image": as_item(image[1:-1], self.phases),
            "outer": as_item(image[[0, -1]], self.phases),
            "patient": self.stacks.patients[stack],
            "scan": self.stacks.name(stack, None if self.phases else phase),
            "first": first,
            "stride": stride,
            "half_gap_mm": self.gap / 2 * stride * info.spacing_mm,
            "crop": self.corners[stack] if self.crop_size else None,
            **labels,
        }


def _centred_corner(
    plane: Sequence[int], crop: Sequence[int] | None, centre: Sequence[float] | None
) -> tuple[int, int]:
    if crop is None:
        return 0, 0
    y, x = centre if centre is not None else (plane[0] // 2, plane[1] // 2)
    corners = []
    for at, length, edge in zip((y, x), plane, crop, strict=True):
        corner = round(at) - edge // 2
        corners.append(min(max(corner, 0), length - edge) if edge <= length else length // 2 - edge // 2)
    return corners[0], corners[1]
