# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a derived file of several frames says of each of them: DICOM PS3.3 C.7.6.16 and C.7.6.17."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes

from custom.exporters.derived import ACQUIRED_TEXT, DerivedSeries, code, decimals, new_uid, reference, spacing_between

if TYPE_CHECKING:
    from custom.exporters.multiframe import Frame

_BETWEEN = {
    "PlanePositionSequence": "ImagePositionPatient",
    "CardiacSynchronizationSequence": "NominalCardiacTriggerDelayTime",
    "IntravascularFrameContentSequence": "IntravascularLongitudinalDistance",
}
"""Groups with numbers that lie between those of a synthetic frame's neighbours."""
_FRAME_TYPES = ("MRImageFrameTypeSequence", "IntravascularOCTFrameTypeSequence")


@dataclass(frozen=True)
class Source:
    """UIDs of a source: SOP class, SOP instance, series."""

    sop_class: str
    sop: str
    series: str


def describe_frames(
    header: Dataset, frames: Sequence[Frame], series: DerivedSeries, spacing_mm: float, source: Source
) -> None:
    """Replace the functional groups of a source by those of the derived frames.

    A synthetic frame has the groups of the nearest acquired one, but for its place and time, which lie between.

    Args:
        header: the source's, becomes that of the derived file.
        frames: of the derived file.
        series: that it is of.
        spacing_mm: between neighbouring acquired slices.
        source: the file that it is derived from.
    """
    groups = list(header.PerFrameFunctionalGroupsSequence)
    shared = copy.deepcopy(list(header.get("SharedFunctionalGroupsSequence") or [Dataset()]))
    found = []
    for frame in frames:
        item = copy.deepcopy(groups[frame.nearest])
        if frame.fraction:
            _place_between(item, groups[frame.first], groups[frame.last], frame.fraction)
        _content(item, frame)
        item.DerivationImageSequence = [_derivation(frame, series, spacing_mm, source)]
        found.append(item)
    for item in (*shared, *found):
        for name in _FRAME_TYPES:
            if item.get(name):
                item[name][0].FrameType = header.ImageType
        if item.get("PixelMeasuresSequence") and "SpacingBetweenSlices" in item.PixelMeasuresSequence[0]:
            item.PixelMeasuresSequence[0].SpacingBetweenSlices = spacing_between(spacing_mm, series.factor)
        item.remove_private_tags()
    header.SharedFunctionalGroupsSequence = DicomSequence(shared)
    header.PerFrameFunctionalGroupsSequence = DicomSequence(found)
    _dimensions(header, series)
    header.SourceImageEvidenceSequence = [_evidence(header, source)]


def _place_between(item: Dataset, first: Dataset, last: Dataset, fraction: float) -> None:
    for group, name in _BETWEEN.items():
        ends = [part.get(group) and part[group][0].get(name) for part in (first, last)]
        if any(end is None for end in ends):
            continue
        value = (1 - fraction) * np.array(ends[0], float) + fraction * np.array(ends[1], float)
        is_decimal = name == "ImagePositionPatient"
        setattr(item[group][0], name, decimals(value) if is_decimal else float(value))


def _content(item: Dataset, frame: Frame) -> None:
    content = (item.get("FrameContentSequence") or [Dataset()])[0]
    content.StackID, content.InStackPositionNumber = "1", frame.place + 1
    content.TemporalPositionIndex = frame.phase + 1
    content.DimensionIndexValues = [frame.place + 1, frame.phase + 1]
    content.FrameComments = "SYNTHETIC" if frame.fraction else "ACQUIRED"
    item.FrameContentSequence = [content]


def _derivation(frame: Frame, series: DerivedSeries, spacing_mm: float, source: Source) -> Dataset:
    item = Dataset()
    if frame.fraction:
        item.DerivationDescription = series.told(frame.fraction, spacing_mm, "frames")
        item.DerivationCodeSequence = code(codes.DCM.SpatialResampling)
        ends = (frame.first, frame.last)
    else:
        item.DerivationDescription = ACQUIRED_TEXT
        item.DerivationCodeSequence = code(codes.DCM.SpatiallyRelatedFramesExtractedFromTheVolume)
        ends = (frame.first,)
    item.SourceImageSequence = [
        reference(source.sop_class, source.sop, end + 1, same_place=not frame.fraction) for end in ends
    ]
    return item


def _dimensions(header: Dataset, series: DerivedSeries) -> None:
    """Frames are told by their slice, then by their phase."""
    uid = new_uid(series.uid, "dimensions")
    organization = Dataset()
    organization.DimensionOrganizationUID = uid
    header.DimensionOrganizationSequence = [organization]
    indices = []
    for name in ("InStackPositionNumber", "TemporalPositionIndex"):
        index = Dataset()
        index.DimensionOrganizationUID = uid
        index.DimensionIndexPointer = tag_for_keyword(name)
        index.FunctionalGroupPointer = tag_for_keyword("FrameContentSequence")
        index.DimensionDescriptionLabel = name
        indices.append(index)
    header.DimensionIndexSequence = indices
    header.pop("DimensionOrganizationType", None)


def referenced_series(source: Source) -> list[Dataset]:
    """The source as the one instance of its series that is referred to (PS3.3 C.12.2)."""
    instance, series = Dataset(), Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = source.sop_class, source.sop
    series.SeriesInstanceUID, series.ReferencedInstanceSequence = source.series, [instance]
    return [series]


def _evidence(header: Dataset, source: Source) -> Dataset:
    """The source as evidence: its study, series and instance."""
    instance, series, study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = source.sop_class, source.sop
    series.SeriesInstanceUID = source.series
    series.ReferencedSOPSequence = [instance]
    study.StudyInstanceUID = header.StudyInstanceUID
    study.ReferencedSeriesSequence = [series]
    return study
