# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What the header of a DICOM file says of it before its pixels are read: a pullback, or something beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import UID

from custom.importers.dicom_files import open_dicom

TAGS = (
    "SOPClassUID", "Modality", "PatientID", "PatientName", "StudyInstanceUID", "SeriesInstanceUID", "InstanceNumber",
    "NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "DirectoryRecordSequence",
    "SyntheticData",
)  # fmt: skip
OTHERS = {
    "XA": "an angiogram", "RF": "a fluoroscopy", "CT": "a CT", "MR": "a magnetic resonance image", "CR": "a radiograph",
    "DX": "a radiograph", "NM": "a scintigram", "PT": "a PET", "SEG": "a segmentation", "ECG": "an electrocardiogram",
}  # fmt: skip
"""Modalities that share a disc with pullbacks, and are none."""
SYNTHETIC = "holds synthetic frames"


@dataclass(frozen=True)
class DicomHeader:
    """Of one file.

    Args:
        patient: PatientID, else PatientName; "" where neither is stated.
        study: StudyInstanceUID.
        series: SeriesInstanceUID.
        number: InstanceNumber.
        frames: 1 of a single image, more of others; None where that is not known before pixels are read.
        reason: why it is no pullback; "" where it may be one.
        modality: as stated.
    """

    patient: str = ""
    study: str = ""
    series: str = ""
    number: int = 0
    frames: int | None = None
    reason: str = ""
    modality: str = ""


def read_header(path: Path) -> DicomHeader:
    """The header of a DICOM file; an empty one where it cannot be read, so that reading its pixels says why."""
    try:
        dataset = open_dicom(path, stop_before_pixels=True, tags=TAGS)
        stated = [str(dataset.get(name) or "").strip() for name in TAGS[2:6]]
        return DicomHeader(
            stated[0] or stated[1].strip("^ "),
            stated[2],
            stated[3],
            int(dataset.get("InstanceNumber") or 0),
            _count(path, dataset),
            _reason(path, dataset),
            str(dataset.get("Modality") or ""),
        )
    except Exception:  # pydicom has many kinds
        return DicomHeader()


def _reason(path: Path, dataset: Dataset) -> str:
    media = str(getattr(dataset.file_meta, "MediaStorageSOPClassUID", ""))
    if "DirectoryRecordSequence" in dataset or media == "1.2.840.10008.1.3.10" or path.name.upper() == "DICOMDIR":
        return "is the index of a DICOM disc"
    if not dataset.get("Rows") and (dataset.get("SOPClassUID") or media or not len(dataset)):
        said = media or dataset.get("SOPClassUID")
        if said and UID(said).name.endswith("Image Storage"):
            return ""  # an image that ends within its header, for reading to say
        return "holds no pixels (a report, a presentation state or the like)" if said else _nothing(path)
    if what := OTHERS.get(str(dataset.get("Modality") or "")):
        return f"is {what}, no pullback; give it alone as --input if it is one"
    return SYNTHETIC if dataset.get("SyntheticData") == "YES" else ""


def _nothing(path: Path) -> str:
    """Of a file without any element: one with a preamble is a damaged DICOM file, for reading to say."""
    with open(path, "rb") as file:
        return "" if file.read(132).endswith(b"DICM") else "is neither DICOM, image nor array"


def _count(path: Path, dataset: Dataset) -> int | None:
    """Frames as stated, or as many as the file has room for; None if compression leaves that open."""
    stated = int(dataset.get("NumberOfFrames") or 0)
    if stated or not dataset.get("Rows"):
        return stated or None
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        return None
    size = dataset.Rows * dataset.Columns * int(dataset.get("SamplesPerPixel") or 1) * dataset.BitsAllocated // 8
    return max(1, path.stat().st_size // size)
