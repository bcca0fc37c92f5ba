# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""From what a client names or sends to the NIfTI file of one scan: a volume as it is, or a DICOM study, converted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from custom.errors import InputError
from custom.importers.cmr.dicom_options import DicomOptions
from custom.importers.cmr.preparation import Preparation
from custom.importers.cmr.scan import ConversionOptions
from custom.importers.cmr.sources import find_sources
from custom.importers.cmr.volumes import VolumeOptions
from custom.importers.notes import Doubt
from custom.scans.nifti import SUFFIXES, stem


def one_scan(path: Path, kind: str, folder: Path, wanted: str | None = None) -> tuple[Path, list[str]]:
    """The NIfTI file of the scan that a request is about.

    Args:
        path: a NIfTI file, a DICOM file, or a folder or zip of the DICOM files of one study.
        kind: what the bundle takes, "stack" or "pullback".
        folder: receives what is converted, on the scanner's own grid.
        wanted: name of the scan, where a study has several.

    Returns:
        The file, and what was guessed, one line each.

    Raises:
        InputError: no scan, several of which none is wanted, a DICOM pullback.
    """
    if path.is_file() and path.name.endswith(SUFFIXES):
        return path, []
    if kind != "stack":
        raise InputError(path, "is no NIfTI file", "convert the pullback with data_scripts/prepare_oct.py")
    # Cropped would not be the scan that the client asked about.
    folder.mkdir(parents=True, exist_ok=True)
    whole = ConversionOptions(spacing=0, size=0)
    preparation = Preparation(folder, whole, DicomOptions(), VolumeOptions())
    fates = [preparation.convert(source) for source in find_sources(path)]
    faults = [fault for fate in fates for fault in fate.faults]
    entries: list[dict[str, Any]] = [entry for fate in fates for entry in fate.entries]
    scans = {stem(entry["image"]): folder / entry["image"] for entry in entries}
    if not scans:
        raise InputError(path, "cannot be converted", "; ".join(faults))
    if wanted is None and len(scans) > 1:
        raise InputError(path, f"holds {len(scans)} scans: {', '.join(scans)}", 'name one of them as "scan"')
    if wanted is not None and wanted not in scans:
        raise InputError(path, f"holds no scan {wanted!r}", f"it has {', '.join(scans)}")
    guesses = [str(note) for fate in fates for note in fate.notes if isinstance(note, Doubt)]
    return scans[wanted or next(iter(scans))], guesses + faults
