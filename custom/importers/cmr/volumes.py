# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Volumes that people have, as stacks: NIfTI and Analyze (also as .hdr/.img pairs), NRRD and MetaImage."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import label as connected

from custom.errors import InputError
from custom.geometry import is_array_axis, through_plane_axis
from custom.importers.cmr.itk import ITK, open_itk, values_of
from custom.importers.notes import Doubt, phrase
from custom.scans.header_repair import COPY_AGAIN, NO_AFFINE, SET_AFFINE, load_mended, other_half
from custom.scans.lengths import UNITS, to_mm
from custom.scans.nifti import is_regular, stored_header
from custom.scans.scan import Scan
from custom.scans.stacks import MEND_SLICE, STACK_PERCENTILES
from custom.scans.tissue import tissue_mask, tissue_range

NIFTI = (".nii.gz", ".nii", ".hdr", ".img", ".hdr.gz", ".img.gz")
SUFFIXES = (*NIFTI, *ITK)


@dataclass(frozen=True)
class VolumeOptions:
    """How volumes are taken; `data_scripts/prepare_cmr.py` explains each to its users.

    Args:
        unit: of lengths in NIfTI headers: "auto" for what they say, else one of `custom.scans.lengths.UNITS`.
        label_like: what becomes of an image with a few whole values: "refuse" it, or take it for an "image".

    Raises:
        InputError: an unknown choice.
    """

    unit: str = "auto"
    label_like: str = "refuse"

    def __post_init__(self) -> None:
        for name, allowed in {"unit": ("auto", *UNITS), "label_like": ("refuse", "image")}.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"--{name}", f"is {getattr(self, name)}", f"choose from {', '.join(allowed)}")


@dataclass
class ReadVolume:
    """A volume as it is in its file.

    Args:
        info: geometry in mm, header and stored dtype.
        slices: `(N, T, H, W)` as stored.
        outside: bool `(N, T, H, W)`, what is no tissue though it has a value (a far background, NaN); None if nothing.
        notes: what was mended, and guesses (`Doubt`).
        says_label: the header calls it a label map.
    """

    info: Scan
    slices: np.ndarray
    outside: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)
    says_label: bool = False


def is_volume(path: Path) -> bool:
    """Whether a name is that of a volume; of a pair the header stands for both."""
    name = path.name.lower()
    if name.endswith((".img", ".img.gz")):
        return not other_half(path).is_file()
    return name.endswith(SUFFIXES) and not name.startswith(".")


def volume_name(path: Path) -> str:
    """The file name without what tells its format."""
    lower = path.name.lower()
    suffix = max((suffix for suffix in SUFFIXES if lower.endswith(suffix)), key=len, default="")
    return path.name[: len(path.name) - len(suffix)]


def files_of(path: Path) -> list[Path]:
    """All files of a volume: the other half of a pair, the values beside a detached header."""
    partner = other_half(path)
    return [path, *([partner] if partner and partner.is_file() else values_of(path))]


def read_volume(path: Path, axis: int | None = None, unit: str = "auto") -> ReadVolume:
    """Read and check a stack or cine.

    Args:
        path: of any format of `SUFFIXES`.
        axis: the through-plane array axis; None for the one of largest spacing.
        unit: of lengths, see :class:`VolumeOptions`.

    Raises:
        InputError: it cannot be read, or is no gray stack of at least two slices with at least two values.
    """
    image, notes = _open(path, unit)
    shape = image.shape
    if len(shape) > 4:
        shape = (*shape[:3], *(size for size in shape[3:] if size != 1))
    if len(shape) > 4:
        fault = f"is a {len(shape)}D array {shape}, (X, Y, Z) or (X, Y, Z, T) is expected"
        raise InputError(path, fault, "split it into one file per series")
    if len(shape) < 3 or min(shape) < 1:
        raise InputError(path, f"is an array {shape}, no stack", "give a stack of at least two slices")
    values = _values(path, image).reshape(shape, order="A")
    header = stored_header(image) if isinstance(image.dataobj, nib.arrayproxy.ArrayProxy) else image.header.copy()
    slope, inter = (float(getattr(image.dataobj, name, value)) for name, value in (("slope", 1), ("inter", 0)))
    if values.dtype.kind == "c":
        notes.append(Doubt("values are complex: their magnitude is taken; if another part is meant, save it"))
        values = np.abs(values).astype(np.float32)
        header.set_data_dtype(np.float32)
        header.set_slope_inter(1, 0)
        slope, inter = 1.0, 0.0
    if values.dtype.kind not in "iuf":
        raise InputError(path, f"holds values of {values.dtype}, gray is expected", "save one channel as a volume")
    if axis is None:
        axis = through_plane_axis(image.affine)
        notes += _axis_doubts(image.affine, axis)
    elif not is_array_axis(axis):
        raise InputError(path, f"cannot be sliced along axis {axis}", "choose --slice_axis 0, 1 or 2")
    if shape[axis] < 2:
        fault = f"has one slice only along axis {axis}"
        raise InputError(path, fault, "give a stack of at least two slices, or name its --slice_axis")
    slices = np.ascontiguousarray(np.moveaxis(values.reshape(*shape[:3], -1, order="A"), (axis, 3), (0, 1)))
    _check_finite(path, slices)
    mask = tissue_mask(slices)
    try:
        intensity_range = tissue_range(slices if mask is None else slices[mask], STACK_PERCENTILES)
    except ValueError as error:
        raise InputError(path, f"is constant, every value is {slices.flat[0]}", "check the export") from error
    if np.array_equal(image.affine, np.eye(4)):
        told = "its header states no geometry (an identity affine): voxels are taken as 1 x 1 x 1 mm"
        notes.append(Doubt(f"{told}; if they are not, {SET_AFFINE}"))
    info = Scan(path, shape, axis, header.get_data_dtype(), slope, inter, image.affine, intensity_range, header)
    if info.may_be_colour:
        told = f"{info.num_phases} phases of 8 bits may be the channels of a colour image"
        notes.append(Doubt(f"{told}; if so, save one channel as a volume"))
    says_label = header["intent_code"].item() == 1002 or path.name.lower().endswith(".seg.nrrd")
    return ReadVolume(info, slices, None if mask is None else ~mask, notes, says_label)


def read_mask(path: Path, unit: str = "auto") -> tuple[np.ndarray, np.ndarray]:
    """The values of a label map in the axis order of its file, and its affine `(4, 4)`.

    Raises:
        InputError: it cannot be read, or its values are no numbers of structures.
    """
    image, _ = _open(path, unit)
    try:
        values = np.asarray(image.dataobj)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(path, f"cannot be read to its end ({phrase(error)})", COPY_AGAIN) from error
    if values.dtype.kind not in "iufb" or not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
        raise InputError(path, "has values that are no numbers of structures", "give masks of 0 to 255")
    if not np.array_equal(values, np.rint(values)):
        raise InputError(path, "has fractions for values, as probabilities have", "give masks of whole numbers")
    return values.astype(np.uint8), image.affine


def _open(path: Path, unit: str) -> tuple[nib.Nifti1Image, list[str]]:
    stated = None if unit == "auto" else unit
    try:
        image, notes = _open_itk(path, stated) if path.name.lower().endswith(ITK) else _open_nifti(path, stated)
    except InputError as error:
        if "has voxels of" not in error.fault:
            raise
        raise InputError(path, error.fault, f"{error.remedy}, or say --unit") from error
    if not is_regular(image.affine):
        raise InputError(path, NO_AFFINE, SET_AFFINE)
    return image, notes


def _open_nifti(path: Path, unit: str | None) -> tuple[nib.Nifti1Image, list[str]]:
    mended = load_mended(path, unit)
    return mended.image, [*mended.notes, *map(Doubt, mended.doubts)]


def _open_itk(path: Path, unit: str | None) -> tuple[nib.Nifti1Image, list[str]]:
    image, notes = open_itk(path)
    to_mm(path, image.header, unit, True, notes, [])
    return nib.Nifti1Image(image.dataobj, image.header.get_sform(), image.header), notes


def _values(path: Path, image: nib.Nifti1Image) -> np.ndarray:
    """The values as stored. A copy: a file that shrinks under a memory map ends the process."""
    proxy = image.dataobj
    try:
        return np.array(proxy.get_unscaled() if hasattr(proxy, "get_unscaled") else proxy, order="K")
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise InputError(path, f"cannot be read to its end ({phrase(error)})", COPY_AGAIN) from error


def _axis_doubts(affine: np.ndarray, axis: int) -> list[Doubt]:
    """A guess of the slice axis that is no clear one."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    others = np.delete(spacing, axis)
    if spacing[axis] < 1.5 * others.max():
        told = " x ".join(f"{value:g}" for value in spacing)
        return [Doubt(f"voxels are {told} mm: slices are taken to lie on axis {axis} (--slice_axis)")]
    return []


def _check_finite(path: Path, slices: np.ndarray) -> None:
    """Refuse NaN and infinity, unless they are the margin that a resampled scan has outside its field of view."""
    if slices.dtype.kind != "f" or np.isfinite(slices).all():
        return
    for k, phases in enumerate(slices):
        for t, plane in enumerate(phases):
            invalid = ~np.isfinite(plane)
            if invalid.all():
                raise InputError(path, f"has no value at all in slice {k + 1}, phase {t + 1}", MEND_SLICE)
            parts, count = connected(invalid)
            border = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
            holes = np.setdiff1d(np.arange(1, count + 1), border)
            if len(holes):
                row, column = np.argwhere(parts == holes[0])[0]
                where = f"first in slice {k + 1}, phase {t + 1} at {row}, {column}"
                raise InputError(path, f"has NaN or Inf amid its values, {where}", MEND_SLICE)
