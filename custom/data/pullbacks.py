# Copyright 2026 The CardioInterp Bundles Authors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Pullbacks on disk: found, read frame by frame, written frame by frame.

Nothing here ever holds a whole pullback. Outputs appear under their name only when they are complete.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes

from custom.data.pullback_reader import PullbackInfo, PullbackReader, inspect_pullback
from custom.errors import InputError

__all__ = [
    "PullbackInfo",
    "PullbackReader",
    "PullbackWriter",
    "check_output_dir",
    "find_pullbacks",
    "inspect_pullback",
    "new_pullback",
    "stem",
]

SUFFIXES = (".nii.gz", ".nii")
COMPRESSION_LEVEL = 1
"""Speckle hardly compresses: higher gzip levels cost minutes and save a few per cent."""


class PullbackWriter:
    """Writes a pullback frame by frame in constant memory, with the header of the one it comes from.

    Use as a context manager. The file is written under a temporary name in the same folder and renamed when all frames
    are there; after an exception, or with frames missing, nothing is left.

    Args:
        path: `.nii` or `.nii.gz` to write.
        info: of the pullback whose `(H, W)`, header, dtype, slope and form codes the output takes over.
        num_frames: how many frames are going to be written.
        affine: voxel to mm of the output, `info.affine` by default. qform and sform both follow, codes unchanged.
        description: appended to the header's `descrip` (80 bytes in all).
        dtype: stored dtype instead of `info.dtype`. Values are then written as they are: slope 1, inter 0.

    Raises:
        InputError: the folder cannot be written or the disk is full.
        ValueError: on leaving the context with another number of frames written than announced.
    """

    def __init__(
        self,
        path: str | Path,
        info: PullbackInfo,
        num_frames: int,
        affine: np.ndarray | None = None,
        description: str = "",
        dtype: np.dtype | type | None = None,
    ) -> None:
        self.path, self.num_frames = Path(path), num_frames
        self.header = _output_header(info, num_frames, info.affine if affine is None else affine, description, dtype)
        self.dtype = self.header.get_data_dtype()
        self._frame_shape, self._written = info.shape[:2], 0
        self._temporary = self.path.with_name(f".{self.path.name}.part")

    def __enter__(self) -> PullbackWriter:
        with self._disk_errors():
            self._raw = self._file = open(self._temporary, "wb")
            if self.path.suffix == ".gz":
                # No time and no name in the gzip header: equal frames give equal files.
                self._file = gzip.GzipFile("", "wb", COMPRESSION_LEVEL, self._raw, mtime=0)
            self.header.write_to(self._file)
            self._file.write(bytes(self.header.get_data_offset() - self._file.tell()))
        return self

    def write(self, frame: np.ndarray) -> None:
        """Append a frame `(H, W)` in the output's dtype (or one that converts to it without loss of kind)."""
        if frame.shape != self._frame_shape:
            raise ValueError(f"{self.path}: a frame is {self._frame_shape}, got {frame.shape}.")
        with self._disk_errors():
            self._file.write(frame.astype(self.dtype, casting="same_kind").tobytes(order="F"))
        self._written += 1

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            with self._disk_errors():
                # Each is closed whatever the other says: a full disk can fail the gzip trailer or the last buffer.
                with self._raw, self._file:
                    pass
            if kind is None:
                if self._written != self.num_frames:
                    raise ValueError(f"{self.path}: {self._written} of {self.num_frames} frames were written.")
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
            raise InputError(self.path, fault, "free some space or choose another output folder") from error


def _output_header(
    info: PullbackInfo, num_frames: int, affine: np.ndarray, description: str, dtype: np.dtype | type | None
) -> nib.Nifti1Header:
    header = info.header.copy()
    header.extensions.clear()  # they describe the input, for instance its DICOM frames
    header.set_data_offset(header.single_vox_offset)
    header.set_data_shape((*info.shape[:2], num_frames))
    if dtype is not None:
        header.set_data_dtype(dtype)
        header.set_slope_inter(1, 0)
        header["cal_min"] = header["cal_max"] = 0
    # qform and sform may lead to different spaces: the change of the voxel grid is applied to each of them.
    change = np.linalg.inv(info.affine) @ affine
    header.set_zooms(info.header.get_zooms()[:3] * voxel_sizes(affine) / voxel_sizes(info.affine))
    qform, qcode = info.header.get_qform(coded=True)
    sform, scode = info.header.get_sform(coded=True)
    if qcode:
        header.set_qform(qform @ change, int(qcode))
    if scode:
        header.set_sform(sform @ change, int(scode))
    if description:
        header["descrip"] = f"{header['descrip'].item().decode('latin-1')} {description}".strip().encode()[:80]
    return header


def new_pullback(
    path: str | Path, shape: tuple[int, int, int], dtype: type, spacing: tuple[float, float, float], kind: str
) -> PullbackInfo:
    """Describe a pullback that does not come from a NIfTI file, for :class:`PullbackWriter`.

    Args:
        path: where it comes from.
        shape: `(H, W, frames)`.
        dtype: of the values to store.
        spacing: mm along the axes; 1.0 for the A-line axis of polar frames, which has no length.
        kind: "polar" or "cartesian".
    """
    header, affine = nib.Nifti1Header(), np.diag([*spacing, 1.0])
    header.set_data_shape(shape)
    header.set_data_dtype(dtype)
    header.set_slope_inter(1, 0)
    header.set_xyzt_units("mm")
    header.set_qform(affine, "scanner")
    header.set_sform(affine, "scanner")
    header["descrip"] = f"OCT {kind}".encode()
    integers = np.dtype(dtype).kind in "iu"
    intensity_range = (0, np.iinfo(dtype).max) if integers else (0.0, 1.0)
    return PullbackInfo(Path(path), shape, header.get_data_dtype(), 1.0, 0.0, affine, intensity_range, kind, header)


def find_pullbacks(dataset_dir: str | Path) -> list[Path]:
    """The NIfTI files of a folder, sorted by name; a file stands for itself.

    Raises:
        InputError: nothing there.
    """
    folder = Path(dataset_dir)
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise InputError(folder, "no such folder", "give --dataset_dir a folder of pullbacks, or one file")
    found = sorted(p for p in folder.iterdir() if p.name.endswith(SUFFIXES) and not p.name.startswith("."))
    if not found:
        raise InputError(folder, "holds no .nii or .nii.gz", "convert the pullbacks with data_scripts/prepare_oct.py")
    return found


def stem(path: str | Path) -> str:
    """File name without `.nii` or `.nii.gz`."""
    name = Path(path).name
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)


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
