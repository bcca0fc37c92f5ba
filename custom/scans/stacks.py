# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Short-axis stacks and cines on disk: checked, read as slices, written with the geometry and the bytes they came with.

A stack is a NIfTI file `(X, Y, Z)`, a cine `(X, Y, Z, T)`. In memory their slices are `(N, T, H, W)`: N along the
through-plane axis, T phases of the heart cycle (1 for a stack), H and W the two other array axes in their order. Whole
files are held: a cine of 256 x 256 x 13 x 20 voxels takes 33 MiB.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import nibabel as nib
import numpy as np

from custom.errors import InputError
from custom.geometry import is_array_axis, through_plane_axis
from custom.scans.header_repair import COPY_AGAIN
from custom.scans.nifti import find_nifti, open_nifti, output_header, stored_header
from custom.scans.nifti_writer import NiftiWriter
from custom.scans.scan import Scan
from custom.scans.tissue import tissue_range

STACK_PERCENTILES = (0.5, 99.5)
"""Of all slices and phases together (methods.md B17): what [0, 1] stands for."""
_SCRIPT = "data_scripts/prepare_cmr.py"
_CONVERT = f"save it as NIfTI (.nii.gz), or convert it with {_SCRIPT}"
MEND_SLICE = "mend that slice, or remove it where it is the first or the last"


def inspect_stack(path: str | Path, axis: int | None = None) -> Scan:
    """Check a stack or cine in full and measure its intensity range.

    Args:
        path: a `.nii` or `.nii.gz` file.
        axis: the through-plane array axis; by default the one of largest spacing, the last of several equal ones. A
            stack whose slices lie closer together than its pixels needs it.

    Returns:
        What is needed to read it, and to write another one like it.

    Raises:
        InputError: not a readable NIfTI, not a gray 3D or 4D array, fewer than two slices, NaN or Inf, constant.
    """
    path = Path(path)
    image = open_nifti(path, _CONVERT, mend=True)
    shape = _gray_shape(path, image)
    if axis is None:
        axis = through_plane_axis(image.affine)
    elif not is_array_axis(axis):
        raise InputError(path, f"cannot be sliced along axis {axis}", "choose slice axis 0, 1 or 2")
    if shape[axis] < 2:
        fault = f"has one slice only along axis {axis}"
        raise InputError(path, fault, "give a stack of at least two slices, or name its slice axis")
    header = stored_header(image)
    return Scan(
        path=path,
        shape=shape,
        axis=axis,
        dtype=header.get_data_dtype(),
        slope=float(image.dataobj.slope),
        inter=float(image.dataobj.inter),
        affine=image.affine,
        intensity_range=_checked_range(path, _read(path, image)),
        header=header,
    )


def _gray_shape(path: Path, image: nib.Nifti1Image) -> tuple[int, ...]:
    """Shape `(X, Y, Z)` or `(X, Y, Z, T)` of a gray image; axes of one element after the fourth do not count."""
    shape = image.shape
    while len(shape) > 4 and shape[-1] == 1:
        shape = shape[:-1]
    if image.get_data_dtype().kind not in "iuf":
        raise InputError(path, "holds colour or complex values, gray is expected", "save its magnitude or one channel")
    if len(shape) > 4:
        fault = f"is a {len(shape)}D array {shape}, (X, Y, Z) or (X, Y, Z, T) is expected"
        raise InputError(path, fault, "split it into one file per series")
    if len(shape) < 3:
        raise InputError(path, "has one slice only", "give a stack of at least two slices")
    return shape


def _read(path: Path, image: nib.Nifti1Image) -> np.ndarray:
    """The values as stored, `(X, Y, Z)` or `(X, Y, Z, T)` or with more axes of one element."""
    try:
        # A copy: a file that shrinks under a memory map ends the process.
        return np.array(image.dataobj.get_unscaled(), order="K")
    except (EOFError, OSError, ValueError, zlib.error) as error:
        reason = str(error).replace(str(path), "the file").splitlines()[0]
        raise InputError(path, f"cannot be read to its end ({reason})", COPY_AGAIN) from error


def _checked_range(path: Path, values: np.ndarray) -> tuple[float, float]:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        where = np.argwhere(~np.isfinite(values))[0].tolist()
        remedy = f"{MEND_SLICE}; a margin of them {_SCRIPT} fills (--size 0 --spacing 0)"
        raise InputError(path, f"has NaN or Inf, first at voxel {where}", remedy)
    try:
        return stack_intensity_range(values)
    except ValueError as error:
        raise InputError(path, f"is constant, every value is {values.flat[0]}", "check the export") from error


def stack_intensity_range(values: np.ndarray) -> tuple[float, float]:
    """(low, high) of a whole stack or cine, any shape: its 0.5 and 99.5 percentiles, in its own units.

    Of tissue only (:func:`custom.scans.tissue.tissue_mask`): padding and NaN do not count.

    Raises:
        ValueError: the values are constant.
    """
    return tissue_range(values, STACK_PERCENTILES)


def read_slices(info: Scan) -> np.ndarray:
    """All slices `(N, T, H, W)` bit for bit as stored, in the stored dtype and units.

    Raises:
        InputError: the file has gone, or can no longer be read.
    """
    values = _read(info.path, open_nifti(info.path, _CONVERT, mend=True)).reshape(
        (*info.shape[:3], info.num_phases), order="F"
    )
    return np.ascontiguousarray(np.moveaxis(values, (info.axis, 3), (0, 1)))


def to_unit(info: Scan, values: np.ndarray) -> np.ndarray:
    """Stored values of any shape as float32, the intensity range mapped to [0, 1] and clipped."""
    low, high = info.intensity_range
    return ((values.astype(np.float32) - np.float32(low)) / np.float32(high - low)).clip(0, 1)


def from_unit(info: Scan, values: np.ndarray) -> np.ndarray:
    """The reverse of :func:`to_unit`, in the stored dtype and units.

    Values below 0 and above 1 are kept as far as the dtype reaches: they stand for what the range cuts off
    (:func:`excess`). Integers are rounded and saturate.
    """
    low, high = info.intensity_range
    stored = np.asarray(values, np.float64) * (high - low) + low
    if info.dtype.kind == "f":
        return stored.astype(info.dtype)
    limits = np.iinfo(info.dtype)
    # Of 64 bit integers the largest is not a float, and the next float is too large for them.
    top = float(limits.max) if limits.bits < 64 else np.nextafter(float(limits.max), 0)
    return np.rint(stored).clip(limits.min, top).astype(info.dtype)


def excess(info: Scan, values: np.ndarray) -> np.ndarray:
    """What the intensity range cuts off, float32 in stored units: values minus clipped values, mostly 0."""
    values = np.asarray(values, np.float64)
    return (values - values.clip(*info.intensity_range)).astype(np.float32)


def write_stack(
    path: str | Path,
    info: Scan,
    slices: np.ndarray,
    affine: np.ndarray,
    description: str = "",
    dtype: np.dtype | type | None = None,
) -> None:
    """Write slices as a file like the one they come from; it appears under its name only when it is complete.

    Args:
        path: `.nii` or `.nii.gz` to write.
        info: of the input, whose axis order, header, dtype, slope, form codes and phase duration the output takes over.
        slices: `(M, T, H, W)` in stored units; any number of slices, T, H and W of the input.
        affine: `(4, 4)`, voxel index to mm of the output. qform and sform both follow, codes unchanged.
        description: appended to the header's `descrip` (80 bytes in all).
        dtype: stored dtype instead of `info.dtype`. Values are then written as they are: slope 1, inter 0.

    Raises:
        InputError: the folder cannot be written or the disk is full.
        TypeError: the slices do not convert to the stored dtype without loss of kind.
        ValueError: T, H or W is not the input's.
    """
    if slices.ndim != 4 or slices.shape[1:] != (info.num_phases, *info.plane):
        raise ValueError(f"{path}: slices must be (M, {info.num_phases}, *{info.plane}), got {slices.shape}.")
    volumes = np.moveaxis(slices, (0, 1), (info.axis, 3))
    shape = volumes.shape if len(info.shape) == 4 else volumes.shape[:3]
    header = output_header(info.header, shape, info.affine, affine, description, dtype)
    with NiftiWriter(path, header, 3, "volume") as writer:
        for phase in range(info.num_phases):
            writer.write(volumes[..., phase])


def find_stacks(dataset_dir: str | Path) -> list[Path]:
    """The NIfTI files of a folder, sorted by name; a file stands for itself.

    Raises:
        InputError: nothing there; a folder of DICOM files is sent to `prepare_cmr.py`.
    """
    return find_nifti(dataset_dir, "stacks", _SCRIPT)
