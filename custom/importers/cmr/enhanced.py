# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Enhanced (multi-frame) MR: what each frame's header would be if it were a file of its own.

DICOM PS3.3 C.7.6.16: a frame's functional groups are its own (per-frame) or those of all frames (shared).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset

_GROUPS: dict[str, tuple[str, str]] = {
    "ImageOrientationPatient": ("PlaneOrientationSequence", "ImageOrientationPatient"),
    "ImagePositionPatient": ("PlanePositionSequence", "ImagePositionPatient"),
    "PixelSpacing": ("PixelMeasuresSequence", "PixelSpacing"),
    "RescaleSlope": ("PixelValueTransformationSequence", "RescaleSlope"),
    "RescaleIntercept": ("PixelValueTransformationSequence", "RescaleIntercept"),
    "TriggerTime": ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    "ImageType": ("MRImageFrameTypeSequence", "FrameType"),
    "EchoTime": ("MREchoSequence", "EffectiveEchoTime"),
    "AcquisitionNumber": ("FrameContentSequence", "FrameAcquisitionNumber"),
    "AcquisitionTime": ("FrameContentSequence", "FrameAcquisitionDateTime"),
    "TemporalPositionIdentifier": ("FrameContentSequence", "TemporalPositionIndex"),
}
"""What a classic header says to the sequence and element that say it in an enhanced one."""
_OF_THE_FILE = (
    *("StudyInstanceUID", "PatientID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "ImageType"),
    *("Rows", "Columns", "BitsAllocated", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("SOPInstanceUID", "AcquisitionNumber", "AcquisitionTime", "EchoTime", "RescaleSlope", "RescaleIntercept"),
)


def frame_headers(header: Dataset) -> list[Dataset]:
    """A classic header for each frame of an enhanced one, in the order of the frames.

    InstanceNumber becomes that of the file and the frame, so that frames without times stay in their order.

    Raises:
        ValueError: there are not as many headers as frames.
    """
    frames: Sequence[Dataset] = header.get("PerFrameFunctionalGroupsSequence") or ()
    count = int(header.get("NumberOfFrames") or len(frames))
    if len(frames) != count:
        raise ValueError(f"NumberOfFrames is {count}, {len(frames)} frames have a header")
    shared = (header.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    first = int(header.get("InstanceNumber") or 0) * (count + 1)
    return [_frame_header(header, shared, frame, first + k + 1) for k, frame in enumerate(frames)]


def _frame_header(header: Dataset, shared: Dataset, frame: Dataset, instance: int) -> Dataset:
    found = Dataset()
    for tag in _OF_THE_FILE:
        if header.get(tag) is not None:
            setattr(found, tag, header.get(tag))
    for tag, (group, element) in _GROUPS.items():
        value = _value(frame, group, element)
        value = _value(shared, group, element) if value is None else value
        if value is not None:
            setattr(found, tag, value if tag != "AcquisitionTime" else str(value)[8:])  # a date and time
    found.InstanceNumber = instance
    missing = [tag for tag in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing") if tag not in found]
    if missing:
        raise ValueError(f"a frame has no {missing[0]}")
    return found


def _value(groups: Dataset, group: str, element: str) -> Any:
    sequence = groups.get(group)
    return sequence[0].get(element) if sequence else None
