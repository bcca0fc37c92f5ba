# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""One source after the other into a folder: what is done stays, names belong to one source each, all is told."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from custom.errors import InputError, closed
from custom.importers.cmr.dicom_options import DicomOptions
from custom.importers.cmr.mask_order import absence_doubt, order_doubt
from custom.importers.cmr.record import (
    Records,
    changed_settings,
    finished_entries,
    is_taken,
    read_records,
    stale_outputs,
)
from custom.importers.cmr.scan import ConversionOptions
from custom.importers.cmr.source import CmrSource, fingerprint, place, renamed
from custom.importers.cmr.sources import UKB
from custom.importers.cmr.study import read_source
from custom.importers.cmr.volumes import VolumeOptions
from custom.importers.cmr.writing import write_scan
from custom.importers.notes import Doubt, phrase
from custom.scans.provenance import read_sidecar

logger = logging.getLogger("prepare_cmr")


@dataclass
class Fate:
    """What became of a source.

    Args:
        source: it.
        patient: whose it is.
        entries: of the datalist.
        faults: what could not be converted, one line each.
        notes: what was put together, mended, guessed (`Doubt`) or left out.
        is_old: an earlier run had done it.
        stale: images of an earlier run that it no longer has.
    """

    source: CmrSource
    patient: str
    entries: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_old: bool = False
    stale: list[str] = field(default_factory=list)

    def row(self) -> dict[str, str]:
        """Of `sources.csv`."""
        fate = "converted" if not self.faults else "partly converted" if self.entries else "failed"
        return {
            "source": "; ".join(self.source.told()),
            "place": place(self.source),
            "patient": self.patient,
            "fate": "done already" if self.is_old else fate,
            "outputs": "; ".join(entry["image"] for entry in self.entries),
            "reason": "; ".join([*self.faults, *self.notes]),
        }


class Preparation:
    """Converts sources into a folder.

    Args:
        folder: of the outputs; records of earlier runs in it count.
        conversion: how scans are cropped.
        dicom: what becomes of DICOM images.
        volumes: how volumes are taken.
        slice_axis: of volumes, None for the one of largest spacing.
        aliases: second names of patients to the ones that are used.
        pattern: `--patient_pattern`.
    """

    def __init__(
        self,
        folder: Path,
        conversion: ConversionOptions,
        dicom: DicomOptions,
        volumes: VolumeOptions,
        slice_axis: int | None = None,
        aliases: Mapping[str, str] | None = None,
        pattern: str | None = None,
    ) -> None:
        self.folder, self.conversion, self.dicom, self.volumes = folder, conversion, dicom, volumes
        self.slice_axis, self.aliases, self.pattern = slice_axis, aliases or {}, pattern
        self.records: Records = read_records(folder)
        self._names: set[str] = set()
        self._of_others: Records = {}

    @property
    def settings(self) -> dict[str, Any]:
        """All that shapes an output, as records hold it."""
        options = {"conversion": self.conversion, "dicom": self.dicom, "volumes": self.volumes}
        return {name: asdict(value) for name, value in options.items()} | {"slice_axis": self.slice_axis}

    def convert(self, source: CmrSource) -> Fate:
        """Convert a source unless that is done. Nothing that is wrong with it is raised: faults are in the fate."""
        fate = Fate(source, self._alias(source.patient, source), notes=list(source.doubts))
        try:
            self._convert(source, fate)
        except InputError as error:
            fate.faults.append(" ".join(str(error).split()))
        except PermissionError as error:
            fate.faults.append(str(closed(error.filename or source.paths[0], error)))
        except MemoryError as error:
            fate.faults.append(f"{source.paths[0]}: is too large for memory ({phrase(error)}); leave it out")
        except Exception as error:  # one bad header must not end the folder
            told = f"{type(error).__name__}: {phrase(error)}"
            fate.faults.append(f"{source.paths[0]}: cannot be converted ({told}); export it again, or leave it out")
        return fate

    def _convert(self, source: CmrSource, fate: Fate) -> None:
        record = {"source": source.told(), "kind": source.kind, "name": source.name}
        record |= {"source_fingerprint": fingerprint(source), "source_place": place(source)}
        record |= {"settings": self.settings, "faults": []}
        self._look_at_others(record)
        entries = finished_entries(self.folder, self.records, record)
        if entries:
            self._names.update(Path(entry["image"]).name.removesuffix(".nii.gz") for entry in entries)
            if source.kind == "zip" and not self.pattern:  # whose it is was read then, not now
                fate.patient = self._alias(str(entries[0]["patient"]), source)
            fate.entries, fate.is_old = [{**entry, "patient": fate.patient} for entry in entries], True
            return
        if changed := changed_settings(self.records, record):
            fate.notes.append(f"made again, since options differ from those of an earlier run: {', '.join(changed)}")
        scans, notes, faults = read_source(source, self.dicom, self.slice_axis, self.volumes)
        fate.notes += notes
        labels = [(v.name, v.label) for scan in scans for v in scan.volumes if v.label is not None]
        doubts = [
            (name, of(label, self.conversion.masks)) for name, label in labels for of in (order_doubt, absence_doubt)
        ]
        fate.notes += [Doubt(f"{name}: {doubt}") for name, doubt in doubts if doubt]
        told_by = self._patient_of_zip(source, scans, fate)
        if told_by != source.patient_from:  # said of the source as it was found
            fate.source = replace(source, patient_from=told_by)
        scans = self._named(source, scans, record, fate)
        outputs = [volume.name for scan in scans for volume in scan.volumes]
        self._names.update(outputs)
        record |= {"faults": [fault.fault for fault in faults], "outputs": outputs}
        fate.stale = stale_outputs(self.records, record)
        if fate.stale:
            fate.notes.append(f"has other stacks than before: no longer in the datalist are {', '.join(fate.stale)}")
        record |= {"patient_from": told_by, "notes": fate.notes}
        record |= {"guesses": [note for note in fate.notes if isinstance(note, Doubt)]}
        fate.faults += [" ".join(str(fault).split()) for fault in faults]
        for scan in scans:
            try:
                fate.entries += write_scan(self.folder, scan, fate.patient, self.conversion, record)
            except InputError as error:
                fate.faults.append(" ".join(str(error).split()))

    def _look_at_others(self, record: Mapping[str, Any]) -> None:
        """Take over what another process, which may have been killed, has made of this source since we began.

        Of other sources nothing is taken over: a copy elsewhere becomes an output of its own, as in one process.
        """
        known = {*self.records, *self._of_others, *self._names}
        self._of_others = {**self._of_others, **read_records(self.folder, known)}
        same = {k: v for k, v in self._of_others.items() if v.get("source_place") == record["source_place"]}
        self.records = {**self.records, **same}

    def _alias(self, patient: str, source: CmrSource) -> str:
        return self.aliases.get(patient, self.aliases.get(source.name, patient))

    def _patient_of_zip(self, source: CmrSource, scans: Sequence, fate: Fate) -> str:
        """Take the patient of a zip from the headers in it, unless its name says more; returns what said so."""
        stated = scans[0].patient if source.kind == "zip" and scans else ""
        if not stated or source.patient_from == UKB or self.pattern:
            return source.patient_from
        fate.patient = self._alias(stated, source)
        return "PatientID of the header"

    def _named(self, source: CmrSource, scans: Sequence, record: dict[str, Any], fate: Fate) -> Sequence:
        """The scans with names that no other source has, in this run or an earlier one."""
        number = 1
        free = source
        outputs = [volume.name for scan in scans for volume in scan.volumes]

        def taken() -> bool:
            tail = "" if number == 1 else f"-{number}"
            return any(
                name + tail in self._names or is_taken(self.folder, self.records, name + tail, record)
                for name in outputs
            )

        while taken():
            number += 1
            free = renamed(source, number)
        if number == 1:
            return scans
        fate.notes.append(Doubt(f"{source.name} is the name of another source: this one becomes {free.name}"))
        record["name"] = free.name
        return [scan.renamed(number) for scan in scans]


def report_lines(folder: Path, fates: Sequence[Fate]) -> list[str]:
    """What each stack is: slices, phases, spacing, positions; from its record."""
    lines = []
    for fate in fates:
        for entry in fate.entries:
            lines.append(f"{entry['image']}: {_told_stack(read_sidecar(folder / entry['image']))}, {fate.patient}")
    return lines


def _told_stack(record: Mapping[str, Any]) -> str:
    shape, spacing, axis = record["shape"], record["spacing_mm"], record["scanner"]["slice_axis"]
    plane = " x ".join(str(n) for k, n in enumerate(shape[:3]) if k != axis)
    pixel = " x ".join(f"{value:.5g}" for k, value in enumerate(spacing) if k != axis)
    phases = f"{shape[3]} phases" if len(shape) > 3 else "1 phase"
    duration = f" of {record['phase_ms']:g} ms" if record.get("phase_ms") else ""
    told = f"{shape[axis]} slices x {phases}{duration}, {plane} pixels of {pixel} mm, {spacing[axis]:.5g} mm apart"
    positions = np.asarray(record.get("positions_mm") or [], float)
    return told + (f", at {positions[0]:.1f} to {positions[-1]:.1f} mm" if len(positions) else "")
