# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Trees of short-axis NIfTI files: plain ones, ACDC, M&Ms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from custom.errors import InputError
from custom.importers.cmr.scan import CmrScan, CmrVolume
from custom.scans.nifti import SUFFIXES, open_nifti, stem
from custom.scans.scan import Scan
from custom.scans.stacks import inspect_stack, read_slices

MASK = re.compile(r"_(gt|labels?|seg|mask|lv)$", re.IGNORECASE)
PART = re.compile(r"_(4d|sax?|cine|image|img|(?:phase|frame|t)_?\d+|ed|es)$", re.IGNORECASE)
"""Words at the end of a file name that tell what a file is of a scan, not which scan it is."""
LONG_AXIS = re.compile(r"_(la|lax|[234]ch)(_|$)", re.IGNORECASE)


@dataclass(frozen=True)
class NiftiGroup:
    """Files of one scan, told by their names.

    Args:
        name: what their names have in common: `patient001` for `patient001_4d`, `patient001_frame01`.
        images: in the order of their names.
        masks: for each image its mask, or None.
        centring_masks: masks of images that are left out (frames of a cine that is there as a whole).
    """

    name: str
    images: tuple[Path, ...]
    masks: tuple[Path | None, ...]
    centring_masks: tuple[Path, ...] = ()


def group_files(paths: Sequence[Path], frames: str = "cine") -> list[NiftiGroup]:
    """Tell scans, phases and masks of a folder apart by their names.

    ACDC: `patient001_4d`, `patient001_frame01`, `patient001_frame01_gt`. M&Ms: `A0S9V9_sa`, `A0S9V9_sa_gt`; M&Ms-2:
    `001_SA_CINE`, `001_SA_ED`, `001_SA_ED_gt`, long-axis files are left out. Sunnybrook: `SC-HF-I-01_phase08_image`,
    `SC-HF-I-01_phase08_lv`.

    Args:
        paths: NIfTI files of one folder.
        frames: where a scan has both a cine and single phases: "cine" takes the cine, "single" the phases.
    """
    images = [path for path in paths if not MASK.search(stem(path)) and not LONG_AXIS.search(stem(path))]
    masks = {MASK.sub("", stem(path)): path for path in paths if MASK.search(stem(path))}
    groups: dict[str, list[Path]] = {}
    for path in images:
        groups.setdefault(scan_name(path), []).append(path)
    found = []
    for name, files in groups.items():
        files = sorted(files, key=lambda path: stem(path).lower())
        of_file = {path: masks.get(stem(path)) or masks.get(re.sub(r"_(image|img)$", "", stem(path))) for path in files}
        cines = [path for path in files if _is_cine_name(path)]
        single = [path for path in files if path not in cines]
        kept = files
        if cines and single:
            kept = cines if frames == "cine" else single
        others = tuple(of_file[path] for path in files if path not in kept and of_file[path])
        found.append(NiftiGroup(name, tuple(kept), tuple(of_file[path] for path in kept), others))
    return found


def scan_name(path: Path) -> str:
    """The file name without the words that tell its part of the scan: phase, frame, cine, image."""
    name = stem(path)
    while (shorter := PART.sub("", name)) != name and shorter:
        name = shorter
    return name


def _is_cine_name(path: Path) -> bool:
    return bool(re.search(r"_(4d|cine)$", stem(path), re.IGNORECASE))


def nifti_files(folder: Path) -> list[Path]:
    """Visible NIfTI files of a folder, by name."""
    return sorted(p for p in folder.iterdir() if p.name.endswith(SUFFIXES) and p.name[0] != "." and p.is_file())


def read_group(group: NiftiGroup, names: Sequence[str], axis: int | None = None) -> CmrScan:
    """Read the files of a scan.

    Args:
        group: of :func:`group_files`.
        names: of the outputs, one for each image.
        axis: the through-plane array axis; None for the one of largest spacing.

    Raises:
        InputError: a file is no stack or cine, its mask is of another size, or phases differ in geometry.
    """
    volumes = []
    for path, mask, name in zip(group.images, group.masks, names, strict=True):
        info = inspect_stack(path, axis)
        slices = read_slices(info)
        label = _read_mask(mask, info) if mask else None
        volumes.append(CmrVolume(name, info, slices, label))
    first = volumes[0].info
    return CmrScan(tuple(volumes), tuple(_read_mask(mask, first) for mask in group.centring_masks))


def _read_mask(path: Path, info: Scan) -> np.ndarray:
    """A mask as `(N, T, H, W)` uint8. One phase is enough for a cine: the others then have none."""
    image = open_nifti(path, "give masks as NIfTI files")
    if image.shape[:3] != info.shape[:3] or (image.ndim > 3 and image.shape[3] not in (1, info.num_phases)):
        fault = f"is a mask of shape {image.shape}, its image {info.path.name} has {info.shape}"
        raise InputError(path, fault, "give the mask of this image, or remove it")
    try:
        values = np.asarray(image.dataobj).reshape(*image.shape[:3], -1)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(path, f"cannot be read to its end ({error})", "copy or export the file again") from error
    return np.ascontiguousarray(np.moveaxis(values, (info.axis, 3), (0, 1))).astype(np.uint8)
