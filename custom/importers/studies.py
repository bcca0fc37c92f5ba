# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What an export holds: stacks and cines of cardiac MR, pullbacks of OCT, scans that are prepared already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib

from custom.errors import InputError
from custom.importers.cmr import sources as cmr
from custom.importers.cmr.nifti_groups import is_mask
from custom.importers.cmr.source import CmrSource, visible_files
from custom.importers.cmr.volumes import is_volume
from custom.importers.dicom_files import is_dicom
from custom.importers.left_out import LeftOut, Unread, nothing_left
from custom.importers.oct import sources as oct_sources
from custom.importers.oct.dicom_headers import OTHERS, SYNTHETIC, DicomHeader, read_header
from custom.importers.oct.patients import with_patients
from custom.importers.oct.source import OctSource
from custom.importers.oct.sources import NO_FORMAT, FindOptions
from custom.importers.patients import folder_name, output_name
from custom.scans.nifti import stem
from custom.scans.provenance import read_sidecar, says_synthetic

MODALITIES = ("auto", "cmr", "oct")
SURE_MODALITIES = {"IVOCT", "OCT", "OPT"}
OCT_MODALITIES = {*SURE_MODALITIES, "OT", ""}
"""What DICOM of a pullback says; angiography and ultrasound of the same session say something else."""
PREPARED = ("source_fingerprint", "source_sha256")
"""Entries of the records that `data_scripts/` write beside what they prepare."""


@dataclass(frozen=True)
class Study:
    """What is read and densified at once.

    Attributes:
        kind: "stack" (short-axis stacks and cines) or "pullback".
        name: outputs are named after it; of a cardiac MR study the importer has the last word.
        path: file or folder, for messages.
        cmr: how the importer of cardiac MR names it; None for pullbacks and what is prepared.
        oct: how the importer of OCT names it, or what stops it from being a pullback; None for others.
        is_ready: a NIfTI file that is interpolated as it is.
    """

    kind: str
    name: str
    path: Path
    cmr: CmrSource | None = None
    oct: OctSource | InputError | None = None
    is_ready: bool = False

    @property
    def files(self) -> list[Path]:
        """The files that it is made of."""
        source = self.cmr if self.cmr is not None else self.oct
        if isinstance(source, CmrSource):
            return source.files()
        return list(source.files) if isinstance(source, OctSource) else [self.path]

    @property
    def dicom_files(self) -> list[Path]:
        """The DICOM files that it is made of, or the zip of them; none of another format."""
        if self.cmr is None:
            return [self.path] if self.path.is_file() and is_dicom(self.path) else []
        return {"dicom": self.cmr.files(), "zip": [self.path]}.get(self.cmr.kind, [])


def find_studies(root: Path, modality: str = "auto", left_out: LeftOut | None = None) -> list[Study]:
    """The studies of an export, which may be one itself.

    DICOM is told by its modality; NIfTI that `data_scripts/prepare_oct.py` marked in its header is a pullback, any
    other volume a stack or cine; arrays, TIFF stacks, and folders of images that hold nothing else are pullbacks.

    Args:
        root: folder or file.
        modality: "cmr" or "oct" to take everything for that; "auto" to look.
        left_out: gets what is passed over, and why.

    Raises:
        InputError: nothing there, or nothing to densify.
    """
    left_out = [] if left_out is None else left_out
    if modality not in MODALITIES:
        raise InputError("--modality", f"is {modality}", f"choose from {', '.join(MODALITIES)}")
    if not root.exists():
        raise InputError(root, "no such file or folder", "check EXPORT")
    ready = _ready(root, modality)
    pullbacks = [] if modality == "cmr" else _pullbacks(root, modality, left_out)
    taken = {study.path for study in (*ready, *pullbacks)}
    taken |= {file for study in pullbacks if isinstance(study.oct, OctSource) for file in study.oct.files}
    stacks = [] if modality == "oct" else _stacks(root, taken, left_out, bool(taken))
    found = [*ready, *stacks, *pullbacks]
    # Both kinds of importers look at every file; one that is part of a study says itself that it cannot be read.
    known = {path for study in found for path in study.files}
    left_out[:] = [item for item in dict.fromkeys(left_out) if not (isinstance(item[1], Unread) and item[0] in known)]
    if not found:
        if left_out:
            raise nothing_left(left_out, "give EXPORT scans that were acquired")
        what = "DICOM, NIfTI, zip, array or folder of frames"
        raise InputError(root, f"holds no scan ({what})", "give EXPORT a scan or a folder of scans")
    return found


def _ready(root: Path, modality: str) -> list[Study]:
    """NIfTI files that need no preparation: our own, and pullbacks by their header or by `--modality oct`."""
    found = []
    for path in [root] if root.is_file() else visible_files(root):
        if not (is_volume(path) and path.name.lower().endswith((".nii", ".nii.gz"))) or is_mask(path):
            continue
        if says_synthetic(path):
            continue
        is_pullback = modality == "oct" or (modality == "auto" and is_marked_oct(path))
        is_prepared = any(entry in read_sidecar(path) for entry in PREPARED)
        if is_pullback or is_prepared:
            found.append(Study("pullback" if is_pullback else "stack", stem(path), path, is_ready=True))
    return found


def is_marked_oct(path: Path) -> bool:
    """Whether the header of a NIfTI file says that it is a pullback `(H, W, frames)`, as our own files do."""
    try:
        return nib.load(path).header["descrip"].item().lower().startswith(b"oct ")
    except Exception:  # whatever nibabel makes of it: who reads it will say so
        return False


def _stacks(root: Path, taken: set[Path], left_out: LeftOut, is_mixed: bool) -> list[Study]:
    """Cardiac MR, without masks: what is densified is not cropped, and masks are not interpolated."""
    try:
        sources = cmr.find_sources(root, left_out=left_out)
    except InputError:
        # An export of pullbacks holds no cardiac MR; but of a file that is wrong, its importer has the best word.
        if is_mixed or left_out or (root.is_dir() and not _holds_cmr_files(root)):
            return []
        raise
    found, told = [], taken | {path for path, _ in left_out}
    for source in sources:
        if taken.intersection(source.paths):
            continue
        headers = source.headers
        if headers is not None and not (headers.images or headers.unreadable or headers.faults()):
            if told.intersection(headers.files()):
                continue  # a study of pullbacks or of what lies beside them
        if source.group is not None:
            masks = (None,) * len(source.group.images)
            source = replace(source, group=replace(source.group, masks=masks, centring_masks=()))
        found.append(Study("stack", source.name, source.paths[0], source))
    return found


def _holds_cmr_files(root: Path) -> bool:
    return any(is_dicom(path) or is_volume(path) or path.suffix.lower() == ".zip" for path in visible_files(root))


def _pullbacks(root: Path, modality: str, left_out: LeftOut) -> list[Study]:
    """DICOM, arrays, TIFF stacks and folders of frames."""
    if root.is_file() and (is_volume(root) or root.suffix.lower() == ".zip"):
        return []
    passed: LeftOut = []
    try:
        sources = oct_sources.find_sources(root, FindOptions(), passed)
    except InputError:
        sources = []
    if modality == "oct":
        others = {path: read_header(path) for path, _ in passed if is_dicom(path)}
        others = {path: header for path, header in others.items() if OTHERS.get(header.modality, "?") in header.reason}
        passed = [(path, reason) for path, reason in passed if path not in others]
        alone = [OctSource(path, (path,), (path.stem,)) for path in others]
        sources = [*sources, *with_patients(alone, others, root, FindOptions())]
    found = []
    for source in sources:
        reason = None if modality == "oct" else _why_no_pullback(source)
        if reason:
            left_out.append((source.path, reason))
        elif reason is None:
            found.append(source)
    for path, reason in passed:
        if modality == "auto" and is_dicom(path):
            reason = "" if OTHERS["MR"] in reason else _why_no_pullback(OctSource(path, (path,), ()))
        if reason and reason != NO_FORMAT:
            left_out.append((path, reason))
    return [
        Study("pullback", name, source.path, oct=source)
        for source, name in zip(found, _names(found, root), strict=True)
    ]


def _why_no_pullback(source: OctSource | InputError) -> str | None:
    """Why a source is no pullback; empty if it is for others to say, None if it is one."""
    first = source.path if isinstance(source, InputError) else source.files[0]
    if not is_dicom(first):
        folder = source.path.parent if isinstance(source, InputError) and source.path.is_file() else source.path
        beside = folder.is_dir() and _holds_other_scans(folder)
        told = "has images beside scans of another format: not taken for frames; if they are, give them a folder"
        return told if beside else None
    header = read_header(first)
    if header.modality == "MR" or header == DicomHeader():
        return ""  # the importer of cardiac MR tells of damaged files
    if header.modality not in OCT_MODALITIES:
        told = f"is of modality {header.modality}, neither MR nor OCT"
        return f"{told}; if it is a pullback, say --modality oct"
    if header.reason == SYNTHETIC:
        return header.reason
    is_series = header.modality in SURE_MODALITIES and len(source.files) > 1
    return None if is_series or (header.frames or 0) > 1 else ""


def _holds_other_scans(folder: Path) -> bool:
    """Whether a folder of images has DICOM or volumes beside them: then the images are previews or reports."""
    return any(path.is_file() and (is_volume(path) or is_dicom(path)) for path in folder.iterdir())


def _names(sources: Sequence[OctSource | InputError], root: Path) -> list[str]:
    """Of each the path below the export, in one word; of several in one folder with what tells them apart."""
    paths, found = [source.path for source in sources], []
    for source in sources:
        path, root_name = source.path, folder_name(root) if root.is_dir() else root.name
        parts = [root_name] if path == root else list(path.relative_to(root).parts)
        if path.is_file():
            parts[-1] = stem(Path(parts[-1])) if is_volume(path) else Path(parts[-1]).stem
        if paths.count(path) > 1 and isinstance(source, OctSource):
            parts.append(source.words[-1])
        name = output_name(parts[0], *parts[1:])
        found.append(name if name not in found else f"{name}-{found.count(name) + 1}")
    return found
