# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What every image of a derived DICOM series states: whence it comes, who made it, and whether it is synthetic.

DICOM PS3.3 C.7.6.1 (derivation, source images), C.7.5.2 (contributing equipment) and C.12.1 (synthetic data).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import DSfloat

from custom.version import VERSION

MADE_BY = "CardioInterp Bundles"
SERIES_OFFSET = 1000
"""Added to the number of the source series: the derived one lies beside it and takes no scanner's number."""
BURNT_IN = "SYNTHETIC"
OTHER_SCAN = "give the DICOM files that it was made from"
ACQUIRED_TEXT = "Acquired, pixels unchanged; other images of this series are synthetic"
_STALE = (
    *("IconImageSequence", "DigitalSignaturesSequence", "MACParametersSequence", "EncryptedAttributesSequence"),
    *("ImagesInAcquisition", "SmallestPixelValueInSeries", "LargestPixelValueInSeries", "InstanceCreatorUID"),
    *("InstanceCreationDate", "InstanceCreationTime", "StudyStatusID", "StudyPriorityID", "DataSetTrailingPadding"),
    *("PixelDataProviderURL", "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "FloatPixelData"),
)
"""What spoke of the source file alone: previews, signatures, counts, when and where it was written."""


@dataclass(frozen=True)
class DerivedSeries:
    """A series that is being derived.

    Args:
        uid: SeriesInstanceUID; the same volume and sources give the same one.
        made_by: bundle or method, with its version, for a reader.
        factor: dense steps per gap.
        date: (YYYYMMDD, HHMMSS) when the volume was made.
    """

    uid: str
    made_by: str
    factor: int
    date: tuple[str, str]

    @classmethod
    def of(cls, volume: Path, sidecar: Mapping[str, Any], factor: int, identity: Iterable[str]) -> DerivedSeries:
        """The series of a volume.

        Args:
            volume: NIfTI file.
            sidecar: of it.
            factor: dense steps per gap.
            identity: what tells this series from others: the volume's hash, the source images, options.
        """
        name = sidecar.get("method") or sidecar.get("bundle") or "unnamed method"
        weights = sidecar.get("weights_sha256")
        words = [str(name), str(sidecar.get("version") or "") if not sidecar.get("method") else ""]
        words.append(f"(weights {weights[:12]})" if isinstance(weights, str) else "")
        made = time.localtime(volume.stat().st_mtime)
        when = time.strftime("%Y%m%d", made), time.strftime("%H%M%S", made)
        return cls(new_uid(*identity), " ".join(filter(None, words)), factor, when)

    def describe(self, dataset: Dataset) -> None:
        """Turn the header of a source image into one of an image of this series; pixels and geometry are left."""
        _clean(dataset)
        number, words = int(dataset.get("SeriesNumber") or 0), str(dataset.get("SeriesDescription") or "").strip()
        dataset.SeriesInstanceUID = self.uid
        dataset.SeriesNumber = number + SERIES_OFFSET
        suffix = f"x{self.factor} synthetic slices"
        dataset.SeriesDescription = f"{words[: 63 - len(suffix)]} {suffix}".strip()
        dataset.ImageType = derived_type(dataset.get("ImageType"))
        dataset.SeriesDate, dataset.SeriesTime = self.date
        dataset.ContentDate, dataset.ContentTime = self.date
        equipment = Dataset()
        equipment.PurposeOfReferenceCodeSequence = code(codes.DCM.ProcessingEquipment)
        equipment.Manufacturer = MADE_BY
        equipment.ManufacturerModelName = self.made_by[:64]
        equipment.SoftwareVersions = VERSION
        equipment.ContributionDateTime = "".join(self.date)
        equipment.ContributionDescription = "Interpolation between acquired slices"
        dataset.ContributingEquipmentSequence = [*(dataset.get("ContributingEquipmentSequence") or []), equipment]

    def told(self, fraction: float, spacing_mm: float, what: str = "slices") -> str:
        """The derivation of a synthetic image, for a reader."""
        return (
            f"SYNTHETIC: interpolated at {fraction:.4g} of the {spacing_mm:.4g} mm between two acquired {what} by "
            f"{self.made_by}; not acquired"
        )


def is_ours(dataset: Dataset) -> bool:
    """Whether an image is of a series that this module described."""
    equipment = dataset.get("ContributingEquipmentSequence") or []
    return any(item.get("Manufacturer") == MADE_BY for item in equipment)


def mark(dataset: Dataset, sources: Sequence[Dataset], derivation: str | None) -> None:
    """State where one image comes from, and whether it is synthetic.

    Args:
        dataset: the image.
        sources: `reference` items of the images that it is made from.
        derivation: of a synthetic image, for a reader; None for an acquired one.
    """
    dataset.SyntheticData = "NO" if derivation is None else "YES"
    dataset.DerivationDescription = derivation or ACQUIRED_TEXT
    dataset.SourceImageSequence = DicomSequence(sources)
    if derivation is None:
        dataset.pop("DerivationCodeSequence", None)
        return
    dataset.DerivationCodeSequence = code(codes.DCM.SpatialResampling)
    dataset.ImageComments = "SYNTHETIC, interpolated between acquired slices"


def reference(sop_class: str, sop: str, frame: int | None = None, same_place: bool = False) -> Dataset:
    """An item of a SourceImageSequence.

    Args:
        sop_class: of the source image.
        sop: its SOPInstanceUID.
        frame: its frame, counted from 1; None for a whole image.
        same_place: the pixels lie where those of the source do.
    """
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop
    if frame is not None:
        item.ReferencedFrameNumber = frame
    item.SpatialLocationsPreserved = "YES" if same_place else "NO"
    item.PurposeOfReferenceCodeSequence = code(codes.DCM.SourceImageForImageProcessingOperation)
    return item


def new_uid(*words: str) -> str:
    """A UID that follows from words: 2.25 and a name-based UUID (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, chr(10).join(words)).int}"


def name_instance(dataset: Dataset, sop: str) -> None:
    """Give an image its UID, and file meta information of its own, uncompressed."""
    dataset.SOPInstanceUID = sop
    meta = type(dataset.file_meta)()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, UID(sop)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta


def derived_type(kind: Any) -> list[str]:
    """ImageType of a derived image: that of its source from the third value on."""
    rest = list(kind)[2:] if kind and not isinstance(kind, str) else []
    return ["DERIVED", "SECONDARY", *(rest or ["OTHER"])]


def spacing_between(spacing_mm: float, factor: int) -> DSfloat:
    """SpacingBetweenSlices of a dense scan; positions are rounded in headers, so its last digits say nothing."""
    return DSfloat(round(spacing_mm / factor, 4), auto_format=True)


def decimals(values: Iterable[float]) -> list[DSfloat]:
    """Numbers as decimal strings of at most 16 characters."""
    return [DSfloat(float(value), auto_format=True) for value in values]


def stored_pixels(dataset: Dataset, values: np.ndarray, rescale: tuple[float, float] = (1.0, 0.0)) -> np.ndarray:
    """Real values as pixels of an image: rescaling undone, rounded, and saturated at the bits that it stores.

    Args:
        dataset: of the source image; says how pixels are stored.
        values: `(..., rows, columns)`.
        rescale: slope and intercept of the image.
    """
    bits, signed = int(dataset.BitsStored), int(dataset.PixelRepresentation) == 1
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    dtype = np.dtype(f"<{'i' if signed else 'u'}{int(dataset.BitsAllocated) // 8}")
    return np.clip(np.rint((values - rescale[1]) / rescale[0]), low, high).astype(dtype)


def burn_in(pixels: np.ndarray) -> np.ndarray:
    """Pixels `(rows, columns)` with the word that marks a synthetic image in the upper left corner, as bright as it."""
    font = ImageFont.load_default(max(8, pixels.shape[0] // 16))
    canvas = Image.new("1", pixels.shape[::-1])
    ImageDraw.Draw(canvas).text((2, 2), BURNT_IN, fill=1, font=font)
    return np.where(np.asarray(canvas), pixels.max(), pixels).astype(pixels.dtype)


def _clean(dataset: Dataset) -> None:
    """Take out what does not hold for a derived image: private elements, group lengths, previews, signatures."""
    dataset.remove_private_tags()
    for tag in [tag for tag in dataset.keys() if tag.element == 0]:
        del dataset[tag]
    for name in _STALE:
        dataset.pop(name, None)


def code(said: Code) -> DicomSequence:
    """A code as a sequence of one item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = said.value, said.scheme_designator, said.meaning
    return DicomSequence([item])
