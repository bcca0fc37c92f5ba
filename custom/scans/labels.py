# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Segmentations of short-axis stacks: read on the grid of their image, cut like it, and what a mask leaves open.

Classes are those of `CmrLabel`. A datalist entry names the mask of its image ("label") and,
where the mask draws some structures only, which ones ("label_classes", e.g. [1]): all else in it may be background or
any of the others. Without "label_classes" a mask knows all classes.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path

import numpy as np

from custom.errors import InputError
from custom.scans.header_repair import COPY_AGAIN
from custom.scans.nifti import open_nifti
from custom.scans.scan import Scan


class CmrLabel(IntEnum):
    """Numbers in a mask, as in ACDC: the wall of the right ventricle and everything above the valves is background.

    Papillary muscles and trabeculae of the left ventricle belong to the cavity, as clinical contours draw it.
    """

    BACKGROUND = 0
    LV_CAVITY = 1
    MYOCARDIUM = 2
    RV_CAVITY = 3


CLASS_NAMES: dict[int, str] = {
    int(CmrLabel.LV_CAVITY): "LV cavity",
    int(CmrLabel.MYOCARDIUM): "myocardium",
    int(CmrLabel.RV_CAVITY): "RV cavity",
}
"""Structures by their number in a mask; 0 is background."""
NUM_CLASSES = 1 + len(CLASS_NAMES)
MASK_NUMBERS: dict[str, dict[int, int]] = {
    "ours": {1: 1, 2: 2, 3: 3},
    "mnms": {1: 1, 2: 2, 3: 3},
    "acdc": {3: 1, 2: 2, 1: 3},
    "lv_cavity": {1: 1},
}
"""How sets number the structures of their masks: set -> number there -> number here."""
_REMEDY = "draw it on the grid of its image, with the numbers 0 background, 1 LV cavity, 2 myocardium, 3 RV cavity"


def read_labels(path: str | Path, image: Scan, num_classes: int = NUM_CLASSES) -> np.ndarray:
    """The mask of a stack or cine, sliced as its image is.

    Args:
        path: NIfTI of the image's shape and affine.
        image: the image.
        num_classes: background included.

    Returns:
        `(N, T, H, W)` uint8, values below `num_classes`.

    Raises:
        InputError: another grid than the image's, values that are no classes, or not readable.
    """
    path = Path(path)
    mask = open_nifti(path, "save it as NIfTI (.nii.gz)", mend=True)
    shape = tuple(mask.shape) + (1,) * (len(image.shape) - mask.ndim)
    if shape[: len(image.shape)] != image.shape or any(n > 1 for n in shape[len(image.shape) :]):
        raise InputError(path, f"has shape {mask.shape}, its image {image.shape}", _REMEDY)
    if not np.allclose(mask.affine, image.affine, atol=1e-2):
        raise InputError(path, "lies elsewhere than its image: the affines differ", _REMEDY)
    try:
        values = np.asarray(mask.dataobj)
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise InputError(path, "cannot be read to its end", COPY_AGAIN) from error
    with np.errstate(invalid="ignore"):  # NaN differs from whatever it becomes
        labels = values.astype(np.uint8) if values.dtype.kind in "iufb" else None
    if labels is None or not np.array_equal(labels, values) or labels.max() >= num_classes:
        raise InputError(path, f"has values other than 0 to {num_classes - 1}", _REMEDY)
    labels = labels.reshape(*image.shape[:3], image.num_phases)
    return np.ascontiguousarray(np.moveaxis(labels, (image.axis, 3), (0, 1)))


def mask_numbers(numbering: str) -> dict[int, int]:
    """Number in a mask -> structure here, from the name of a set or from pairs such as "3=1,2=2".

    Raises:
        InputError: neither a known set nor pairs of numbers of which the second is a structure.
    """
    if numbering in MASK_NUMBERS:
        return MASK_NUMBERS[numbering]
    pairs = [pair.split("=") for pair in numbering.split(",")]
    try:
        numbers = {int(theirs): int(ours) for theirs, ours in pairs}
    except ValueError:
        numbers = {}
    if not numbers or not set(numbers.values()) <= set(CLASS_NAMES) or 0 in numbers:
        remedy = f"choose from {', '.join(MASK_NUMBERS)}, or give pairs theirs=ours such as 3=1,2=2,1=3"
        raise InputError("--masks", f"is {numbering}", remedy)
    return numbers


def renumbered(labels: np.ndarray, numbers: Mapping[int, int]) -> np.ndarray:
    """A mask with other numbers, uint8; values that `numbers` does not have become background."""
    result = np.zeros(labels.shape, np.uint8)
    for theirs, ours in numbers.items():
        result[labels == theirs] = ours
    return result


def known_classes(entry: Mapping[str, object], num_classes: int = NUM_CLASSES) -> tuple[int, ...]:
    """The structures that the mask of a datalist entry draws; all of them unless it says otherwise.

    Raises:
        InputError: "label_classes" names what is no structure.
    """
    known = tuple(sorted({int(k) for k in entry.get("label_classes", range(1, num_classes))}))
    if not known or known[0] < 1 or known[-1] >= num_classes:
        fault = f'"label_classes" {list(known)} are not among 1 to {num_classes - 1}'
        raise InputError(str(entry.get("label")), fault, "mend the datalist")
    return known


def candidate_classes(labels: np.ndarray, known: Sequence[int], num_classes: int = NUM_CLASSES) -> np.ndarray:
    """Which classes each pixel may be: one where the mask tells, several where it leaves the matter open.

    Args:
        labels: any shape, values below `num_classes`.
        known: structures that the mask draws, see :func:`known_classes`.
        num_classes: background included.

    Returns:
        `(num_classes, *labels.shape)` uint8 of 0 and 1.
    """
    open_classes = [k for k in range(num_classes) if k not in known]  # background among them
    candidates = np.stack([labels == k for k in range(num_classes)])
    undecided = candidates[open_classes].any(0)
    candidates[open_classes] = undecided
    return candidates.astype(np.uint8)


def cut_labels(
    labels: np.ndarray, slices: Sequence[int], phases: Sequence[int], rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """As `custom.data.stack_set.StackSet.cut` for masks: the nearest pixel, the edge replicated outside the plane.

    Args:
        labels: `(N, T, H, W)`.
        slices: indices of the first axis.
        phases: indices of the second.
        rows: coordinates in pixels.
        columns: coordinates in pixels.

    Returns:
        `(len(slices), len(phases), len(rows), len(columns))`.
    """
    places = [
        np.rint(coordinates).astype(int).clip(0, length - 1)
        for coordinates, length in zip((rows, columns), labels.shape[2:], strict=True)
    ]
    return labels[np.ix_(slices, phases, *places)]


class LabelSet:
    """The masks of a datalist, each read at first use and kept.

    Args:
        data: entries, "label" being optional in each.
        infos: their images.
        num_classes: background included.

    Raises:
        InputError: an entry names classes that are none.
    """

    def __init__(self, data: Sequence[Mapping], infos: Sequence[Scan], num_classes: int = NUM_CLASSES) -> None:
        self.paths = [entry.get("label") for entry in data]
        self.known = [known_classes(entry, num_classes) for entry in data]
        self._infos, self._num_classes = infos, num_classes
        self._held: dict[int, np.ndarray] = {}

    def whole(self, stack: int) -> np.ndarray:
        """Mask `(N, T, H, W)` of an entry that has one; see :func:`read_labels`."""
        if stack not in self._held:
            self._held[stack] = read_labels(self.paths[stack], self._infos[stack], self._num_classes)
        return self._held[stack]
