# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Slices with their segmentation: single ones at random to train a 2D segmenter on, whole stacks to test it on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from custom.data.augmented import Transform, augmented
from custom.data.stack_set import StackSet
from custom.errors import InputError
from custom.geometry import spacing_from_affine
from custom.metrics.clinical import voxel_volume_mm3
from custom.scans.labels import NUM_CLASSES, LabelSet, candidate_classes, known_classes, read_labels
from custom.scans.stacks import to_unit


class LabelledSliceDataset(Dataset):
    """Random slices: patient, stack, phase and slice are drawn for every index, each patient equally often.

    What index `i` gives depends on `(seed, i)` alone, the random transforms included. Any index from 0 up is valid;
    `len` only says how many make an epoch (`custom.data.windows.EpochWindowSampler`).

    Args:
        data: dictionaries with "image" and "label" (paths), "patient" and optionally "label_classes" (see
            `custom.scans.labels`), "slices" [start, stop) and "axis". Entries without "label" are left out.
        num_draws: slices in an epoch.
        transform: MONAI dictionary transforms of "image" `(1, H, W)` float32 in [0, 1] and "label" `(1, H, W)` uint8;
            they must bring all slices to one size, and give labels the nearest value.
        seed: of all draws.
        num_classes: background included.
        cache_gib: see `custom.data.frame_cache.ScanCache`.

    Raises:
        InputError: a stack is unusable, or no entry has a mask.
    """

    def __init__(
        self,
        data: Sequence[dict],
        num_draws: int,
        transform: Transform | None = None,
        seed: int = 0,
        num_classes: int = NUM_CLASSES,
        cache_gib: float = 4.0,
    ) -> None:
        labelled = _with_mask(data)
        self.stacks = StackSet(labelled, 0, cache_gib)
        self.labels = LabelSet(labelled, self.stacks.infos, num_classes)
        self.data, self.num_draws, self.seed, self.transform, self.cache_gib = (
            data,
            num_draws,
            seed,
            transform,
            cache_gib,
        )
        self.num_classes = num_classes
        patients = list(dict.fromkeys(self.stacks.patients))
        self._stacks_of = [[k for k, p in enumerate(self.stacks.patients) if p == patient] for patient in patients]

    def __len__(self) -> int:
        return self.num_draws

    def __getitem__(self, index: int) -> dict:
        """Slice `index`.

        Returns:
            "image" `(1, h, w)` in [0, 1]; "label" `(num_classes, h, w)` uint8, 1 for each class that a pixel may be
            (`custom.scans.labels.candidate_classes`); "patient" and "scan".
        """
        rng = np.random.default_rng([self.seed, index])
        of_patient = self._stacks_of[rng.integers(len(self._stacks_of))]
        stack = of_patient[rng.integers(len(of_patient))]
        info, usable = self.stacks.infos[stack], self.stacks.ranges[stack]
        place = usable[rng.integers(len(usable))], int(rng.integers(info.num_phases))
        image = to_unit(info, self.stacks.cache.whole(self.stacks.keys[stack])[place])
        label = self.labels.whole(stack)[place]
        item = {"image": torch.from_numpy(image)[None], "label": torch.from_numpy(label)[None]}
        item = augmented(self.transform, item, self.seed, index)
        labels = item["label"][0].round().numpy().astype(np.uint8)
        candidates = candidate_classes(labels, self.labels.known[stack], self.num_classes)
        return {
            "image": item["image"],
            "label": torch.from_numpy(candidates),
            "patient": self.stacks.patients[stack],
            "scan": self.stacks.name(stack, place[1]),
        }


class LabelledStackDataset(Dataset):
    """Whole stacks and cines with their segmentation: what a segmenter is tested on.

    Args:
        data: as :class:`LabelledSliceDataset`.
        slice_spacing_mm: of stacks that are denser, such as the phantom's truth, every so many slices are taken that
            come nearest to this spacing; None for all.
        phase_step: each so many phases of a cine.
        num_classes: background included.

    Raises:
        InputError: a stack is unusable, or no entry has a mask.
    """

    def __init__(
        self,
        data: Sequence[dict],
        slice_spacing_mm: float | None = 8.0,
        phase_step: int = 1,
        num_classes: int = NUM_CLASSES,
    ) -> None:
        labelled = _with_mask(data)
        self.stacks = StackSet(labelled, 0, cache_gib=0)
        self.known = [known_classes(entry, num_classes) for entry in labelled]
        self.paths = [entry["label"] for entry in labelled]
        self.slice_spacing_mm, self.phase_step, self.num_classes = slice_spacing_mm, phase_step, num_classes

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict:
        """Stack `index`.

        Returns:
            "image" `(N, T, H, W)` in [0, 1] and "label" of the same shape, uint8; "spacing_mm" along N, H and W;
            "voxel_mm3", "label_classes", "patient" and "scan".
        """
        info = self.stacks.infos[index]
        wanted = self.slice_spacing_mm or info.spacing_mm
        stride = max(1, round(wanted / info.spacing_mm))
        usable = self.stacks.ranges[index]
        picked = slice(usable.start, usable.stop, stride), slice(None, None, self.phase_step)
        spacing = spacing_from_affine(info.affine)
        in_plane = tuple(float(mm) for axis, mm in enumerate(spacing) if axis != info.axis)
        return {
            "image": torch.from_numpy(to_unit(info, self.stacks.cache.whole(self.stacks.keys[index])[picked])),
            "label": torch.from_numpy(read_labels(self.paths[index], info, self.num_classes)[picked]),
            "spacing_mm": (stride * info.spacing_mm, *in_plane),
            "voxel_mm3": stride * voxel_volume_mm3(info.affine),
            "label_classes": self.known[index],
            "patient": self.stacks.patients[index],
            "scan": self.stacks.name(index, None),
        }


def _with_mask(data: Sequence[dict]) -> list[dict]:
    """The entries that have a mask; InputError if none has."""
    labelled = [entry for entry in data if "label" in entry]
    if not labelled:
        where = data[0]["image"] if data else "datalist"
        raise InputError(where, "has no mask, nor has any other entry", 'name masks in the datalist as "label"')
    return labelled
