# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The pixels of a DICOM stack, and which of them are padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset

from custom.errors import InputError
from custom.importers.cmr.dicom import DicomImage
from custom.importers.cmr.dicom_files import open_dicom
from custom.importers.cmr.dicom_headers import unreadable
from custom.importers.cmr.notes import phrase

DECODERS = "pip install python-gdcm pylibjpeg pylibjpeg-openjpeg"
"""What decodes every compressed transfer syntax: gdcm (BSD) the JPEG family and JPEG-LS, openjpeg JPEG 2000."""


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
            (_, self._kept), self._path = decoded(image), image.path
        pixels = self._kept
        if image.frame is not None and pixels.ndim == len(image.shape) + 1:
            if image.frame >= len(pixels):
                raise unreadable(image.path, ValueError(f"{len(pixels)} frames of pixels, the header speaks of more"))
            pixels = pixels[image.frame]
        if pixels.shape != image.shape:
            raise unreadable(image.path, ValueError(f"pixels {pixels.shape} instead of {image.shape}"))
        return pixels


def decoded(image: DicomImage) -> tuple[Dataset, np.ndarray]:
    """The data set of an image's file and its pixels as stored, `(rows, columns)` or `(frames, rows, columns)`.

    Raises:
        InputError: damaged, or compressed in a way that needs a decoder that is not installed.
    """
    dataset = None
    try:
        dataset = open_dicom(image.path)
        _check_length(dataset)
        pixels = dataset.pixel_array
    except Exception as error:  # whatever stops a decoder is a fault of the file, unless there is no decoder
        syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
        if syntax is not None and syntax.is_compressed:
            why = "no decoder is installed" if _lacks_decoder(error) else phrase(error)
            fault = f"is compressed ({syntax.name}) and cannot be decoded ({why})"
            raise InputError(image.path, fault, f"{DECODERS}, or export it again, uncompressed") from error
        raise unreadable(image.path, error) from error
    if pixels.dtype.kind not in "iu":
        raise unreadable(image.path, ValueError(f"its pixels are {pixels.dtype}, not integers"))
    return dataset, pixels


def _check_length(dataset: Dataset) -> None:
    """Refuse uncompressed pixels of another size than the header says: pydicom warns of surplus ones, and goes on."""
    if dataset.file_meta.TransferSyntaxUID.is_compressed or "PixelData" not in dataset:
        return
    count = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("SamplesPerPixel") or 1)
    count *= int(dataset.get("NumberOfFrames") or 1)
    expected = (count * int(dataset.BitsAllocated) + 7) // 8
    if not 0 <= len(dataset.PixelData) - expected <= 1:  # one byte makes an odd length even
        raise ValueError(f"it has {len(dataset.PixelData)} bytes of pixels, {expected} are expected")


def _lacks_decoder(error: Exception) -> bool:
    """Whether pydicom found no decoder, rather than one that the data stopped."""
    return isinstance(error, NotImplementedError) or "missing dependencies" in str(error)
