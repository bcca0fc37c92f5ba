# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""DICOM files on disk: told from other files, opened, with and without the preamble that the standard asks for."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import pydicom
import pydicom.datadict
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

NAMED_DICOM = (".dcm", ".dicom", ".ima")
NO_DICOM = "is no DICOM file, whatever its name says"
_FIRST_GROUPS = (0x0002, 0x0008)
_MAX_FIRST_ELEMENT = 0x0070
_MAX_FIRST_LENGTH = 1024
# pydicom says in many lines what the errors here say in one, and warns of values that do no harm.
logging.getLogger("pydicom").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="pydicom")
if pydicom.datadict.tag_for_keyword("SyntheticData") is None:  # pydicom 2, which MONAI Label needs, is older than it
    pydicom.datadict.add_dict_entry(0x0008001C, "CS", "SyntheticData", "Synthetic Data")


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM: "DICM" after 128 bytes, or a first element that only a data set without it has."""
    try:
        with open(path, "rb") as file:
            head = file.read(132)
    except OSError:
        return False
    if head[128:132] == b"DICM":
        return True
    return any(_is_first_element(head, order) for order in ("little", "big"))


def _is_first_element(head: bytes, order: str) -> bool:
    """Whether bytes begin with a small element of one of the groups that come first (file meta, identification)."""
    if len(head) < 12:
        return False
    group, element = (int.from_bytes(head[k : k + 2], order) for k in (0, 2))
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    length = int.from_bytes(head[6:8] if explicit else head[4:8], order)
    return group in _FIRST_GROUPS and element <= _MAX_FIRST_ELEMENT and length <= _MAX_FIRST_LENGTH


def open_dicom(path: Path, stop_before_pixels: bool = False, tags: Sequence[str] | None = None) -> Dataset:
    """Read a DICOM file; of one without file meta information the transfer syntax is how it was read.

    Raises:
        InvalidDicomError, OSError, ValueError, ...: whatever pydicom makes of a damaged file; with `stop_before_pixels`
            also for an image that ends before its pixels begin, of which pydicom returns what is there.
    """
    with open(path, "rb") as file:
        dataset = pydicom.dcmread(
            file, force=True, stop_before_pixels=stop_before_pixels, specific_tags=None if tags is None else list(tags)
        )
        # What nobody asked for is skipped, beyond the end too.
        is_cut = stop_before_pixels and file.tell() >= path.stat().st_size
    meta = getattr(dataset, "file_meta", None)
    if is_cut and meta is not None and meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        told = dataset.get("SOPClassUID"), meta.get("MediaStorageSOPClassUID")  # the cut may go through the first
        if any("Image Storage" in UID(str(uid or "")).name for uid in told):
            raise ValueError("it ends within its header")
    if meta is not None and "TransferSyntaxUID" not in meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset
