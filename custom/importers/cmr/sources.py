# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Where short-axis scans are below a folder: DICOM exports, zips of them (UK Biobank field 20209), trees of volumes."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from custom.errors import InputError, closed, closed_file
from custom.importers.cmr.dicom_sources import find_dicom_file, find_dicom_sources
from custom.importers.cmr.nifti_groups import NiftiGroup, group_files, scan_name
from custom.importers.cmr.nifti_sources import find_volume_sources, sources_of
from custom.importers.cmr.source import CmrSource, visible_files
from custom.importers.cmr.volumes import SUFFIXES, is_volume, volume_name
from custom.importers.cmr.zips import is_zip
from custom.importers.dicom_files import is_dicom
from custom.importers.left_out import LeftOut, closed_places, nothing_left
from custom.importers.patients import Patient, by_pattern, check_patient_from, output_name

KINDS = ("auto", "dicom", "zip", "nifti")
UKB_NAME = re.compile(r"^(\d+)_\d{5}_\d+_\d+$")
"""UK Biobank bulk files: participant_field_visit_instance."""
UKB = "name of a UK Biobank file"


def find_sources(
    root: Path,
    kind: str = "auto",
    frames: str = "cine",
    pattern: str | None = None,
    patient_from: str = "auto",
    left_out: LeftOut | None = None,
    join: str = "like",
) -> list[CmrSource]:
    """The scans below a folder, which may be one itself.

    The patient is what `pattern` finds in the path; else PatientID of DICOM headers, unless anonymisers wrote it; else,
    for volumes, the `sub-` of BIDS or a folder that the file is named after (ACDC, M&Ms); else the first folder below
    `root` that is not one of a data set's structure; else the name of the file without the words that tell its part of
    the scan.

    Args:
        root: folder or file.
        kind: look only for "dicom", "zip" or "nifti" (volumes of all formats); "auto" for all.
        frames: see `custom.importers.cmr.nifti_groups.group_files`.
        pattern: regular expression; its first group, or the whole match, is the patient.
        patient_from: see `custom.importers.patients`.
        left_out: gets files that are passed over, and why.
        join: see `custom.importers.cmr.dicom_options`; with "all" also the studies of a DICOM patient are one source.

    Raises:
        InputError: nothing there, or a path without a patient.
    """
    left_out = [] if left_out is None else left_out
    check_patient_from(patient_from)
    if kind not in KINDS:
        raise InputError("--source", f"is {kind}", f"choose from {', '.join(KINDS)}")
    try:
        if not root.exists():
            raise InputError(root, "no such file or folder", "check --input")
    except PermissionError as error:
        raise closed(root, error) from error
    if root.is_file():
        found = _file_source(root, frames, pattern, patient_from)
    else:
        finders = {
            "nifti": lambda: find_volume_sources(root, frames, pattern, patient_from, left_out),
            "zip": lambda: [_zip_source(path, root, pattern) for path in visible_files(root) if is_zip(path)],
            "dicom": lambda: find_dicom_sources(root, pattern, patient_from, join),
        }
        found = [source for name, find in finders.items() if kind in ("auto", name) for source in find()]
        found = [_like_its_neighbours(source, found) for source in found]
        known = {path for source in found for path in source.files()}
        left_out += closed_places(root, lambda path: path in known or is_volume(path))
    if not found:
        if left_out:
            remedy = "give --input short-axis scans that were acquired, with their masks beside them"
            raise nothing_left(left_out, f"{remedy}; if its name misleads, rename it")
        what = "NIfTI, DICOM or zip file" if kind == "auto" else f"source of the kind {kind}"
        remedy = "give --input a scan or a folder of scans" + (", or leave out --source" if kind != "auto" else "")
        raise InputError(root, f"holds no {what}", remedy)
    return found


def _like_its_neighbours(source: CmrSource, sources: Sequence[CmrSource]) -> CmrSource:
    """A volume beside DICOM files of one patient, in a folder of their own, as a scan of that patient.

    Else one person would have two names, and could be in two sections.
    """
    first = source.told()[0].split("/")[0]
    if source.group is None or first == source.told()[0] or source.patient_from == "--patient_pattern":
        return source
    stated = {s.patient for s in sources if s.kind == "dicom" and first in s.told() and s.patient != source.patient}
    if len(stated) != 1:
        return source
    return replace(source, patient=stated.pop(), patient_from="DICOM files in the same folder")


def find_volume(path: Path) -> CmrSource:
    """One volume as a source of its own, without mask."""
    group = NiftiGroup(scan_name(path), (path,), (None,))
    return CmrSource("nifti", volume_name(path), group.name, (path,), path.parent, group, (volume_name(path),))


def _file_source(path: Path, frames: str, pattern: str | None, patient_from: str) -> list[CmrSource]:
    if path.name.lower().endswith(SUFFIXES):
        group = NiftiGroup(scan_name(path), (path,), (None,))
        return sources_of(group_files([path], frames) or [group], path.parent, pattern, patient_from)
    if is_zip(path) or zipfile.is_zipfile(path):
        return [_zip_source(path, path.parent, pattern)]
    if is_dicom(path):
        return find_dicom_file(path, pattern, patient_from)
    if fault := closed_file(path):
        raise fault
    remedy = "give a NIfTI, NRRD or MetaImage file, a zip or folder of DICOM files, or a tree of these"
    raise InputError(path, "is no volume, no zip and no DICOM", remedy)


def _zip_source(path: Path, root: Path, pattern: str | None) -> CmrSource:
    folders = path.relative_to(root).parts[:-1]
    match = UKB_NAME.match(path.stem)
    named = Patient(match[1], UKB) if match else Patient((*folders, path.stem)[0], "folder" if folders else "file name")
    patient = by_pattern(path.relative_to(root), pattern) or named
    name = output_name(patient.name, *folders, path.stem)
    return CmrSource("zip", name, patient.name, (path,), root, patient_from=patient.told_by)
