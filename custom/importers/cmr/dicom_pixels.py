# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The pixels of a DICOM stack, and which of them are padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset

from custom.importers.cmr.dicom import DicomImage
from custom.importers.decoding import decoded, unreadable
from custom.importers.dicom_files import open_dicom


def read_pixels(
    images: Sequence[Sequence[DicomImage]],
) -> tuple[np.ndarray, float, float, np.ndarray | None]:
    """The values of a stack.

    One rescaling for all images goes into the NIfTI header and the integers stay. Images with rescalings of their own
    are rescaled, to integers where nothing is lost by it, else to float32.

    Args:
        images: of each slice the phases, `N` lists of `T` images.

    Returns:
        `(N, T, columns, rows)`, int16 where the values fit; slope and offset; bool of the same shape where they are
        padding, None where nothing is.

    Raises:
        InputError: a file is damaged, or compressed in a way that needs a decoder that is not installed.
    """
    first = images[0][0]
    rescales = {image.rescale for phases in images for image in phases}
    common = rescales.pop() if len(rescales) == 1 else None
    values = np.empty((len(images), len(images[0]), *first.shape[::-1]), np.int32 if common else np.float64)
    padding = np.zeros(values.shape, bool) if any(image.padding for phases in images for image in phases) else None
    opened = _Frames()
    for k, phases in enumerate(images):
        for t, image in enumerate(phases):
            pixels = opened.pixels(image)
            values[k, t] = (pixels if common else pixels * image.rescale[0] + image.rescale[1]).T
            if image.padding:
                padding[k, t] = ((pixels >= image.padding[0]) & (pixels <= image.padding[1])).T
    padding = padding if padding is not None and padding.any() else None
    slope, inter = common or (1.0, 0.0)
    if values.dtype.kind == "f" and np.abs(values - np.rint(values)).max() > 1e-6:
        return values.astype(np.float32), slope, inter, padding
    limits = np.iinfo(np.int16)
    dtype = np.int16 if limits.min <= values.min() and values.max() <= limits.max else np.int32
    return np.rint(values).astype(dtype), slope, inter, padding


class _Frames:
    """Pixels of images, the last file of several frames being kept."""

    def __init__(self) -> None:
        self._path, self._kept = None, None

    def pixels(self, image: DicomImage) -> np.ndarray:
        """`(rows, columns)` as stored."""
        if image.path != self._path:
            (_, self._kept), self._path = decode_image(image), image.path
        pixels = self._kept
        if image.frame is not None and pixels.ndim == len(image.shape) + 1:
            if image.frame >= len(pixels):
                raise unreadable(image.path, ValueError(f"{len(pixels)} frames of pixels, the header speaks of more"))
            pixels = pixels[image.frame]
        if pixels.shape != image.shape:
            raise unreadable(image.path, ValueError(f"pixels {pixels.shape} instead of {image.shape}"))
        return pixels


def decode_image(image: DicomImage) -> tuple[Dataset, np.ndarray]:
    """The data set of an image's file and its pixels as stored, `(rows, columns)` or `(frames, rows, columns)`.

    Raises:
        InputError: damaged, or compressed in a way that needs a decoder that is not installed.
    """
    try:
        dataset = open_dicom(image.path)
    except Exception as error:  # pydicom has many kinds
        raise unreadable(image.path, error) from error
    pixels = decoded(image.path, dataset, lambda dataset: dataset.pixel_array)
    if pixels.dtype.kind not in "iu":
        raise unreadable(image.path, ValueError(f"its pixels are {pixels.dtype}, not integers"))
    return dataset, pixels
