# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""DICOM files of cardiac MR: which of them are images of a stack, and what their headers say."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from custom.errors import InputError
from custom.importers.cmr.dicom_files import is_dicom, open_dicom
from custom.importers.cmr.sources import visible_files

TAGS = [
    *("SOPClassUID", "Modality", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber"),
    *("SeriesDescription", "ImageType", "Rows", "Columns", "PixelSpacing", "ImageOrientationPatient"),
    *("ImagePositionPatient", "TriggerTime", "TemporalPositionIdentifier", "InstanceNumber", "AcquisitionNumber"),
    *("AcquisitionTime", "SamplesPerPixel", "NumberOfFrames", "PhotometricInterpretation", "RescaleSlope"),
    *("RescaleIntercept", "BitsAllocated", "PixelRepresentation"),
]
PIXEL_MM = (0.02, 20.0)
"""Pixels of a heart's scan, mouse to man."""
LOCALISERS = ("localiz", "localis", "scout", "survey")


@dataclass(frozen=True, eq=False)
class DicomImage:
    """The header of one image.

    Args:
        path: of the file.
        study: StudyInstanceUID.
        patient: PatientID; never written anywhere.
        series: SeriesInstanceUID.
        number: SeriesNumber, 0 where not stated.
        description: SeriesDescription.
        kind: ImageType, which tells magnitude from phase images.
        shape: `(rows, columns)`.
        spacing: mm between rows, and between columns.
        orientation: `(2, 3)` unit vectors of DICOM patient space (left, posterior, superior): along a row, that is with
            rising column, and along a column.
        position: `(3,)` mm, centre of the first pixel.
        trigger_ms: TriggerTime, or None.
        temporal: TemporalPositionIdentifier, or None.
        instance: InstanceNumber, 0 where not stated.
        acquired: order of acquisition among images of the same place and time.
        rescale: slope and intercept.
    """

    path: Path
    study: str
    patient: str
    series: str
    number: int
    description: str
    kind: tuple[str, ...]
    shape: tuple[int, int]
    spacing: tuple[float, float]
    orientation: np.ndarray
    position: np.ndarray
    trigger_ms: float | None
    temporal: int | None
    instance: int
    acquired: tuple
    rescale: tuple[float, float]

    @property
    def normal(self) -> np.ndarray:
        """Unit normal of the plane."""
        return np.cross(*self.orientation)

    def told(self) -> str:
        """The series as messages and names tell it."""
        return f"series {self.number}" + (f" ({self.description})" if self.description else "")


def read_headers(folders: Sequence[Path]) -> tuple[list[DicomImage], list[str]]:
    """The headers of all images below some folders.

    Returns:
        Images that can be part of a stack, and what was left out and why, one line for each kind.

    Raises:
        InputError: none is left, or a DICOM file is damaged.
    """
    images, left_out = [], Counter()
    for path in (path for folder in folders for path in visible_files(folder)):
        if path.name.upper() == "DICOMDIR" or not is_dicom(path):
            continue
        try:
            header = open_dicom(path, True, TAGS)
            reason = _why_not(header)
            if not reason:
                images.append(_image(path, header))
                continue
        except (InvalidDicomError, OSError, ValueError, TypeError, AttributeError, EOFError) as error:
            raise _unreadable(path, error) from error
        left_out[(_told(header), reason)] += 1
    notes = [f"left out {count} images of {series}: {reason}" for (series, reason), count in left_out.items()]
    if not images:
        what = "; ".join(notes) or "no DICOM file"
        raise InputError(folders[0], f"holds no MR images of a stack ({what})", "give the folder of a short-axis scan")
    return images, notes


def _why_not(header: Dataset) -> str | None:
    """Why an image cannot be part of a stack, or None."""
    if header.get("Modality") != "MR":
        return f"modality {header.get('Modality') or 'not stated'}, not MR"
    if int(header.get("NumberOfFrames") or 1) > 1 or "Enhanced" in pydicom.uid.UID(header.get("SOPClassUID", "")).name:
        return "several frames in one file (enhanced MR); convert it with dcm2niix and give the NIfTI"
    if int(header.get("SamplesPerPixel") or 1) != 1 or not str(
        header.get("PhotometricInterpretation", "MONOCHROME2")
    ).startswith("MONOCHROME"):
        return "in colour"
    if header.get("PhotometricInterpretation") == "MONOCHROME1":
        return "inverted (MONOCHROME1)"
    words = " ".join([*map(str, header.get("ImageType") or ()), str(header.get("SeriesDescription") or "")]).lower()
    if any(word in words for word in LOCALISERS):
        return "localiser"
    missing = [
        tag
        for tag in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "Rows", "Columns")
        if not header.get(tag)
    ]
    return f"without {missing[0]}" if missing else None


def _image(path: Path, header: Dataset) -> DicomImage:
    trigger, temporal = header.get("TriggerTime"), header.get("TemporalPositionIdentifier")
    instance = int(header.get("InstanceNumber") or 0)
    number = int(header.get("SeriesNumber") or 0)
    order = (number, int(header.get("AcquisitionNumber") or 0), str(header.get("AcquisitionTime") or ""), instance)
    orientation = np.array(header.ImageOrientationPatient, np.float64).reshape(2, 3)
    spacing = tuple(float(value) for value in header.PixelSpacing)
    if len(spacing) != 2 or not all(PIXEL_MM[0] <= value <= PIXEL_MM[1] for value in spacing):
        raise ValueError(f"its PixelSpacing is {spacing}")
    lengths = np.linalg.norm(orientation, axis=1)
    if np.abs(lengths - 1).max() > 0.01 or abs(orientation[0] @ orientation[1]) > 0.01:
        raise ValueError("its orientation is not two perpendicular unit vectors")
    return DicomImage(
        path=path,
        study=str(header.get("StudyInstanceUID") or ""),
        patient=str(header.get("PatientID") or ""),
        series=str(header.get("SeriesInstanceUID") or ""),
        number=number,
        description=str(header.get("SeriesDescription") or "").strip(),
        kind=tuple(map(str, header.get("ImageType") or ())),
        shape=(int(header.Rows), int(header.Columns)),
        spacing=spacing,
        orientation=orientation / lengths[:, None],
        position=np.array(header.ImagePositionPatient, np.float64),
        trigger_ms=None if trigger in (None, "") else float(trigger),
        temporal=None if temporal in (None, "") else int(temporal),
        instance=instance,
        acquired=order,
        rescale=(float(header.get("RescaleSlope") or 1), float(header.get("RescaleIntercept") or 0)),
    )


def _told(header: Dataset) -> str:
    description = str(header.get("SeriesDescription") or "").strip()
    return f"series {header.get('SeriesNumber') or '?'}" + (f" ({description})" if description else "")


def read_pixels(images: Sequence[Sequence[DicomImage]]) -> tuple[np.ndarray, float, float]:
    """The values of a stack.

    One rescaling for all images goes into the NIfTI header and the integers stay. Images with rescalings of their own
    are rescaled, to integers where nothing is lost by it, else to float32.

    Args:
        images: of each slice the phases, `N` lists of `T` images.

    Returns:
        `(N, T, columns, rows)`, int16 where the values fit; slope and offset.

    Raises:
        InputError: a file is damaged, or compressed in a way that needs a decoder that is not installed.
    """
    first = images[0][0]
    rescales = {image.rescale for phases in images for image in phases}
    common = rescales.pop() if len(rescales) == 1 else None
    values = np.empty((len(images), len(images[0]), *first.shape[::-1]), np.int32 if common else np.float64)
    for k, phases in enumerate(images):
        for t, image in enumerate(phases):
            pixels = _pixels(image)
            values[k, t] = (pixels if common else pixels * image.rescale[0] + image.rescale[1]).T
    slope, inter = common or (1.0, 0.0)
    if values.dtype.kind == "f" and np.abs(values - np.rint(values)).max() > 1e-6:
        return values.astype(np.float32), slope, inter
    limits = np.iinfo(np.int16)
    dtype = np.int16 if limits.min <= values.min() and values.max() <= limits.max else np.int32
    return np.rint(values).astype(dtype), slope, inter


def _pixels(image: DicomImage) -> np.ndarray:
    logging.getLogger("pydicom").setLevel(logging.ERROR)  # it says the same as the errors here, in many lines
    try:
        dataset = open_dicom(image.path)
        pixels = dataset.pixel_array
    except (RuntimeError, NotImplementedError) as error:
        syntax = dataset.file_meta.TransferSyntaxUID.name
        remedy = "pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg, or export uncompressed"
        raise InputError(image.path, f"is compressed ({syntax}) and cannot be decoded", remedy) from error
    except Exception as error:  # whatever stops a decoder is a fault of the file
        raise _unreadable(image.path, error) from error
    if pixels.shape != image.shape:
        raise _unreadable(image.path, ValueError(f"pixels {pixels.shape} instead of {image.shape}"))
    return pixels


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return InputError(path, f"cannot be read ({reason})", "export it again, or leave it out")
