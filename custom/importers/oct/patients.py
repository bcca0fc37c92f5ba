# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Whose pullback it is: so that nobody is in two sections."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from custom.errors import InputError
from custom.importers.notes import Doubt
from custom.importers.oct.dicom_headers import DicomHeader
from custom.importers.oct.source import OctSource
from custom.importers.patients import STRUCTURE, Patient, by_pattern, folder_name, of_dicom

if TYPE_CHECKING:
    from custom.importers.oct.sources import FindOptions

OPTIONS = "--patient_from, --patient_regex"


def with_patients(
    sources: Sequence[OctSource], headers: Mapping[Path, DicomHeader], root: Path, options: FindOptions
) -> list[OctSource | InputError]:
    """Sources with their patients: by `--patient_regex`, the header, a folder, the file.

    PatientID goes first unless anonymisers wrote it. Pullbacks of one study are of one patient, and what lies beside
    DICOM files of one patient, in a folder of their own, is of that patient.

    Args:
        sources: without patients.
        headers: of DICOM files.
        root: folder that paths are told relative to.
        options: which of these count.

    Returns:
        The sources, and the error of each that the expression does not match.

    Raises:
        InputError: `--patient_regex` is no expression.
    """
    found, errors = [], []
    for source in sources:
        try:
            found.append(_named(source, headers.get(source.files[0]), root, options))
        except InputError as error:
            if error.path == Path("--patient_regex"):
                raise
            errors.append(error)
    studies = {source.files[0]: headers[source.files[0]].study for source in found if source.files[0] in headers}
    if options.patient_from != "folder":
        found = _one_per_study(found, studies)
    found = [_like_its_neighbours(source, found, root) for source in found]
    return [*_with_split_folders(_with_shared_ids(found, root), root), *errors]


def _named(source: OctSource, header: DicomHeader | None, root: Path, options: FindOptions) -> OctSource:
    below = source.path.relative_to(root) if source.path != root else Path(root.name)
    folder = _folder_of(source, root)
    told_from = options.patient_from
    if options.patient_regex:
        inside = source.files[0].relative_to(root)
        within = below if _matches(below, options.patient_regex) else inside
        patient = by_pattern(within, options.patient_regex, "--patient_regex")
    elif told_from == "file":
        patient = Patient(source.words[-1], "file name")
    elif header is not None:
        patient = of_dicom(header.patient, folder or source.words[-1], told_from, OPTIONS)
    else:
        patient = Patient(folder, "folder") if folder else Patient(source.words[-1], "file name")
    doubts = (*patient.doubts, *source.doubts)
    return replace(source, patient=patient.name, patient_from=patient.told_by, doubts=doubts)


def _matches(path: Path, pattern: str) -> bool:
    """Whether an expression finds something in a path; one that is none is told by who asks next."""
    try:
        return bool(re.search(pattern, path.as_posix()))
    except re.error:
        return True


def _folder_of(source: OctSource, root: Path) -> str:
    """The first folder below the root that is no part of a data set's structure; "" if there is none."""
    if source.path == root:
        return folder_name(root)
    parts = source.path.relative_to(root).parts
    folders = parts if source.path.is_dir() else parts[:-1]
    named = [name for name in folders if not STRUCTURE.match(name)]
    return named[0] if named else folders[0] if folders and source.path.is_dir() else ""


def _one_per_study(sources: Sequence[OctSource], studies: Mapping[Path, str]) -> list[OctSource]:
    """Sources of one study that no header names, under one name."""
    named: dict[str, str] = {}
    found = []
    for source in sources:
        study = studies.get(source.files[0], "")
        if study and source.patient_from == "folder":
            name = named.setdefault(study, source.patient)
            if name != source.patient:
                told = Doubt(f"is of the same study as {name}: taken for the same patient ({OPTIONS})")
                source = replace(source, patient=name, patient_from="study", doubts=(*source.doubts, told))
        found.append(source)
    return found


def _like_its_neighbours(source: OctSource, sources: Sequence[OctSource], root: Path) -> OctSource:
    """A source without a header, in a folder whose DICOM files are of one patient, as one of that patient."""
    if source.patient_from not in ("folder", "file name"):
        return source
    first = _first_folder(source, root)
    stated = {s.patient for s in sources if s.patient_from.startswith("PatientID") and _first_folder(s, root) == first}
    if not first or len(stated) != 1:
        return source
    return replace(source, patient=stated.pop(), patient_from="DICOM files in the same folder")


def _first_folder(source: OctSource, root: Path) -> str:
    parts = source.files[0].relative_to(root).parts[:-1]
    return parts[0] if parts else ""


def _with_shared_ids(sources: Sequence[OctSource], root: Path) -> list[OctSource]:
    """A doubt where one PatientID goes through several folders, of which each may be a patient."""
    folders: dict[str, set[str]] = {}
    for source in sources:
        if source.patient_from.startswith("PatientID"):
            folders.setdefault(source.patient, set()).add(_first_folder(source, root))
    found, told = [], set()
    for source in sources:
        shared = sorted(folders.get(source.patient, set()))
        if len(shared) > 1 and source.patient not in told and source.patient_from.startswith("PatientID"):
            told.add(source.patient)
            names = ", ".join(name or "the root" for name in shared[:4]) + (", ..." if len(shared) > 4 else "")
            doubt = Doubt(
                f"{len(shared)} folders ({names}) have PatientID {source.patient}: taken for one patient; if each is "
                "one, say --patient_from folder"
            )
            source = replace(source, doubts=(*source.doubts, doubt))
        found.append(source)
    return found


def _with_split_folders(sources: Sequence[OctSource], root: Path) -> list[OctSource]:
    """A doubt where one folder holds several PatientIDs, and the folder may be the patient."""
    patients: dict[str, set[str]] = {}
    for source in sources:
        if source.patient_from.startswith("PatientID"):
            patients.setdefault(_first_folder(source, root), set()).add(source.patient)
    found, told = [], set()
    for source in sources:
        folder = _first_folder(source, root)
        several = sorted(patients.get(folder, set()))
        if folder and len(several) > 1 and folder not in told and source.patient_from.startswith("PatientID"):
            told.add(folder)
            doubt = Doubt(
                f"the folder {folder} holds {len(several)} PatientIDs: taken for as many patients; if the folder is "
                "one, say --patient_from folder"
            )
            source = replace(source, doubts=(*source.doubts, doubt))
        found.append(source)
    return found
