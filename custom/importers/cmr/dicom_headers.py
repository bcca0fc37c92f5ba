# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Headers of cardiac MR in DICOM: which files are images of a stack, and what their headers say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID

from custom.errors import InputError, closed_file
from custom.importers.cmr.dicom import DicomImage, Headers, LeftOut
from custom.importers.cmr.enhanced import frame_headers
from custom.importers.decoding import unreadable
from custom.importers.dicom_files import NAMED_DICOM, NO_DICOM, is_dicom, open_dicom
from custom.importers.notes import phrase

TAGS = [
    *("SOPClassUID", "SOPInstanceUID", "Modality", "PatientID", "StudyInstanceUID", "SeriesInstanceUID"),
    *("SeriesNumber", "SeriesDescription", "ImageType", "Rows", "Columns", "PixelSpacing", "ImageOrientationPatient"),
    *("ImagePositionPatient", "TriggerTime", "TemporalPositionIdentifier", "InstanceNumber", "AcquisitionNumber"),
    *("AcquisitionTime", "EchoTime", "SamplesPerPixel", "NumberOfFrames", "PhotometricInterpretation"),
    *("RescaleSlope", "RescaleIntercept", "BitsAllocated", "PixelRepresentation", "PixelPaddingValue"),
    *("PixelPaddingRangeLimit", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    "SyntheticData",
]
LOCALISERS = ("localiz", "localis", "scout", "survey")
PIXEL_MM = (0.02, 20.0)
"""Pixels of a heart's scan, mouse to man."""


def read_headers(files: Iterable[Path], take_synthetic: bool = False) -> Headers:
    """The headers of DICOM files; others are passed over, unless their names say that they are DICOM.

    Args:
        files: any files.
        take_synthetic: take series that hold synthetic slices (`custom.exporters.dicom`) for acquired ones.
    """
    found = Headers()
    made: set[tuple[str, int]] = set()
    for path in files:
        if path.name.upper() == "DICOMDIR":
            continue
        if not is_dicom(path):
            if path.suffix.lower() in NAMED_DICOM:
                fault = closed_file(path) or InputError(path, NO_DICOM, "export it again, or take it away")
                found.unreadable.append(fault)
            continue
        try:
            header = open_dicom(path, stop_before_pixels=True, tags=TAGS)
            if not len(header):
                raise ValueError("it holds no element that an image has")
            header.walk(lambda *_: None, recursive=False)  # values are read late: now is the time to stumble
        except Exception as error:  # whatever pydicom stumbles over is a fault of the file
            found.unreadable.append(unreadable(path, error))
            continue
        _sort_in(path, header, found)
        if header.get("SyntheticData") == "YES" and not take_synthetic:
            made.add(_series_of(header)[0])
    _leave_out_series(found, made)
    return found


def _leave_out_series(found: Headers, made: set[tuple[str, int]]) -> None:
    """Leave out series with synthetic slices whole: their acquired slices are copies of those of another series."""
    reason = "its series holds synthetic slices"
    found.left_out += [
        LeftOut(i.path, i.series_key, i.told(), reason, i.description, i, i.patient, i.study)
        for i in found.images
        if i.series_key in made
    ]
    found.images = [image for image in found.images if image.series_key not in made]


def _sort_in(path: Path, header: Dataset, found: Headers) -> None:
    """Add a file's images to what was found."""
    key, told, words = _series_of(header)
    whose = {"patient": str(header.get("PatientID") or "").strip(), "study": str(header.get("StudyInstanceUID") or "")}
    try:
        reason = _why_not(header)
        if reason:
            found.left_out.append(LeftOut(path, key, told, reason, words, _image_or_none(path, header), **whose))
        elif _is_enhanced(header):
            found.images += [_image(path, frame, k) for k, frame in enumerate(frame_headers(header))]
        else:
            found.images.append(_image(path, header))
    except Exception as error:  # NumPy, pydicom or we: one bad value, one line
        reason = f"cannot be read ({phrase(error)})"
        image = _image_or_none(path, header)
        found.left_out.append(LeftOut(path, key, told, reason, words, image, **whose, is_fault=True))


def _series_of(header: Dataset) -> tuple[tuple[str, int], str, str]:
    """UID and number, how messages tell it, description."""
    try:
        number = int(header.get("SeriesNumber") or 0)
    except (TypeError, ValueError):
        number = 0
    description = str(header.get("SeriesDescription") or "").strip()
    told = f"series {number or '?'}" + (f" ({description})" if description else "")
    return (str(header.get("SeriesInstanceUID") or ""), number), told, description


def _is_enhanced(header: Dataset) -> bool:
    """Whether the geometry of a file is that of its frames (enhanced MR), rather than of the file."""
    return "Enhanced" in UID(str(header.get("SOPClassUID", ""))).name or int(header.get("NumberOfFrames") or 1) > 1


def _why_not(header: Dataset) -> str | None:
    """Why a file cannot be part of a stack, or None."""
    if header.get("Modality") != "MR":
        return f"modality {header.get('Modality') or 'not stated'}, not MR"
    if int(header.get("SamplesPerPixel") or 1) != 1 or not str(
        header.get("PhotometricInterpretation", "MONOCHROME2")
    ).startswith("MONOCHROME"):
        return "in colour"
    if header.get("PhotometricInterpretation") == "MONOCHROME1":
        return "inverted (MONOCHROME1)"
    words = " ".join([*_words(header.get("ImageType")), str(header.get("SeriesDescription") or "")]).lower()
    if any(word in words for word in LOCALISERS):
        return "localiser"
    if _is_enhanced(header):
        return None if header.get("PerFrameFunctionalGroupsSequence") else "several frames without a place of their own"
    missing = [
        tag
        for tag in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "Rows", "Columns")
        if header.get(tag) in (None, "") or np.size(header.get(tag)) == 0
    ]
    return f"without {missing[0]}" if missing else None


def _words(value: Any) -> tuple[str, ...]:
    """A value of one or several texts."""
    return () if value in (None, "") else (value,) if isinstance(value, str) else tuple(map(str, value))


def _image_or_none(path: Path, header: Dataset) -> DicomImage | None:
    try:
        return _image(path, header)
    except Exception:  # it is left out anyway
        return None


def _image(path: Path, header: Dataset, frame: int | None = None) -> DicomImage:
    """Raises ValueError, naming the element, where a header cannot be right."""
    instance = int(header.get("InstanceNumber") or 0)
    number = int(header.get("SeriesNumber") or 0)
    order = (number, int(header.get("AcquisitionNumber") or 0), str(header.get("AcquisitionTime") or ""), instance)
    orientation = _numbers(header, "ImageOrientationPatient", 6).reshape(2, 3)
    lengths = np.linalg.norm(orientation, axis=1)
    if np.abs(lengths - 1).max() > 0.01 or abs(orientation[0] @ orientation[1]) > 0.01:
        raise ValueError("its orientation is not two perpendicular unit vectors")
    spacing = _numbers(header, "PixelSpacing", 2)
    if not (PIXEL_MM[0] <= spacing.min() and spacing.max() <= PIXEL_MM[1]):
        raise ValueError(f"PixelSpacing is {spacing[0]:g}, {spacing[1]:g} mm")
    shape = int(header.Rows), int(header.Columns)
    if min(shape) < 1:
        raise ValueError(f"Rows and Columns are {shape}")
    slope, inter = _number(header, "RescaleSlope") or 1.0, _number(header, "RescaleIntercept") or 0.0
    return DicomImage(
        path=path,
        study=str(header.get("StudyInstanceUID") or ""),
        patient=str(header.get("PatientID") or "").strip(),
        series=str(header.get("SeriesInstanceUID") or ""),
        number=number,
        description=str(header.get("SeriesDescription") or "").strip(),
        kind=_words(header.get("ImageType")),
        shape=shape,
        spacing=tuple(map(float, spacing)),
        orientation=orientation / lengths[:, None],
        position=_numbers(header, "ImagePositionPatient", 3),
        trigger_ms=_number(header, "TriggerTime"),
        temporal=_number(header, "TemporalPositionIdentifier", int),
        instance=instance,
        acquired=order,
        rescale=(slope, inter),
        frame=frame,
        padding=_padding(header),
        echo_ms=_number(header, "EchoTime"),
        sop=str(header.get("SOPInstanceUID") or ""),
    )


def _number(header: Dataset, tag: str, kind: Callable = float) -> Any:
    """A number, or None where there is none."""
    value = header.get(tag)
    if value is None or value == "":
        return None
    number = kind(value)
    if not np.isfinite(number):
        raise ValueError(f"{tag} is {value}")
    return number


def _numbers(header: Dataset, tag: str, count: int) -> np.ndarray:
    values = np.array(header.get(tag), np.float64).ravel()
    if values.size != count or not np.isfinite(values).all():
        raise ValueError(f"{tag} is {header.get(tag)}")
    return values


def _padding(header: Dataset) -> tuple[float, float] | None:
    value = header.get("PixelPaddingValue")
    if value is None or value == "":
        return None
    ends = [_signed(header, end) for end in (value, header.get("PixelPaddingRangeLimit")) if end not in (None, "")]
    return min(ends), max(ends)


def _signed(header: Dataset, value: Any) -> float:
    """A padding value as pixels have it: without a VR of its own it may come out unsigned."""
    if isinstance(value, bytes):
        value = int.from_bytes(value[:2], "little")
    value, bits = int(value), int(header.get("BitsAllocated") or 16)
    is_signed = int(header.get("PixelRepresentation") or 0) == 1
    return float(value - 2**bits if is_signed and value >= 2 ** (bits - 1) else value)
