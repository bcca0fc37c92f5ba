# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""DICOM studies below a folder, by what headers say: whichever way an archive has laid its files out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from custom.errors import InputError, closed_file
from custom.importers.cmr.dicom import Headers
from custom.importers.cmr.dicom_headers import read_headers
from custom.importers.cmr.divided import with_divided_stacks
from custom.importers.cmr.joining import like
from custom.importers.cmr.source import CmrSource, common_folders, visible_files
from custom.importers.notes import Doubt
from custom.importers.patients import PLACEHOLDER, by_pattern, folder_name, of_dicom, output_name

MANY_FILES = 500
"""From here on a bar shows that headers are read."""


def find_dicom_sources(root: Path, pattern: str | None, patient_from: str, join: str = "like") -> list[CmrSource]:
    """The DICOM studies below a folder; see `custom.importers.cmr.sources.find_sources`.

    Files of one patient and one study are one source, in whichever folders they are. Without such numbers, the first
    folder below `root` stands for them. With `join` "all" the studies of a patient are one source.
    """
    files = visible_files(root)
    headers = read_headers(tqdm(files, desc="headers", disable=len(files) < MANY_FILES, leave=False))
    headers.unreadable += _damaged(files, headers)
    studies = list(_studies(headers, root, join))
    names = _names([study for study, _ in studies], root)
    found = []
    for (study, conflict), name in zip(studies, names, strict=True):
        folders = _first_folders(study, root)
        paths = tuple(root / name for name in folders) if folders else (root,)
        base = root if folders else root.parent
        stated = next((item.patient for item in (*study.images, *study.left_out)), "")
        folder = folders[0] if len(folders) == 1 else folder_name(root)
        patient = by_pattern(Path(folder), pattern) or of_dicom(stated, folder, patient_from)
        if conflict:
            study.unreadable.insert(0, conflict)
        source = CmrSource("dicom", name, patient.name, paths, base, patient_from=patient.told_by, headers=study)
        found.append(replace(source, doubts=patient.doubts))
    return with_divided_stacks(_with_shared_ids(found))


def find_dicom_file(path: Path, pattern: str | None, patient_from: str) -> list[CmrSource]:
    """One file of several frames (enhanced MR), which can be a whole scan.

    Raises:
        InputError: it is one image.
    """
    headers = read_headers([path])
    if len(headers.images) < 2:
        headers.check(path)
        raise InputError(path, "is one DICOM image", "give the folder that holds the whole scan")
    patient = by_pattern(Path(path.name), pattern) or of_dicom(headers.images[0].patient, path.stem, patient_from)
    name = output_name(path.stem)
    source = CmrSource("dicom", name, patient.name, (path,), path.parent, patient_from=patient.told_by, headers=headers)
    return [replace(source, doubts=patient.doubts)]


def _damaged(files: Sequence[Path], headers: Headers) -> list[InputError]:
    """Faults of files that are no DICOM, but empty, or named like the DICOM files beside them but for numbers."""
    known = headers.files()
    named = {(path.parent, like(path.name)) for path in known}
    folders = {path.parent for path in known}
    found = []
    for path in files:
        if path in known or path.parent not in folders or path.name.upper() == "DICOMDIR":
            continue
        if path.stat().st_size == 0 or (path.parent, like(path.name)) in named:
            fault = "is empty" if path.stat().st_size == 0 else "is no DICOM file, though it is named like one"
            found.append(closed_file(path) or InputError(path, fault, "export it again, or take it away"))
    return found


def _studies(headers: Headers, root: Path, join: str) -> Iterable[tuple[Headers, InputError | None]]:
    """Headers of each patient's studies, and what contradicts itself in them."""
    groups: dict[tuple[str, str], Headers] = {}

    def group(patient: str, study: str, path: Path) -> Headers:
        study = "all" if join == "all" and patient and not PLACEHOLDER.match(patient) else study
        key = (patient, study or f"folder {'/'.join(path.parent.relative_to(root).parts[:1])}")
        return groups.setdefault(key, Headers())

    for image in headers.images:
        group(image.patient, image.study, image.path).images.append(image)
    for item in headers.left_out:
        group(item.patient, item.study, item.path).left_out.append(item)
    conflicts = _conflicts(groups)
    for error in headers.unreadable:
        homes = [found for found in groups.values() if error.path.parent in {path.parent for path in found.files()}]
        for home in homes or [groups.setdefault(("", f"unreadable in {error.path.parent}"), Headers())]:
            home.unreadable.append(error)
    for key in sorted(groups):
        yield groups[key], conflicts.get(key)


def _conflicts(groups: dict[tuple[str, str], Headers]) -> dict[tuple[str, str], InputError]:
    """Groups that share a series in one folder: its files name several patients or studies, and some are wrong."""
    owners: dict[tuple, dict[tuple[str, str], Path]] = {}
    for key, found in groups.items():
        for item in (*found.images, *found.left_out):
            series = item.series_key
            if series[0]:
                owners.setdefault((item.path.parent, series), {}).setdefault(key, item.path)
    conflicts = {}
    for (_, series), keys in owners.items():
        if len(keys) < 2:
            continue
        what = "patients" if len({key[0] for key in keys}) > 1 else "studies"
        first, second = list(keys.values())[:2]
        fault = f"and {second.name} are of one series ({series[1]}) but name {len(keys)} {what}"
        error = InputError(first, fault, f"mend the headers, or give each of the {what} a folder")
        conflicts |= dict.fromkeys(keys, error)
    return conflicts


def _first_folders(study: Headers, root: Path) -> list[str]:
    """Folders below the root that hold a study; none if it lies in the root itself or spans all of several."""
    parts = [path.parent.relative_to(root).parts for path in study.files()]
    return [] if not all(parts) else sorted({part[0] for part in parts})


def _names(studies: Sequence[Headers], root: Path) -> list[str]:
    """A name for each study: of the folder that holds it, or of as many folders as tell it from the others."""
    folders = [common_folders(sorted(study.files()), root) for study in studies]
    at_root = any(not folder for folder in folders)
    whole = output_name(folder_name(root), root.name)
    names = [whole if not folder else output_name(folder[0]) for folder in folders]
    for k, folder in enumerate(folders):
        depth = 1
        while depth < len(folder) and sum(other[:depth] == folder[:depth] for other in folders) > 1:
            depth += 1
        if folder:
            names[k] = output_name(*([whole] if at_root else []), *folder[:depth])
    repeated = {name for name in names if names.count(name) > 1}
    counts: dict[str, int] = {}
    for k, name in enumerate(names):
        if name in repeated:
            counts[name] = counts.get(name, 0) + 1
            names[k] = f"{name}_study{counts[name]}"
    return names


def _with_shared_ids(sources: Sequence[CmrSource]) -> list[CmrSource]:
    """Sources with a doubt where one PatientID goes through several folders."""
    folders: dict[str, set[Path]] = {}
    for source in sources:
        if source.patient_from.startswith("PatientID"):
            folders.setdefault(source.patient, set()).update(source.paths)
    found, told = [], set()
    for source in sources:
        shared = folders.get(source.patient, set())
        if len(shared) > 1 and source.patient not in told and source.patient_from.startswith("PatientID"):
            told.add(source.patient)
            names = ", ".join(sorted(path.name for path in shared)[:4]) + (", ..." if len(shared) > 4 else "")
            doubt = Doubt(
                f"{len(shared)} folders ({names}) have the same PatientID: taken for one patient; if each is one, say "
                "--patient_from folder"
            )
            source = replace(source, doubts=(*source.doubts, doubt))
        found.append(source)
    return found
