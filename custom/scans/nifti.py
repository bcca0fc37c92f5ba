# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""NIfTI files as pullbacks and stacks share them: found, opened, described, written under a temporary name.

Headers are carried over field by field, because the acquired values must come out bit for bit: nibabel would scale them
anew. What changes is the voxel grid (shape, zooms, qform, sform) and, where asked, the stored dtype.
"""

from __future__ import annotations

import contextlib
import gzip
import logging
import math
import os
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.spatialimages import HeaderDataError

from custom.errors import InputError
from custom.scans.header_repair import load_mended
from custom.scans.processes import clear_left_overs, hidden_beside

logger = logging.getLogger(__name__)
SUFFIXES = (".nii.gz", ".nii")
OTHER_SUFFIXES = (".hdr", ".img", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm", ".ima", ".zip")
"""Scans of other formats, which the scripts that prepare data take."""
COMPRESSION_LEVEL = 1
"""Speckle and noise hardly compress: higher gzip levels cost minutes and save a few per cent."""
MIN_RELATIVE_VOLUME = 1e-4
"""Of a voxel against the product of its spacings. Below it, two axes of the affine are parallel."""


def stem(path: str | Path) -> str:
    """File name without `.nii` or `.nii.gz`."""
    name = Path(path).name
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)


def find_nifti(dataset_dir: str | Path, what: str, script: str) -> list[Path]:
    """The NIfTI files of a folder, sorted by name; a file stands for itself.

    Args:
        dataset_dir: the folder or file.
        what: the files are, in the plural; for messages.
        script: that makes such files; for messages.

    Raises:
        InputError: nothing there.
    """
    folder = Path(dataset_dir)
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise InputError(folder, "no such folder", f"give --dataset_dir a folder of {what}, or one file")
    try:
        found = sorted(p for p in folder.iterdir() if p.name.endswith(SUFFIXES) and not p.name.startswith("."))
    except OSError as error:
        raise InputError(folder, f"cannot be read ({error.strerror})", "change its permissions") from error
    if not found:
        raise InputError(folder, "holds no .nii or .nii.gz", f"convert the {what} with {script}")
    passed = sorted(p.name for p in folder.iterdir() if p.name.lower().endswith(OTHER_SUFFIXES) and p.name[0] != ".")
    if passed:
        logger.warning("%s: passed over %s; convert with %s what is to be taken", folder, ", ".join(passed), script)
    return found


def check_output_dir(output_dir: str | Path) -> Path:
    """Make the folder if needed and prove that files can be written into it.

    Raises:
        InputError: it cannot be made or written.
    """
    folder = Path(output_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        fault = f"cannot be written ({error.strerror})"
        raise InputError(folder, fault, "choose another --output_dir or change its permissions") from error
    return folder


def open_nifti(path: str | Path, convert: str, mend: bool = False) -> nib.Nifti1Image:
    """Open a NIfTI file and check all that its header can tell; the values stay on disk.

    Args:
        path: a `.nii` or `.nii.gz` file.
        convert: what to do with a file of another kind; for messages.
        mend: what can be mended in the header of a cardiac stack without a guess, and bring lengths to mm.

    Raises:
        InputError: missing, not a NIfTI file, or an affine that is not finite or singular.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path, "no such file", "check the path")
    try:
        image = _load_mended(path) if mend else nib.load(path)
    except InputError as error:
        remedy = convert if error.fault.startswith("is not a NIfTI image") else error.remedy
        raise InputError(path, error.fault, remedy) from error
    # ValueError: an impossible quaternion of the qform.
    except (nib.filebasedimages.ImageFileError, HeaderDataError, EOFError, OSError, ValueError, zlib.error) as error:
        reason = str(error).replace(str(path), "the file").splitlines()[0]
        raise InputError(path, f"is not a NIfTI image ({reason})", convert) from error
    if not isinstance(image, nib.Nifti1Image):
        raise InputError(path, f"is {type(image).__name__}, not a NIfTI file", convert)
    if not _is_regular(image.affine):
        raise InputError(path, "has no valid affine in its header", "set the voxel spacing in the header")
    return image


def _load_mended(path: Path) -> nib.Nifti1Image:
    mended = load_mended(path)
    for line in (*mended.notes, *mended.doubts):
        logger.warning("%s: %s", path, line)
    return mended.image


def _is_regular(affine: np.ndarray) -> bool:
    if not np.isfinite(affine).all():
        return False
    spacing = voxel_sizes(affine)
    return bool(spacing.all()) and abs(np.linalg.det(affine[:3, :3] / spacing)) > MIN_RELATIVE_VOLUME


def stored_header(image: nib.Nifti1Image) -> nib.Nifti1Header:
    """The header as it is on disk, with its slope, inter and data offset.

    nibabel clears these when it loads, for its own scaled arrays.
    """
    header = image.header.copy()
    header.set_slope_inter(float(image.dataobj.slope), float(image.dataobj.inter))
    header.set_data_offset(image.dataobj.offset)
    return header


def output_header(
    header: nib.Nifti1Header,
    shape: Sequence[int],
    old_affine: np.ndarray,
    new_affine: np.ndarray,
    description: str = "",
    dtype: np.dtype | type | None = None,
) -> nib.Nifti1Header:
    """The header of an output, from that of its input.

    Args:
        header: of the input, see :func:`stored_header`.
        shape: of the output.
        old_affine: `(4, 4)`, voxel index to mm of the input.
        new_affine: of the output. qform and sform both follow, codes unchanged.
        description: appended to `descrip` (80 bytes in all).
        dtype: stored dtype instead of the input's. Values are then written as they are: slope 1, inter 0.
    """
    zooms = header.get_zooms()
    qform, qcode = header.get_qform(coded=True)
    sform, scode = header.get_sform(coded=True)
    header = header.copy()
    header.extensions.clear()  # they describe the input, for instance its DICOM frames
    header.set_data_offset(header.single_vox_offset)
    header.set_data_shape(shape)
    for name in ("slice_code", "slice_start", "slice_end", "slice_duration"):
        header[name] = 0  # the order in which the input's slices were acquired
    if dtype is not None:
        header.set_data_dtype(dtype)
        header.set_slope_inter(1, 0)
        header["cal_min"] = header["cal_max"] = 0
    # qform and sform may lead to different spaces: the change of the voxel grid is applied to each of them.
    change = np.linalg.inv(old_affine) @ new_affine
    header.set_zooms((*(zooms[:3] * voxel_sizes(new_affine) / voxel_sizes(old_affine)), *zooms[3 : len(shape)]))
    if qcode:
        header.set_qform(qform @ change, int(qcode))
    if scode:
        header.set_sform(sform @ change, int(scode))
    if description:
        header["descrip"] = f"{header['descrip'].item().decode('latin-1')} {description}".strip().encode()[:80]
    return header


class NiftiWriter:
    """Writes a NIfTI file part by part, each part a run of its bytes: frames of a pullback, volumes of a cine.

    Use as a context manager. The file is written under a temporary name in the same folder and renamed when all parts
    are there; after an exception, or with parts missing, nothing is left, and what a killed process left is removed.

    Args:
        path: `.nii` or `.nii.gz` to write.
        header: of the file, see :func:`output_header`.
        part_ndim: a part spans the first so many axes.
        part: what a part is called in messages.
        told_as: the file's name in messages, where `path` is a place that the user knows nothing of.

    Raises:
        InputError: the folder cannot be written or the disk is full.
        ValueError: on leaving the context with parts missing or left over.
    """

    def __init__(
        self, path: str | Path, header: nib.Nifti1Header, part_ndim: int, part: str, told_as: Path | None = None
    ) -> None:
        self.path, self.header, self._told_as = Path(path), header, told_as or Path(path)
        self.dtype = header.get_data_dtype()
        shape = header.get_data_shape()
        self._part, self._part_shape, self._num_parts = part, shape[:part_ndim], math.prod(shape[part_ndim:])
        self._written = 0
        self._temporary = hidden_beside(self.path)

    def __enter__(self):
        with self._disk_errors():
            clear_left_overs(self.path.parent)
            self._raw = self._file = open(self._temporary, "wb")
            if self.path.suffix == ".gz":
                # No time and no name in the gzip header: equal values give equal files.
                self._file = gzip.GzipFile("", "wb", COMPRESSION_LEVEL, self._raw, mtime=0)
            self.header.write_to(self._file)
            self._file.write(bytes(self.header.get_data_offset() - self._file.tell()))
        return self

    def write(self, values: np.ndarray) -> None:
        """Append a part in the output's dtype (or one that converts to it without loss of kind)."""
        if values.shape != self._part_shape:
            raise ValueError(f"{self.path}: a {self._part} is {self._part_shape}, got {values.shape}.")
        with self._disk_errors():
            self._file.write(values.astype(self.dtype, casting="same_kind").tobytes(order="F"))
        self._written += 1

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            with self._disk_errors():
                # Each is closed whatever the other says: a full disk can fail the gzip trailer or the last buffer.
                with self._raw, self._file:
                    pass
            if kind is None:
                if self._written != self._num_parts:
                    raise ValueError(f"{self.path}: {self._written} of {self._num_parts} {self._part}s were written.")
                os.replace(self._temporary, self.path)
        except InputError:
            if kind is None:  # else the exception that is already under way tells the cause
                raise
        finally:
            self._temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _disk_errors(self):
        try:
            yield
        except OSError as error:
            self._temporary.unlink(missing_ok=True)
            fault = f"cannot be written ({error.strerror or error})"
            raise InputError(self._told_as, fault, "free some space or choose another output folder") from error
