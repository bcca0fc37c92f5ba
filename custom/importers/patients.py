# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Whose scan it is: told by the user, by the header, by folders, by the file; and how outputs are named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from custom.errors import InputError
from custom.importers.notes import Doubt

PATIENT_FROM = ("auto", "header", "folder", "file")
PLACEHOLDER = re.compile(
    r"^(anon\w*|unknown|none|null|n/?a|test\w*|patient|patient ?id|x+|0+|-+|removed|de-?id\w*|no ?id|\*+|redacted)$",
    re.IGNORECASE,
)
"""What anonymisers write into PatientID: it tells nobody from anybody."""
STRUCTURE = re.compile(
    r"^(images?|labels?|masks?|segs?|segmentations?)?(tr|ts|va|val)?$"
    r"|^(nii|nifti|nrrd|dicom|dcm|data|dataset|database|raw|rawdata|sourcedata|derivatives|train(ing)?|test(ing)?"
    r"|val(idation)?|(un)?labell?ed|cmr|cardiac|heart|anat|func|cine|sax|sa|short_?axis|scans?|(task|dataset)\d+_\w+)$",
    re.IGNORECASE,
)
"""Folders that name a part of a data set, not a patient."""
GENERIC = re.compile(
    r"^(scan|stack|image|img|volume|vol|cine|sa|sax|short_?axis|4d|input|data|mri?|cmr|heart|im)$",
    re.IGNORECASE,
)
"""File names that tell nobody from anybody: whose scan it is, the folder says."""
_OPTIONS = "--patient_from, --patient_pattern"
BIDS = re.compile(r"(?:^|[/_])(sub-[A-Za-z0-9]+)")


@dataclass(frozen=True)
class Patient:
    """Whose a scan is.

    Args:
        name: of the patient.
        told_by: what said so.
        doubts: why it may be wrong, with the option that overrules it.
    """

    name: str
    told_by: str
    doubts: tuple[Doubt, ...] = ()


def check_patient_from(value: str) -> None:
    """Raise InputError unless it is one of `PATIENT_FROM`."""
    if value not in PATIENT_FROM:
        raise InputError("--patient_from", f"is {value}", f"choose from {', '.join(PATIENT_FROM)}")


def by_pattern(path: Path, pattern: str | None, option: str = "--patient_pattern") -> Patient | None:
    """The patient that an expression finds in a path; None without an expression.

    Args:
        path: which may be no more than a name.
        pattern: regular expression; its first group, else the whole match.
        option: that it was given with.

    Raises:
        InputError: it is no expression, or does not match.
    """
    if not pattern:
        return None
    try:
        match = re.search(pattern, path.as_posix())
    except re.error as error:
        raise InputError(option, f"is not an expression ({error})", "mend it") from error
    if not match:
        raise InputError(path, f"does not match {option} {pattern}", "mend the expression")
    return Patient(match[1] if match.re.groups else match[0], option)


def of_dicom(stated: str, folder: str, told_from: str, options: str = _OPTIONS) -> Patient:
    """The patient of a DICOM study.

    Args:
        stated: PatientID of its headers.
        folder: name of its folder.
        told_from: one of `PATIENT_FROM`.
        options: that overrule the guess.
    """
    if told_from in ("folder", "file"):
        return Patient(folder, "folder")
    if stated and (told_from == "header" or not PLACEHOLDER.match(stated)):
        return Patient(stated, "PatientID of the header")
    why = f"PatientID is {stated}" if stated else "the header states no PatientID"
    doubt = Doubt(f"{why}: the patient is named after the folder, {folder} ({options})")
    return Patient(folder, "folder", (doubt,))


def of_file(path: Path, root: Path, scan: str, told_from: str) -> Patient:
    """The patient of a volume.

    Args:
        path: of the file.
        root: of the tree.
        scan: file name without the words that tell its part of the scan.
        told_from: one of `PATIENT_FROM`; "header" is "auto", since volumes name nobody.
    """
    below = path.relative_to(root)
    folders = [name for name in below.parts[:-1] if not STRUCTURE.match(name)]
    if told_from == "file":
        return Patient(scan, "file name")
    if told_from == "folder" and folders:
        return Patient(folders[0], "folder")
    if bids := BIDS.search(below.as_posix()):
        return Patient(bids[1], "sub- of BIDS")
    if folders and scan.startswith(folders[-1]):
        return Patient(folders[-1], "folder that the file is named after")
    if folders:
        return Patient(folders[0], "folder")
    named = folder_name(root)
    if GENERIC.match(scan) and len(below.parts) == 1:
        why = f"the file name {scan} names nobody"
        doubt = Doubt(f"{why}: the patient is named after the folder, {named} ({_OPTIONS})")
        return Patient(named, "folder", (doubt,))
    return Patient(scan, "file name")


def folder_name(folder: Path) -> str:
    """The name of a folder, or of the one around it where the first is a part of a data set's structure (`DICOM`)."""
    around = folder.parent.name
    return around if STRUCTURE.match(folder.name) and around and not STRUCTURE.match(around) else folder.name


def output_name(patient: str, *words: str) -> str:
    """`<patient>_<words>`, without words that say the same again."""
    kept = [patient]
    for word in words:
        if word != kept[-1]:
            kept = [*kept[:-1], word] if word.startswith(kept[-1]) else [*kept, word]
    return re.sub(r"[^\w.-]+", "-", "_".join(filter(None, kept))).lstrip(".") or "scan"


def one_patient_doubts(scans: Sequence[tuple[str, str]]) -> dict[str, Doubt]:
    """For each folder that was taken for one patient although it holds differently named scans, the doubt.

    Args:
        scans: (folder, scan name) of those whose patient is their folder.
    """
    names: dict[str, set[str]] = {}
    for folder, scan in scans:
        names.setdefault(folder, set()).add(scan)
    return {
        folder: Doubt(
            f"{len(found)} differently named scans in the folder {folder} are taken for one patient; if each is a "
            "patient, say --patient_from file, or --patient_pattern"
        )
        for folder, found in names.items()
        if len(found) > 1
    }
