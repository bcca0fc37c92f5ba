# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What an export holds: stacks and cines of cardiac MR, pullbacks of OCT, scans that are prepared already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib

from custom.errors import InputError
from custom.importers.cmr import sources as cmr
from custom.importers.cmr.dicom_files import is_dicom, open_dicom
from custom.importers.cmr.nifti_groups import is_mask
from custom.importers.cmr.patients import folder_name, output_name
from custom.importers.cmr.source import CmrSource, visible_files
from custom.importers.cmr.volumes import is_volume
from custom.importers.oct import sources as oct_sources
from custom.scans.nifti import stem
from custom.scans.provenance import read_sidecar, says_synthetic

MODALITIES = ("auto", "cmr", "oct")
OCT_MODALITIES = {"IVOCT", "OCT", "OPT", "OT", ""}
"""What DICOM of a pullback says; angiography and ultrasound of the same session say something else."""
PREPARED = ("source_fingerprint", "source_sha256")
"""Entries of the records that `data_scripts/` write beside what they prepare."""
LeftOut = list[tuple[Path, str]]


@dataclass(frozen=True)
class Study:
    """What is read and densified at once.

    Attributes:
        kind: "stack" (short-axis stacks and cines) or "pullback".
        name: outputs are named after it; of a cardiac MR study the importer has the last word.
        path: file or folder, for messages.
        cmr: how the importer of cardiac MR names it; None for pullbacks and what is prepared.
        is_ready: a NIfTI file that is interpolated as it is.
    """

    kind: str
    name: str
    path: Path
    cmr: CmrSource | None = None
    is_ready: bool = False

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
    stacks = [] if modality == "oct" else _stacks(root, taken, left_out, bool(taken))
    found = [*ready, *stacks, *pullbacks]
    if not found:
        if left_out:
            path, reason = left_out[0]
            raise InputError(path, reason, "give EXPORT scans that were acquired")
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
    found = []
    for source in sources:
        if taken.intersection(source.paths):
            continue
        headers = source.headers
        if headers is not None and not (headers.images or headers.unreadable or headers.faults()):
            if taken.intersection(headers.files()):
                continue  # a study of pullbacks, which are told there
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
    try:
        paths = oct_sources.find_sources(root)
    except InputError:
        return []
    found = []
    for path in paths:
        if path.is_dir() and _holds_other_scans(path):
            left_out.append((path, "has images beside scans of another format: not taken for frames"))
        elif path.is_file() and is_dicom(path) and modality == "auto":
            if (reason := _why_no_pullback(path)) is None:
                found.append(path)
            elif reason:
                left_out.append((path, reason))
        else:
            found.append(path)
    return [Study("pullback", _name(path, root), path) for path in found]


def _holds_other_scans(folder: Path) -> bool:
    """Whether a folder of images has DICOM or volumes beside them: then the images are previews or reports."""
    return any(path.is_file() and (is_volume(path) or is_dicom(path)) for path in folder.iterdir())


def _why_no_pullback(path: Path) -> str | None:
    """Why a DICOM file is no pullback; empty if it is for others to say, None if it is one."""
    try:
        header = open_dicom(path, stop_before_pixels=True, tags=["Modality", "NumberOfFrames"])
        modality, frames = str(header.get("Modality") or ""), int(header.get("NumberOfFrames") or 0)
    except Exception:  # whatever pydicom stumbles over; the importer of cardiac MR tells of damaged files
        return ""
    if modality == "MR":
        return ""
    if modality not in OCT_MODALITIES:
        return f"is of modality {modality}, neither MR nor OCT; if it is a pullback, say --modality oct"
    return None if frames > 1 else ""


def _name(path: Path, root: Path) -> str:
    """The path below the export, in one word."""
    parts = [folder_name(root)] if path == root and path.is_dir() else list(path.relative_to(root).parts)
    parts = [root.name] if path == root and path.is_file() else parts
    if path.is_file():
        parts[-1] = stem(Path(parts[-1])) if is_volume(path) else Path(parts[-1]).stem
    return output_name(parts[0], *parts[1:])
