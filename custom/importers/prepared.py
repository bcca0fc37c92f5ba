# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A study as NIfTI on the scanner's own grid: nothing is cropped, and no slice resampled."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from custom.errors import InputError
from custom.importers.cmr.dicom_options import DicomOptions
from custom.importers.cmr.preparation import Preparation
from custom.importers.cmr.scan import ConversionOptions as CmrOptions
from custom.importers.cmr.volumes import VolumeOptions
from custom.importers.notes import Doubt
from custom.importers.oct import preparation as oct
from custom.importers.oct.conversion import ConversionOptions as OctOptions
from custom.importers.oct.sources import FindOptions
from custom.importers.studies import Study, is_marked_oct
from custom.scans.provenance import read_sidecar
from custom.scans.pullback_reader import PULLBACK_AXIS

logger = logging.getLogger(__name__)
OPTION = re.compile(r"--(?:no)?(\w+)")
SCRIPTS = {"cmr": "data_scripts/prepare_cmr.py --size 0 --spacing 0", "oct": "data_scripts/prepare_oct.py"}
"""What has the options that importers advise, and does no more than is done here."""
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
        options: that the command has itself, of those that importers advise.
    """

    def __init__(
        self, output_dir: Path, pullbacks: OctOptions, slice_axis: int | None = None, options: Collection[str] = ()
    ) -> None:
        self.folder, self.options = output_dir / FOLDER, options
        self.pullbacks, self.slice_axis = pullbacks, slice_axis
        self._cmr: Preparation | None = None
        self._oct: oct.Preparation | None = None

    def __call__(self, study: Study) -> Prepared:
        """Prepare a study. Whatever is wrong with it is in the answer, not raised."""
        if study.is_ready:
            return Prepared([study.path])
        return self._stacks(study) if study.cmr is not None else self._pullback(study)

    def volume_of(self, study: Study) -> Path | None:
        """The one volume that a study is or becomes, where that is known before it is prepared; else None."""
        if study.is_ready:
            return study.path
        return None if study.cmr is not None else self.folder / "oct" / f"{study.name}.nii.gz"

    def _stacks(self, study: Study) -> Prepared:
        folder = self.folder / "cmr"
        if self._cmr is None:
            folder.mkdir(parents=True, exist_ok=True)
            whole = CmrOptions(spacing=0, size=0, centre="image")
            self._cmr = Preparation(folder, whole, DicomOptions(), VolumeOptions(), self.slice_axis)
        fate = self._cmr.convert(study.cmr)
        faults, notes = ([self._told(line, "cmr") for line in lines] for lines in (fate.faults, fate.notes))
        _log(study, notes)
        return Prepared([folder / entry["image"] for entry in fate.entries], faults, notes)

    def _pullback(self, study: Study) -> Prepared:
        folder = self.folder / "oct"
        if self._oct is None:
            folder.mkdir(parents=True, exist_ok=True)
            self._oct = oct.Preparation(folder, self.pullbacks, FindOptions())
        output = self.volume_of(study)
        if isinstance(study.oct, InputError) or not self._oct.is_done(study.oct, study.name):
            fate = self._oct.convert(study.oct, study.name)
            _log(study, [self._told(note, "oct") for note in fate.notes])
            if fate.fault:
                return Prepared(faults=[self._told(fate.fault, "oct")])
        return Prepared([output], notes=[self._told(note, "oct") for note in _notes(read_sidecar(output))])

    def _told(self, line: str, kind: str) -> str:
        """What an importer says; of options that this command lacks also where they are."""
        lacking = [name for name in OPTION.findall(line) if name not in self.options]
        told = f"{line} (options of {SCRIPTS[kind]}, whose output can be given instead)" if lacking else line
        return type(line)(told)


def _log(study: Study, notes: Iterable[str]) -> None:
    for note in notes:
        logger.log(logging.WARNING if isinstance(note, Doubt) else logging.INFO, "%s: %s", study.name, note)


def _notes(record: Mapping[str, Any]) -> list[str]:
    """What was done to the frames of a pullback, from the record beside it."""
    notes = [f"{record['coordinates']} frames", *record["notes"]]
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
