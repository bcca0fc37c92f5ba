# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Volumes of a folder by their names: scans, phases, label maps; ACDC, M&Ms, nnU-Net, ukbb_cardiac, BIDS, others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from custom.errors import InputError
from custom.importers.cmr.scan import CmrScan, CmrVolume
from custom.importers.cmr.volumes import VolumeOptions, read_mask, read_volume, volume_name
from custom.importers.notes import Doubt
from custom.scans.scan import Scan

_WORDS = r"gt|ground_?truth|labels?|lbl|segs?|segmentations?|masks?|rois?|contours?|annot(?:ation)?s?"
MASK = re.compile(
    rf"[_\-. ]({_WORDS}|dseg|probseg|lv|(?:lv|rv|myo)_?mask|truth|manual)$|^({_WORDS}|seg\d)[_\-. ]", re.IGNORECASE
)
"""Words that tell a label map: ACDC, M&Ms and Sunnybrook at the end, BIDS too (`_dseg`), ukbb_cardiac in front."""
MASK_FOLDER = re.compile(rf"^({_WORDS})(Tr|Ts|Va|Val|Class|[_\-. ].*)?$", re.IGNORECASE)
IMAGE_FOLDER = re.compile(r"^images?(Tr|Ts|Va|Val)?$", re.IGNORECASE)
"""Folders of nnU-Net (`imagesTr`, `labelsTr`) and the like, which name no patient."""
_BIDS_ENTITY = re.compile(r"_(label|desc)-[A-Za-z0-9]+")
"""What BIDS says of a mask, and not of its image."""
CHANNEL = re.compile(r"_000\d$")
"""What nnU-Net puts behind the name of a case, in a folder of images."""
MAX_LABEL_VALUES = 32
"""Different values in a label map; in an image of a few hundred thousand voxels there are more."""
MASK_PLACE_MM = 1.0
PART = re.compile(r"_(4d|sax?|cine|image|img|(?:phase|frame|t)_?\d+|ed|es)$", re.IGNORECASE)
"""Words at the end of a file name that tell what a file is of a scan, not which scan it is."""
LONG_AXIS = re.compile(r"_(la|lax)(_|$)|(^|_|-)[234]ch(_|-|$)", re.IGNORECASE)


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
    return bool(MASK.search(volume_name(path)) or MASK_FOLDER.match(path.parent.name))


def is_long_axis(path: Path) -> bool:
    """Whether the name of an image says that it is a long-axis view."""
    return bool(LONG_AXIS.search(volume_name(path))) and not is_mask(path)


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
    images = [path for path in paths if not is_mask(path) and not is_long_axis(path)]
    masks = {**(others or {}), **{mask_key(path): path for path in paths if is_mask(path)}}
    groups: dict[tuple[str, int], list[Path]] = {}
    for path in images:
        # Of `scan.nii` and `scan.nii.gz` each is a scan: as phases of one they would be written to one name.
        again = sum(volume_name(path) == volume_name(other) for other in images[: images.index(path)])
        groups.setdefault((scan_name(path), again), []).append(path)
    found = []
    for (name, _), files in groups.items():
        files = sorted(files, key=lambda path: volume_name(path).lower())
        of_file = {path: next(filter(None, map(masks.get, _image_keys(path))), None) for path in files}
        cines = [path for path in files if _is_cine_name(path) or (len(files) > 1 and _has_phases(path))]
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
    key = MASK.sub("", volume_name(path)) or volume_name(path)
    return _BIDS_ENTITY.sub("", key) if key.startswith("sub-") else key


def _image_keys(path: Path) -> list[str]:
    name = _case(path)
    keys = [volume_name(path), name, re.sub(r"_(image|img)$", "", name)]
    return [*keys, name.rpartition("_")[0]] if name.startswith("sub-") else keys  # BIDS: the suffix tells the contrast


def _case(path: Path) -> str:
    """The file name, in a folder of nnU-Net without the channel."""
    return CHANNEL.sub("", volume_name(path)) if IMAGE_FOLDER.match(path.parent.name) else volume_name(path)


def check_is_image(path: Path, slices: np.ndarray, says_label: bool = False) -> None:
    """Refuse what is a label map by its values, or by its header.

    Args:
        path: of the file, for the message.
        slices: of any shape.
        says_label: what the header says.

    Raises:
        InputError: it holds a few values and no others.
    """
    found = np.unique(slices[: max(1, len(slices) // 4)])
    if len(found) <= MAX_LABEL_VALUES:
        found = np.unique(slices)
    is_few = len(found) <= MAX_LABEL_VALUES
    if not (says_label or is_few):
        return
    told = ", ".join(f"{value:g}" for value in found[:8]) + (", ..." if len(found) > 8 else "")
    fault = f"holds the values {told} and no others, as a label map does"
    if says_label and not is_few:
        fault = "is a label map by its header"
    remedy = f"name it {volume_name(path)}_seg if it is one, or say --label_like image if it is an image"
    raise InputError(path, fault, remedy)


def _is_cine_name(path: Path) -> bool:
    return bool(re.search(r"_(4d|cine)$", volume_name(path), re.IGNORECASE))


def _has_phases(path: Path) -> bool:
    """Whether a header speaks of several phases; what cannot be opened is told when it is read."""
    try:
        return len(nib.load(path).shape) > 3
    except Exception:  # of whatever kind: this is a look in passing
        return False


def read_group(
    group: NiftiGroup, names: Sequence[str], axis: int | None = None, options: VolumeOptions | None = None
) -> tuple[CmrScan, list[str]]:
    """Read the files of a scan.

    Args:
        group: of :func:`group_files`.
        names: of the outputs, one for each image.
        axis: the through-plane array axis; None for the one of largest spacing.
        options: see :class:`VolumeOptions`.

    Returns:
        The scan, and what was mended or guessed.

    Raises:
        InputError: a file is no stack or cine, its mask is of another size, or phases differ in geometry.
    """
    options = options or VolumeOptions()
    volumes, notes, centring = [], [], []
    for path, mask, name in zip(group.images, group.masks, names, strict=True):
        found = read_volume(path, axis, options.unit)
        if options.label_like == "refuse":
            check_is_image(path, found.slices, found.says_label)
        notes += [type(note)(f"{path.name}: {note}") for note in found.notes]
        label = None
        if mask:
            label, doubts = _read_mask(mask, found.info, options.unit)
            notes += [f"{path.name}: its label map is {mask.name}", *doubts]
            if label.shape[1] < found.info.num_phases:
                told = f"{mask.name} does not say which phase it is of: used to find the heart, left out else"
                notes.append(Doubt(f"{told}; to keep it, save its phase beside it and say --frames single"))
                centring.append(label)
                label = None
        volumes.append(CmrVolume(name, found.info, found.slices, label, found.outside))
    first = volumes[0].info
    centring += [_read_mask(mask, first, options.unit)[0] for mask in group.centring_masks]
    return CmrScan(tuple(volumes), tuple(centring)), notes


def _read_mask(path: Path, info: Scan, unit: str) -> tuple[np.ndarray, list[Doubt]]:
    """A mask as `(N, T, H, W)` uint8, of all phases or of one, and what is doubtful about it."""
    values, affine = read_mask(path, unit)
    if values.shape[:3] != info.shape[:3] or (values.ndim > 3 and values.shape[3] not in (1, info.num_phases)):
        fault = f"is a mask of shape {values.shape}, its image {info.path.name} has {info.shape}"
        raise InputError(path, fault, "give the mask of this image, or remove it")
    corners = np.array([[*np.unravel_index(k, (2, 2, 2)), 1] for k in range(8)]) * [*info.shape[:3], 1]
    apart = float(np.abs(corners @ (affine - info.affine).T).max())
    doubts = []
    if apart > MASK_PLACE_MM:
        told = f"{path.name} lies {apart:.0f} mm from its image by its header: laid on it voxel by voxel"
        doubts.append(Doubt(f"{told}; if it was drawn elsewhere, resample it to its image, or remove it"))
    values = values.reshape(*values.shape[:3], -1)
    return np.ascontiguousarray(np.moveaxis(values, (info.axis, 3), (0, 1))), doubts
