# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Trees of short-axis NIfTI files: plain ones, ACDC, M&Ms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from custom.errors import InputError
from custom.importers.cmr.scan import CmrScan, CmrVolume
from custom.scans.nifti import SUFFIXES, open_nifti, stem
from custom.scans.scan import Scan
from custom.scans.stacks import inspect_stack, read_slices

MASK = re.compile(
    r"_(gt|labels?|lbl|seg|segmentation|dseg|probseg|masks?|lv|truth|annotation)$"
    r"|^(seg|seg\d|labels?|masks?|gt|segmentation)_",
    re.IGNORECASE,
)
"""Words that tell a label map: ACDC, M&Ms and Sunnybrook at the end, BIDS too (`_dseg`), ukbb_cardiac in front."""
MASK_FOLDER = re.compile(r"^(labels?|masks?|seg|segs|segmentations?|gt|ground_?truth)(Tr|Ts|Va|Val)?$", re.IGNORECASE)
IMAGE_FOLDER = re.compile(r"^images?(Tr|Ts|Va|Val)?$", re.IGNORECASE)
"""Folders of nnU-Net (`imagesTr`, `labelsTr`) and the like, which name no patient."""
CHANNEL = re.compile(r"_000\d$")
"""What nnU-Net puts behind the name of a case, in a folder of images."""
MAX_LABEL_VALUES = 8
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


def is_mask(path: Path) -> bool:
    """Whether the name of a file, or of its folder, says that it is a label map."""
    return bool(MASK.search(stem(path)) or MASK_FOLDER.match(path.parent.name))


def group_files(
    paths: Sequence[Path], frames: str = "cine", others: Mapping[str, Path] | None = None
) -> list[NiftiGroup]:
    """Tell scans, phases and masks of a folder apart by their names.

    ACDC: `patient001_4d`, `patient001_frame01`, `patient001_frame01_gt`. M&Ms: `A0S9V9_sa`, `A0S9V9_sa_gt`; M&Ms-2:
    `001_SA_CINE`, `001_SA_ED`, `001_SA_ED_gt`, long-axis files are left out. Sunnybrook: `SC-HF-I-01_phase08_image`,
    `SC-HF-I-01_phase08_lv`.

    Args:
        paths: NIfTI files of one folder.
        frames: where a scan has both a cine and single phases: "cine" takes the cine, "single" the phases.
        others: label maps of other folders by :func:`mask_key`, for images without one in their own folder.
    """
    images = [path for path in paths if not is_mask(path) and not LONG_AXIS.search(stem(path))]
    masks = {**(others or {}), **{mask_key(path): path for path in paths if is_mask(path)}}
    groups: dict[str, list[Path]] = {}
    for path in images:
        groups.setdefault(scan_name(path), []).append(path)
    found = []
    for name, files in groups.items():
        files = sorted(files, key=lambda path: stem(path).lower())
        of_file = {path: next(filter(None, map(masks.get, _image_keys(path))), None) for path in files}
        cines = [path for path in files if _is_cine_name(path) or (len(files) > 1 and stem(path) == name)]
        single = [path for path in files if path not in cines]
        kept = files
        if cines and single:
            kept = cines if frames == "cine" else single
        others = tuple(of_file[path] for path in files if path not in kept and of_file[path])
        found.append(NiftiGroup(name, tuple(kept), tuple(of_file[path] for path in kept), others))
    return found


def scan_name(path: Path) -> str:
    """The file name without the words that tell its part of the scan: phase, frame, cine, image."""
    name = _case(path)
    while (shorter := PART.sub("", name)) != name and shorter:
        name = shorter
    return name


def mask_key(path: Path) -> str:
    """What the name of a label map has in common with that of its image."""
    return MASK.sub("", stem(path)) or stem(path)


def _image_keys(path: Path) -> list[str]:
    name = _case(path)
    keys = [stem(path), name, re.sub(r"_(image|img)$", "", name)]
    return [*keys, name.rpartition("_")[0]] if name.startswith("sub-") else keys  # BIDS: the suffix tells the contrast


def _case(path: Path) -> str:
    """The file name, in a folder of nnU-Net without the channel."""
    return CHANNEL.sub("", stem(path)) if IMAGE_FOLDER.match(path.parent.name) else stem(path)


def check_is_image(path: Path, slices: np.ndarray) -> None:
    """Refuse what is a label map by its values.

    Args:
        path: of the file, for the message.
        slices: of any shape.

    Raises:
        InputError: it holds a few whole numbers and nothing else.
    """
    if slices.dtype.kind == "f" and not np.array_equal(slices[:1], np.rint(slices[:1])):
        return
    found = np.unique(slices)
    if len(found) <= MAX_LABEL_VALUES and np.array_equal(found, np.rint(found)):
        told = ", ".join(f"{value:g}" for value in found)
        fault = f"holds the values {told} and no others, as a label map does"
        raise InputError(path, fault, f"name it {stem(path)}_seg if it is one, or leave it out of --input")


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
        check_is_image(path, slices)
        label = _read_mask(mask, info) if mask else None
        volumes.append(CmrVolume(name, info, slices, label))
    first = volumes[0].info
    return CmrScan(tuple(volumes), tuple(_read_mask(mask, first) for mask in group.centring_masks))


def _read_mask(path: Path, info: Scan) -> np.ndarray:
    """A mask as `(N, T, H, W)` uint8. One phase is enough for a cine: the others then have none."""
    image = open_nifti(path, "give masks as NIfTI files", mend=True)
    if image.shape[:3] != info.shape[:3] or (image.ndim > 3 and image.shape[3] not in (1, info.num_phases)):
        fault = f"is a mask of shape {image.shape}, its image {info.path.name} has {info.shape}"
        raise InputError(path, fault, "give the mask of this image, or remove it")
    try:
        values = np.asarray(image.dataobj).reshape(*image.shape[:3], -1)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(path, f"cannot be read to its end ({error})", "copy or export the file again") from error
    return np.ascontiguousarray(np.moveaxis(values, (info.axis, 3), (0, 1))).astype(np.uint8)
