# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What is known of DICOM images: their headers, and those that were left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from custom.errors import InputError


@dataclass(frozen=True, eq=False)
class DicomImage:
    """The header of one image: of a file, or of a frame of one.

    Args:
        path: of the file.
        study: StudyInstanceUID.
        patient: PatientID.
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
        acquired: order of acquisition among images of the same place and time: SeriesNumber, AcquisitionNumber,
            AcquisitionTime, InstanceNumber.
        rescale: slope and intercept.
        frame: index in a file of several frames; None in a file of one.
        padding: (lowest, highest) stored value that stands for no signal (PixelPaddingValue), or None.
        echo_ms: EchoTime, or None.
        sop: SOPInstanceUID; the same in two copies of an image.
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
    frame: int | None = None
    padding: tuple[float, float] | None = None
    echo_ms: float | None = None
    sop: str = ""

    @property
    def normal(self) -> np.ndarray:
        """Unit normal of the plane."""
        return np.cross(*self.orientation)

    @property
    def series_key(self) -> tuple[str, int]:
        """Tells series apart: anonymisers give several one UID, and scanners several one number."""
        return self.series, self.number

    def told(self) -> str:
        """The series as messages and names tell it."""
        return f"series {self.number}" + (f" ({self.description})" if self.description else "")


@dataclass(frozen=True)
class LeftOut:
    """A DICOM file that cannot be part of a stack.

    Args:
        path: of the file.
        series_key: UID and number.
        told: its series, for messages.
        reason: why.
        description: SeriesDescription.
        image: its header, if it has the geometry of an image.
        patient: PatientID.
        study: StudyInstanceUID.
        is_fault: the header is wrong, rather than that of another kind of image.
    """

    path: Path
    series_key: tuple[str, int]
    told: str
    reason: str
    description: str = ""
    image: DicomImage | None = None
    patient: str = ""
    study: str = ""
    is_fault: bool = False


@dataclass
class Headers:
    """What DICOM files say.

    Args:
        images: those that can be part of a stack.
        left_out: those that cannot.
        unreadable: faults of files that are no DICOM inside, whatever they look like.
    """

    images: list[DicomImage] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    unreadable: list[InputError] = field(default_factory=list)

    def files(self) -> set[Path]:
        """All of them."""
        return {item.path for item in (*self.images, *self.left_out, *self.unreadable)}

    def studies(self) -> list[str]:
        """StudyInstanceUIDs, sorted."""
        return sorted({item.study for item in (*self.images, *self.left_out)})

    def notes(self) -> list[str]:
        """What was left out and why, one line for each series and reason."""
        counts: dict[tuple[str, str], int] = {}
        for item in self.left_out:
            if not item.is_fault:
                counts[item.told, item.reason] = counts.get((item.told, item.reason), 0) + 1
        return [f"left out {count} images of {series}: {reason}" for (series, reason), count in counts.items()]

    def faults(self) -> list[list[LeftOut]]:
        """Files whose headers are wrong, those of a series and reason together."""
        found: dict[tuple, list[LeftOut]] = {}
        for item in self.left_out:
            if item.is_fault:
                found.setdefault((item.series_key, item.reason), []).append(item)
        return list(found.values())

    def check(self, where: Path) -> None:
        """Raise InputError if a file cannot be read, or none is an image of a stack."""
        if self.unreadable:
            first, more = self.unreadable[0], len(self.unreadable) - 1
            raise InputError(first.path, first.fault + (f", as in {more} more files" if more else ""), first.remedy)
        if self.images:
            return
        fault = next((item for item in self.left_out if item.is_fault), None)
        if fault:
            more = sum(item.is_fault for item in self.left_out) - 1
            told = fault.reason + (f", as in {more} more files" if more else "")
            raise InputError(fault.path, told, "export it again, mend the header, or take the file away")
        what = "; ".join(self.notes()) or "no DICOM file"
        raise InputError(where, f"holds no MR images of a stack ({what})", "give the folder of a short-axis scan")
