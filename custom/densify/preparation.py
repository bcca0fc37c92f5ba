# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A study as NIfTI on the scanner's own grid: nothing is cropped, and no slice resampled."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from custom.densify.studies import Study
from custom.errors import InputError
from custom.importers.cmr.dicom_options import DicomOptions
from custom.importers.cmr.notes import Doubt
from custom.importers.cmr.preparation import Preparation
from custom.importers.cmr.scan import ConversionOptions as CmrOptions
from custom.importers.cmr.volumes import VolumeOptions
from custom.importers.oct.conversion import ConversionOptions as OctOptions
from custom.importers.oct.writing import convert_file, is_converted, is_of_another

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
    """

    def __init__(self, output_dir: Path, pullbacks: OctOptions) -> None:
        self.folder = output_dir / FOLDER
        self.pullbacks = pullbacks
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
            self._cmr = Preparation(folder, whole, DicomOptions(), VolumeOptions())
        fate = self._cmr.convert(study.cmr)
        for note in fate.notes:
            logger.log(logging.WARNING if isinstance(note, Doubt) else logging.INFO, "%s: %s", study.name, note)
        return Prepared([folder / entry["image"] for entry in fate.entries], fate.faults, fate.notes)

    def _pullback(self, study: Study) -> Prepared:
        output = self.folder / "oct" / f"{study.name}.nii.gz"
        try:
            if is_of_another(output, study.path):
                raise InputError(study.path, f"would be {output.name}, which another source is", "rename one of them")
            if not is_converted(study.path, output, self.pullbacks):
                output.parent.mkdir(parents=True, exist_ok=True)
                convert_file(study.path, output, self.pullbacks)
        except Exception as error:  # readers of many libraries: one bad source costs one line
            reason = " ".join(str(error).split()) or type(error).__name__
            is_told = isinstance(error, InputError | OSError | MemoryError)
            told = reason if is_told else f"{study.path}: cannot be read ({type(error).__name__}: {reason})"
            return Prepared(faults=[told])
        return Prepared([output])
