# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""One study after the other: prepared, interpolated, shown; what fails is told and left."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from custom.densify.method import StudyInterpolator
from custom.densify.page import write_page
from custom.errors import InputError, input_error_in
from custom.exporters.dicom import write_dicom_series
from custom.importers.intake import place_of, write_fates
from custom.importers.left_out import below
from custom.importers.prepared import Prepared, Preparer, slice_axis_of
from custom.importers.studies import Study
from custom.inferers.claims import Claims
from custom.inferers.folder import WAIT_SECONDS
from custom.scans.nifti import stem

logger = logging.getLogger(__name__)
FAULTS = (ValueError, OSError, MemoryError, RuntimeError)
"""What a scan, a disk or a device can cause; anything else is a fault of this program."""


class Run:
    """The studies of an export into a folder.

    Args:
        root: the export.
        folder: of the outputs.
        prepare: what makes NIfTI of a study.
        evaluators: for each kind of study.
        claims: what shares the studies out among the processes that are at work in the folder.
        page: whether pages are written.
        dicom: whether studies that come as DICOM get a derived series.

    Attributes:
        failures: names of the studies of which something could not be done.
        pages: written or still right.
    """

    def __init__(
        self,
        root: Path,
        folder: Path,
        prepare: Preparer,
        evaluators: Mapping[str, StudyInterpolator],
        claims: Claims,
        page: bool = True,
        dicom: bool = True,
    ) -> None:
        self.root, self.folder, self.prepare, self.evaluators, self.page = root, folder, prepare, evaluators, page
        self.claims, self.dicom = claims, dicom
        self.failures: list[str] = []
        self.pages: list[Path] = []
        self._done = 0
        self._folders: dict[str, Path] = {}
        self._rows: list[dict[str, str]] = []

    def do(self, studies: Iterable[Study]) -> None:
        """Do every study; whatever is wrong with one costs a line for each fault.

        One that another process does now is looked at again at the end: what is done is kept, and what was left by a
        process that is no more is done.

        Args:
            studies: shown as they come, such as by a progress bar.
        """
        left = [study for study in studies if not self._do_if_free(study)]
        if left:
            logger.info("waiting for %d studies that other processes do", len(left))
        while left:
            left = [study for study in left if not self._do_if_free(study)]
            if left:
                time.sleep(WAIT_SECONDS)

    def _do_if_free(self, study: Study) -> bool:
        """Do a study, unless another process does it now: False. What another has failed at is not tried again."""
        key, row = f"{study.name} {below(study.path, self.root)}", self._row(study)
        try:
            if not self.claims.take(key):
                return False
        except InputError as error:
            self._tell(study, row, [str(error)], [], [])
            return True
        failed = self.claims.fault(key)
        if failed is not None:
            row = json.loads(failed)
            logger.error("failed in another process: %s: %s", study.name, row["reason"])
            self.failures.append(study.name)
            self._rows.append(row)
        try:
            if failed is None:
                self._do(study, row)
        finally:
            whole = row["fate"] in ("densified", "")
            self.claims.release(key, None if whole else json.dumps(row))
        return True

    def _do(self, study: Study, row: dict[str, str]) -> None:
        logger.info("%s", study.name)
        prepared = self.prepare(study)
        faults, outputs = list(prepared.faults), []
        for volume in prepared.volumes:
            outputs += self._do_volume(study, volume, prepared, faults)
        self._tell(study, row, faults, outputs, prepared.notes)

    def _row(self, study: Study) -> dict[str, str]:
        """Of `sources.csv`, before anything became of the study."""
        place = place_of(study.path, words=[study.name])
        patient = study.cmr.patient if study.cmr else ""
        return {"source": below(study.path, self.root), "place": place, "patient": patient, "fate": ""}

    def _tell(
        self, study: Study, row: dict[str, str], faults: list[str], outputs: list[Path], notes: list[str]
    ) -> None:
        """Tell and remember what became of a study; `row` gets it too."""
        for fault in faults:
            logger.error("failed: %s", fault)
        if faults:
            self.failures.append(study.name)
        self._done += len(outputs)
        row["fate"] = "densified" if not faults else "partly densified" if outputs else "failed"
        row["outputs"] = "; ".join(path.relative_to(self.folder).as_posix() for path in outputs)
        row["reason"] = "; ".join([*faults, *notes])
        self._rows.append(row)

    def _do_volume(self, study: Study, volume: Path, prepared: Prepared, faults: list[str]) -> list[Path]:
        """Do a scan; what is wrong is added to the faults, and what was written is returned."""
        evaluator, started = self.evaluators[study.kind], time.perf_counter()
        try:
            axis = slice_axis_of(volume, study.kind)
            output = evaluator.densify(volume, self._folder_of(volume), axis)
        except FAULTS as error:
            faults.append(_told(volume, error))
            return []
        logger.info("  %s: %s; %.1f s", stem(volume), evaluator.summary, time.perf_counter() - started)
        if evaluator.dry_run:
            return []
        if evaluator.preview is not None:
            logger.info("  %s", output)
            return [output]
        if self.page:
            try:
                notes = {"Preparation": "; ".join(prepared.notes)} if prepared.notes else None
                page, is_new = write_page(volume, output, study.kind, notes)
                self.pages.append(page)
                logger.info("  %s%s", page, "" if is_new else " (kept)")
            except FAULTS as error:
                faults.append(_told(output, error))
        if self.dicom and (sources := study.dicom_files):
            try:
                series = write_dicom_series(output, sources, output.parent)
                logger.info("  %s: %d DICOM files", series[0].parent, len(series))
            except Exception as error:  # pydicom, and headers of all makers: the volume is there all the same
                # Frames that were turned to gray, or whose marks were filled, are not those of the file: no failure.
                if study.kind == "pullback":
                    logger.warning("  no DICOM series: %s", _told(output, error))
                else:
                    faults.append(f"no DICOM series: {_told(output, error)}")
        return [output]

    def expect(self, studies: Iterable[Study]) -> None:
        """Give folders to the volumes that are known before anything is prepared, so that all processes agree."""
        for study in studies:
            if (volume := self.prepare.volume_of(study)) is not None:
                self._name_of(volume)

    def _folder_of(self, volume: Path) -> Path:
        folder = self.folder / self._name_of(volume)
        if not any(evaluator.dry_run for evaluator in self.evaluators.values()):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _name_of(self, volume: Path) -> str:
        """Name of the folder of a volume, with a number where two have one name."""
        name, number = stem(volume), 1
        while self._folders.setdefault(name, volume) != volume:
            number += 1
            name = f"{stem(volume)}-{number}"
        return name

    def write_fates(self, others: Iterable[Mapping[str, str]]) -> Path:
        """Write `sources.csv`, with rows of what is no study."""
        return write_fates(self.folder, [*self._rows, *others])

    def summary(self) -> str:
        """What was done, in one line."""
        scans = f"{self._done} scan{'s' * (self._done != 1)} done"
        where = f"; open {self.pages[0]}" if self.pages else ""
        more = f" and {len(self.pages) - 1} more" if len(self.pages) > 1 else ""
        failed = f"; failed: {', '.join(self.failures)}" if self.failures else ""
        return f"{scans} in {self.folder}{failed}{where}{more}"


def _told(path: Path, error: Exception) -> str:
    """A fault in one line."""
    told: object = input_error_in(error)
    if told is None and isinstance(error, OSError):
        told = InputError(path, f"cannot be written ({error})", "check the disk")
    elif told is None:
        told = f"{path}: {type(error).__name__} ({error})"
    return " ".join(str(told).split())
