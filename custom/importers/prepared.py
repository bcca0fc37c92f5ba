# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A study as NIfTI on the scanner's own grid: nothing is cropped, and no slice resampled."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from custom.errors import InputError
from custom.importers.cmr.dicom_options import DicomOptions
from custom.importers.cmr.notes import Doubt
from custom.importers.cmr.preparation import Preparation
from custom.importers.cmr.scan import ConversionOptions as CmrOptions
from custom.importers.cmr.volumes import VolumeOptions
from custom.importers.oct.conversion import ConversionOptions as OctOptions
from custom.importers.oct.writing import convert_file, is_converted, is_of_another
from custom.importers.studies import Study, is_marked_oct
from custom.scans.provenance import read_sidecar
from custom.scans.pullback_reader import PULLBACK_AXIS

logger = logging.getLogger(__name__)
FOLDER = "prepared"
"""Folder of the outputs in which prepared scans are kept, for the next run."""


@dataclass
class Prepared:
    """What became of a study.

    Attributes:
        volumes: NIfTI files, one for each stack, cine or pullback.
        faults: what could not be read, one line each.
        notes: what was put together, mended, guessed or left out.
    """

    volumes: list[Path] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Preparer:
    """Prepares studies into a folder; what an earlier run prepared from the same stays.

    Args:
        output_dir: of the outputs.
        pullbacks: how pullbacks are converted.
        slice_axis: of volumes that are no pullbacks; None for the one of largest spacing.
    """

    def __init__(self, output_dir: Path, pullbacks: OctOptions, slice_axis: int | None = None) -> None:
        self.folder = output_dir / FOLDER
        self.pullbacks, self.slice_axis = pullbacks, slice_axis
        self._cmr: Preparation | None = None

    def __call__(self, study: Study) -> Prepared:
        """Prepare a study. Whatever is wrong with it is in the answer, not raised."""
        if study.is_ready:
            return Prepared([study.path])
        return self._stacks(study) if study.cmr is not None else self._pullback(study)

    def _stacks(self, study: Study) -> Prepared:
        folder = self.folder / "cmr"
        if self._cmr is None:
            folder.mkdir(parents=True, exist_ok=True)
            whole = CmrOptions(spacing=0, size=0, centre="image")
            self._cmr = Preparation(folder, whole, DicomOptions(), VolumeOptions(), self.slice_axis)
        fate = self._cmr.convert(study.cmr)
        for note in fate.notes:
            logger.log(logging.WARNING if isinstance(note, Doubt) else logging.INFO, "%s: %s", study.name, note)
        return Prepared([folder / entry["image"] for entry in fate.entries], fate.faults, fate.notes)

    def _pullback(self, study: Study) -> Prepared:
        output = self.folder / "oct" / f"{study.name}.nii.gz"
        try:
            if is_of_another(output, study.path):
                remedy = f"rename it or choose another OUT; if it was exported again, remove {output}"
                raise InputError(study.path, f"would be {output.name}, which another source is", remedy)
            if not is_converted(study.path, output, self.pullbacks):
                output.parent.mkdir(parents=True, exist_ok=True)
                convert_file(study.path, output, self.pullbacks)
        except Exception as error:  # readers of many libraries: one bad source costs one line
            reason = " ".join(str(error).split()) or type(error).__name__
            is_told = isinstance(error, InputError | OSError | MemoryError)
            told = reason if is_told else f"{study.path}: cannot be read ({type(error).__name__}: {reason})"
            return Prepared(faults=[told])
        return Prepared([output], notes=_notes(read_sidecar(output)))


def _notes(record: Mapping[str, Any]) -> list[str]:
    """What was done to the frames of a pullback, from the record beside it."""
    notes = [f"{record['coordinates']} frames"]
    if record["from_colour"]:
        notes.append("the colour map of the display undone")
    if record["overlay_pixels_filled"]:
        notes.append(f"{record['overlay_pixels_filled']} pixels of burnt-in marks filled in every frame")
    return notes


def slice_axis_of(volume: Path, kind: str) -> int | None:
    """The array axis of a prepared volume's slices, as its record or header says; None where nothing says so."""
    if kind == "pullback":
        return PULLBACK_AXIS if is_marked_oct(volume) else None
    return read_sidecar(volume).get("scanner", {}).get("slice_axis")
