# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The images of a derived MR series: one for each slice and phase of a dense stack, acquired ones as they came."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from custom.errors import InputError
from custom.exporters.derived import (
    OTHER_SCAN,
    DerivedSeries,
    burn_in,
    decimals,
    mark,
    name_instance,
    new_uid,
    reference,
    spacing_between,
    stored_pixels,
)
from custom.importers.cmr.dicom import DicomImage
from custom.importers.cmr.dicom_pixels import decode_image
from custom.importers.cmr.slices import SortedStack
from custom.importers.dicom_files import open_dicom

_BETWEEN = ("TriggerTime", "SliceLocation")
"""Numbers of a synthetic image that lie between those of its neighbours; missing where one of them has none."""


def mr_images(
    volume: Path, physical: np.ndarray, stack: SortedStack, series: DerivedSeries, burnt_in: bool = False
) -> Iterator[Dataset]:
    """The images of a derived series, slice after slice and in each phase after phase.

    Acquired slices have the header, position, time and pixels of their image. A synthetic slice has the header of the
    nearest of its two neighbours (the first, midway); its position, trigger time and slice location lie between
    theirs. SpacingBetweenSlices is that of the dense stack, SliceThickness stays the acquired one: interpolation makes
    slices denser, not thinner.

    Args:
        volume: the dense stack's file, for messages.
        physical: `(M, T, columns, rows)`, its values with slope and offset applied.
        stack: the acquired images, `N` slices of `T` phases; `M` is (N - 1) factor + 1.
        series: that they become.
        burnt_in: write the word SYNTHETIC into the pixels of synthetic images.

    Yields:
        Data sets with file meta information, ready to be saved.

    Raises:
        InputError: an acquired slice of the volume differs from its DICOM image.
    """
    spacing = spacing_mm(stack)
    for k in range(len(physical)):
        gap, step = divmod(k, series.factor)
        for t, first in enumerate(stack.images[gap]):
            values = physical[k, t].T
            if step == 0:
                dataset = _acquired(volume, values, first, k, t)
            else:
                fraction, last = step / series.factor, stack.images[gap + 1][t]
                dataset = _synthetic(values, first, last, fraction, burnt_in)
                told = series.told(fraction, spacing)
                mark(dataset, [reference(dataset.SOPClassUID, image.sop) for image in (first, last)], told)
            series.describe(dataset)
            dataset.pop("PerFrameFunctionalGroupsSequence", None)  # some archives leave an empty one
            dataset.SpacingBetweenSlices = spacing_between(spacing, series.factor)
            dataset.InstanceNumber = k * len(stack.images[gap]) + t + 1
            name_instance(dataset, new_uid(series.uid, str(dataset.InstanceNumber)))
            yield dataset


def spacing_mm(stack: SortedStack) -> float:
    """Distance between neighbouring acquired slices along their normal."""
    return float(stack.depths[-1] - stack.depths[0]) / (len(stack.depths) - 1)


def _acquired(volume: Path, values: np.ndarray, image: DicomImage, k: int, t: int) -> Dataset:
    dataset, pixels = decode_image(image)
    if not np.array_equal(stored_pixels(dataset, values, image.rescale), pixels):
        fault = f"has other values in slice {k + 1}, phase {t + 1} than {image.path.name}, which should be acquired"
        raise InputError(volume, fault, OTHER_SCAN)
    meta = dataset.file_meta.TransferSyntaxUID
    if meta.is_compressed or not meta.is_little_endian:
        _put(dataset, pixels)
    mark(dataset, [reference(dataset.SOPClassUID, image.sop, same_place=True)], None)
    return dataset


def _synthetic(values: np.ndarray, first: DicomImage, last: DicomImage, fraction: float, burnt_in: bool) -> Dataset:
    near = first if fraction <= 0.5 else last
    dataset = open_dicom(near.path, stop_before_pixels=True)
    for tag in [tag for tag in dataset.keys() if tag.group in range(0x6000, 0x6020)]:
        del dataset[tag]  # an overlay is drawn on one slice
    pixels = stored_pixels(dataset, values, near.rescale)
    _put(dataset, burn_in(pixels) if burnt_in else pixels)
    dataset.ImagePositionPatient = decimals((1 - fraction) * first.position + fraction * last.position)
    for name, *ends in zip(_BETWEEN, _numbers(first.path), _numbers(last.path), strict=True):
        if None in ends or "" in ends:
            dataset.pop(name, None)
        else:
            setattr(dataset, name, decimals([(1 - fraction) * float(ends[0]) + fraction * float(ends[1])])[0])
    return dataset


@lru_cache(maxsize=512)
def _numbers(path: Path) -> tuple:
    """The elements `_BETWEEN` of an image; every image of a gap asks for those of its ends."""
    dataset = open_dicom(path, True, _BETWEEN)
    return tuple(dataset.get(name) for name in _BETWEEN)


def _put(dataset: Dataset, pixels: np.ndarray) -> None:
    """Set uncompressed pixels, and what the header says of their range if it says anything."""
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    dataset["PixelData"].VR = "OW" if pixels.itemsize > 1 else "OB"
    for name, value in (("SmallestImagePixelValue", pixels.min()), ("LargestImagePixelValue", pixels.max())):
        if name in dataset:
            setattr(dataset, name, int(value))
