# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Where short-axis scans are below a folder: DICOM exports, zips of them (UK Biobank field 20209), NIfTI trees."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom.errors import InvalidDicomError

from custom.errors import InputError
from custom.importers.cmr.dicom_files import is_dicom, open_dicom
from custom.importers.cmr.nifti_groups import (
    IMAGE_FOLDER,
    NiftiGroup,
    group_files,
    is_mask,
    mask_key,
    nifti_files,
    scan_name,
)
from custom.scans.nifti import SUFFIXES, stem
from custom.scans.provenance import sha256_of

logger = logging.getLogger("prepare_cmr")
KINDS = ("auto", "dicom", "zip", "nifti")
UKB_NAME = re.compile(r"^(\d+)_\d{5}_\d+_\d+$")
"""UK Biobank bulk files: participant_field_visit_instance."""
ANONYMOUS = re.compile(r"^(anon|unknown|none|patient$|test|x+$|0+$|de-?id)", re.IGNORECASE)
MAX_UNPACKED_BYTES = 16 * 2**30
MAX_UNPACKED_FILES = 100_000


@dataclass(frozen=True)
class CmrSource:
    """What is read at once: a DICOM study, a zip, or the NIfTI files of one scan.

    Args:
        kind: "dicom", "zip" or "nifti".
        name: of the source, unique in a tree that is named sensibly; outputs are named after it.
        patient: by the conventions of the tree.
        paths: folders of DICOM files, the zip, or NIfTI images.
        root: folder that paths are told relative to.
        group: of NIfTI files.
        output_names: of the NIfTI images.
    """

    kind: str
    name: str
    patient: str
    paths: tuple[Path, ...]
    root: Path
    group: NiftiGroup | None = None
    output_names: tuple[str, ...] = ()

    def told(self) -> list[str]:
        """The paths as records hold them: relative, since absolute ones can name people and machines."""
        return [path.relative_to(self.root).as_posix() for path in self.paths]


def find_sources(root: Path, kind: str = "auto", frames: str = "cine", pattern: str | None = None) -> list[CmrSource]:
    """The scans below a folder, which may be one itself.

    The patient is what `pattern` finds in the path; else, for NIfTI, a folder that the file is named after (ACDC,
    M&Ms); else the first folder below `root`; else the name of the file without the words that tell its part of the
    scan.

    Args:
        root: folder or file.
        kind: look only for "dicom", "zip" or "nifti"; "auto" for all.
        frames: see `custom.importers.cmr.nifti_groups.group_files`.
        pattern: regular expression; its first group, or the whole match, is the patient.

    Raises:
        InputError: nothing there, or a path without a patient.
    """
    if kind not in KINDS:
        raise InputError("--source", f"is {kind}", f"choose from {', '.join(KINDS)}")
    if not root.exists():
        raise InputError(root, "no such file or folder", "check --input")
    if root.is_file():
        found = _file_source(root, frames, pattern)
    else:
        finders = {"nifti": lambda: _nifti_sources(root, frames, pattern), "zip": lambda: _zips(root, pattern)}
        finders["dicom"] = lambda: _dicom_sources(root, pattern)
        found = [source for name, find in finders.items() if kind in ("auto", name) for source in find()]
    if not found:
        what = "NIfTI, DICOM or zip file" if kind == "auto" else kind
        raise InputError(root, f"holds no {what}", "give --input a scan or a folder of scans")
    return found


def find_nifti_source(path: Path) -> CmrSource:
    """One NIfTI file as a source of its own, without mask."""
    group = NiftiGroup(scan_name(path), (path,), (None,))
    return CmrSource("nifti", stem(path), group.name, (path,), path.parent, group, (stem(path),))


def fingerprint(source: CmrSource) -> str:
    """Tells whether the files of a source are those of an earlier run, by their content.

    Names and sizes do not do: uncompressed DICOM of one protocol has equal ones for every patient.
    """
    digest = hashlib.sha256()
    masks = source.group.masks + source.group.centring_masks if source.group else ()
    for path in (*source.paths, *filter(None, masks)):
        for file in visible_files(path) if path.is_dir() else [path]:
            digest.update(f"{file.name}:{sha256_of(file)};".encode())
    return digest.hexdigest()


def place(source: CmrSource) -> str:
    """Tells where a source lies, without saying it: paths can name people and machines."""
    paths = ";".join(os.path.realpath(path) for path in source.paths)
    return hashlib.sha256(paths.encode()).hexdigest()[:16]


def renamed(source: CmrSource, number: int) -> CmrSource:
    """The same source with outputs of other names."""
    names = tuple(f"{name}-{number}" for name in source.output_names)
    return replace(source, name=f"{source.name}-{number}", output_names=names)


def visible_files(folder: Path) -> list[Path]:
    """All files below a folder that are not hidden, sorted."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        found += [Path(parent) / name for name in sorted(files) if name[0] != "."]
    return found


@contextmanager
def unpacked(path: Path, max_bytes: int = MAX_UNPACKED_BYTES, max_files: int = MAX_UNPACKED_FILES) -> Iterator[Path]:
    """The files of a zip in a temporary folder, which goes when the context ends.

    Files are numbered and flat, whatever folders the zip names: nothing can lead out of the folder. Bytes are counted
    as they come out, since a zip may lie about sizes.

    Raises:
        InputError: damaged, encrypted, or larger than the limits.
    """
    remedy = "fetch the zip again, or unpack it yourself and give the folder"
    with tempfile.TemporaryDirectory(prefix="cmr_zip_") as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                members = [member for member in archive.infolist() if not member.is_dir()]
                if len(members) > max_files:
                    raise InputError(path, f"holds {len(members)} files, more than {max_files}", remedy)
                left = max_bytes
                for k, member in enumerate(members):
                    name = re.sub(r"[^\w.-]", "-", Path(member.filename).name.lstrip("."))[-80:]
                    with archive.open(member) as packed, open(Path(folder) / f"{k:06d}_{name}", "wb") as out:
                        while part := packed.read(2**20):
                            left -= len(part)
                            if left < 0:
                                raise InputError(path, f"unpacks to more than {max_bytes >> 20} MiB", remedy)
                            out.write(part)
        except InputError:
            raise
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error) as error:
            raise InputError(path, f"is a zip that cannot be unpacked ({error})", remedy) from error
        except OSError as error:
            fault = f"cannot be unpacked into {tempfile.gettempdir()} ({error.strerror or error})"
            raise InputError(path, fault, "free some space or set TMPDIR") from error
        yield Path(folder)


def _file_source(path: Path, frames: str, pattern: str | None) -> list[CmrSource]:
    if path.name.endswith((*SUFFIXES, ".hdr", ".img")):
        return _from_groups(group_files([path], frames), path.parent, path.parent, pattern)
    if zipfile.is_zipfile(path):
        return [_zip_source(path, path.parent, pattern)]
    if is_dicom(path):
        raise InputError(path, "is one DICOM image", "give the folder that holds the whole scan")
    raise InputError(path, "is neither NIfTI nor a zip", "give a NIfTI file, a zip or folder of DICOM files, or a tree")


def _nifti_sources(root: Path, frames: str, pattern: str | None) -> list[CmrSource]:
    parts: list[Path] = []
    for parent, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        if any(name.endswith(SUFFIXES) for name in files):
            parts.append(Path(parent))
    masks = [path for part in parts for path in nifti_files(part) if is_mask(path)]
    # A name that two label maps of the tree share tells nothing about an image in a third folder.
    keys = Counter(map(mask_key, masks))
    others = {mask_key(path): path for path in masks if keys[mask_key(path)] == 1 and _may_lie_apart(path)}
    found = []
    for part in parts:
        found += _from_groups(group_files(nifti_files(part), frames, others), part, root, pattern)
    groups = [source.group for source in found if source.group]
    used = {path for group in groups for path in (*group.masks, *group.centring_masks)}
    if unused := [path for path in masks if path not in used]:
        first = unused[0].relative_to(root)
        logger.info("left out %d label maps without an image of their name, such as %s", len(unused), first)
    return found


def _may_lie_apart(path: Path) -> bool:
    """Whether a label map names its case, so that it can be told apart from those of other patients."""
    return len(mask_key(path)) > 3


def _from_groups(groups: Sequence[NiftiGroup], folder: Path, root: Path, pattern: str | None) -> list[CmrSource]:
    found = []
    for group in groups:
        folders = tuple(name for name in folder.relative_to(root).parts if not IMAGE_FOLDER.match(name))
        patient = folders[0] if folders else group.name
        if group.name.startswith(folder.name) and folders:
            patient = folder.name
        patient = _patient(group.images[0].relative_to(root), pattern, patient)
        below = folders[folders.index(patient) + 1 :] if patient in folders else folders
        names = tuple(_output_name(patient, *below, stem(path)) for path in group.images)
        name = _output_name(patient, *below, scan_name(group.images[0]))
        found.append(CmrSource("nifti", name, patient, group.images, root, group, names))
    return found


def _zips(root: Path, pattern: str | None) -> list[CmrSource]:
    return [_zip_source(path, root, pattern) for path in visible_files(root) if path.suffix.lower() == ".zip"]


def _zip_source(path: Path, root: Path, pattern: str | None) -> CmrSource:
    folders = path.relative_to(root).parts[:-1]
    match = UKB_NAME.match(path.stem)
    patient = _patient(path.relative_to(root), pattern, match[1] if match else (*folders, path.stem)[0])
    return CmrSource("zip", _output_name(patient, *folders, path.stem), patient, (path,), root)


def _dicom_sources(root: Path, pattern: str | None) -> list[CmrSource]:
    """DICOM studies: the whole folder if it holds one study only, else its subfolders, which name patients."""
    first = _first_dicom(root, recursive=False)
    parts = [] if first else [path for path in sorted(root.iterdir()) if path.is_dir() and path.name[0] != "."]
    studies: dict[str, list[Path]] = {}
    for part in parts:
        if file := _first_dicom(part):
            # Folders without a study's number stay apart.
            studies.setdefault(_study(file) or part.name, []).append(part)
    if first or (len(studies) == 1 and len(next(iter(studies.values()))) > 1):
        patient = _patient(Path(root.name), pattern, root.name)
        return [CmrSource("dicom", _output_name(patient), patient, (root,), root.parent)]
    found = []
    for folders in studies.values():
        patient = _patient(folders[0].relative_to(root), pattern, folders[0].name)
        found.append(CmrSource("dicom", _output_name(patient), patient, tuple(folders), root))
    return found


def _first_dicom(folder: Path, recursive: bool = True) -> Path | None:
    files = visible_files(folder) if recursive else sorted(path for path in folder.iterdir() if path.is_file())
    return next((path for path in files if path.name.upper() != "DICOMDIR" and is_dicom(path)), None)


def _study(path: Path) -> str | None:
    try:
        return str(open_dicom(path, True, ["StudyInstanceUID"]).get("StudyInstanceUID") or "") or None
    except (InvalidDicomError, OSError, ValueError):
        return None


def header_patient(source: CmrSource) -> str | None:
    """PatientID of the first file of DICOM folders; None where there is none, or one that anonymisers give to all."""
    first = _first_dicom(source.paths[0]) if source.kind == "dicom" else None
    try:
        found = str(open_dicom(first, True, ["PatientID"]).get("PatientID") or "").strip() if first else ""
    except (InvalidDicomError, OSError, ValueError, TypeError, AttributeError):
        return None
    return found if found and not ANONYMOUS.match(found) else None


def _patient(path: Path, pattern: str | None, by_convention: str) -> str:
    if not pattern:
        return by_convention
    try:
        match = re.search(pattern, path.as_posix())
    except re.error as error:
        raise InputError("--patient_pattern", f"is not an expression ({error})", "mend it") from error
    if not match:
        raise InputError(path, f"does not match --patient_pattern {pattern}", "mend the expression")
    return match[1] if match.re.groups else match[0]


def _output_name(patient: str, *words: str) -> str:
    """`<patient>_<words>`, without words that say the same again."""
    kept = [patient]
    for word in words:
        if word != kept[-1]:
            kept = [*kept[:-1], word] if word.startswith(kept[-1]) else [*kept, word]
    return re.sub(r"[^\w.-]+", "-", "_".join(kept))
