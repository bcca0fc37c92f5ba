# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Pullbacks on disk, checked and read one frame at a time.

A pullback is a NIfTI file `(H, W, frames)`. NIfTI stores arrays in Fortran order, so a frame is one run of bytes that
can be read by itself. Compressed files are read forwards as one stream; stepping back in a `.nii.gz` starts again at
its beginning, so random access is for `.nii`.
"""

from __future__ import annotations

import dataclasses
import gzip
import zlib
from pathlib import Path
from typing import BinaryIO

import nibabel as nib
import numpy as np

from custom.errors import InputError
from custom.scans.header_repair import COPY_AGAIN, MAX_PADDING_BYTES, MEND_DIMENSIONS, is_gzip
from custom.scans.nifti import open_nifti, stored_header
from custom.scans.scan import Scan

PULLBACK_AXIS = 2
ROBUST_PERCENTILES = (0.1, 99.9)
_ONE_FILE = "save each pullback as a file of its own"
_MEND_FRAME = "mend that frame, or remove it where it is the first or the last"
SAMPLES_PER_FRAME = 4096
"""Pixels of a frame that the robust intensity range looks at: bounds the memory of the pass."""


def inspect_pullback(path: str | Path) -> Scan:
    """Check a pullback in one pass over its frames and measure its intensity range, in bounded memory.

    The range of uint8 is (0, 255); of anything else the 0.1 and 99.9 percentiles.

    Args:
        path: a `.nii` or `.nii.gz` file.

    Returns:
        What is needed to read it, and to write another one like it.

    Raises:
        InputError: not a readable NIfTI, not a gray `(H, W, frames)` array, one frame only, NaN or Inf, constant.
    """
    path = Path(path)
    image = open_nifti(path, "export the pullback as .nii or .nii.gz")
    shape = _gray_shape(path, image)
    slope, inter = float(image.dataobj.slope), float(image.dataobj.inter)
    header = stored_header(image)
    info = Scan(
        path, shape, PULLBACK_AXIS, header.get_data_dtype(), slope, inter, image.affine, (0, 255), header,
        _coordinates(header),
    )  # fmt: skip
    try:
        return _with_intensity_range(info)
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(path, f"cannot be read to its end ({error})", COPY_AGAIN) from error


def _gray_shape(path: Path, image: nib.Nifti1Image) -> tuple[int, int, int]:
    """Shape `(H, W, frames)` of a gray pullback; trailing axes of one element do not count."""
    shape = image.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if image.get_data_dtype().kind not in "iuf" or (len(shape) > 3 and shape[-1] in (3, 4)):
        raise InputError(path, "holds colour or complex values, gray is expected", "save its magnitude or one channel")
    if len(shape) > 3:
        raise InputError(path, f"is a {len(shape)}D array {shape}, (H, W, frames) is expected", _ONE_FILE)
    if min(shape) < 1:
        raise InputError(path, f"has the dimensions {shape} in its header", MEND_DIMENSIONS)
    if len(shape) < 3 or shape[2] < 2:
        raise InputError(path, "has one frame only", "give at least two frames, on the last axis")
    return shape


def _coordinates(header: nib.Nifti1Header) -> str:
    description = header["descrip"].item().decode("latin-1").lower()
    return next((name for name in ("polar", "cartesian") if f"oct {name}" in description), "unknown")


def sampled_values(info: Scan) -> np.ndarray:
    """`(frames * SAMPLES_PER_FRAME,)` values as stored, the same places in every frame."""
    picks = _picks(info)
    with PullbackReader(info) as reader:
        return np.concatenate([reader.stored(k).ravel(order="K")[picks] for k in range(len(reader))])


def _picks(info: Scan) -> np.ndarray:
    return np.random.default_rng(0).integers(0, info.shape[0] * info.shape[1], SAMPLES_PER_FRAME)


def _with_intensity_range(info: Scan) -> Scan:
    """The same info with its intensity range, after a look at every frame."""
    picks = _picks(info)
    samples, low, high = [], np.inf, -np.inf
    with PullbackReader(info) as reader:
        for k in range(len(reader)):
            frame = reader.stored(k)
            least, most = frame.min(), frame.max()
            if not np.isfinite([least, most]).all():
                raise InputError(info.path, f"has NaN or Inf in frame {k}", _MEND_FRAME)
            low, high = min(low, least), max(high, most)
            samples.append(frame.ravel(order="K")[picks])
    if low == high:
        raise InputError(info.path, f"is constant, every value is {low}", "check the export")
    if info.dtype == np.uint8:
        return info
    robust = np.percentile(np.concatenate(samples), ROBUST_PERCENTILES)
    robust = (np.floor(robust[0]), np.ceil(robust[1])) if info.dtype.kind in "iu" else robust
    # An almost empty image has equal percentiles: its few bright values are then the range.
    chosen = robust if robust[0] < robust[1] else (low, high)
    return dataclasses.replace(info, intensity_range=(float(chosen[0]), float(chosen[1])))


class PullbackReader:
    """Reads the frames of a pullback; use one per thread. Frames that never fall in number never rewind the file.

    Args:
        info: from :func:`inspect_pullback`.
    """

    def __init__(self, info: Scan) -> None:
        self.info = info
        self._file: BinaryIO | None = None
        self._last: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        return self.info.shape[2]

    def stored(self, k: int) -> np.ndarray:
        """Frame `k`, `(H, W)`, bit for bit as on disk.

        Raises:
            InputError: the file goes on after the last frame.
            EOFError, OSError, zlib.error: it ends within this one, or is damaged.
        """
        if not 0 <= k < len(self):
            raise IndexError(f"frame {k} of a pullback of {len(self)} frames")
        if self._last is not None and self._last[0] == k:  # parts overlap in one frame: no step back for it
            return self._last[1]
        if self._file is None:
            self._file = gzip.open(self.info.path) if is_gzip(self.info.path) else open(self.info.path, "rb")
        height, width, _ = self.info.shape
        size = height * width * self.info.dtype.itemsize
        self._file.seek(self.info.header.get_data_offset() + k * size)
        data = self._file.read(size)
        if len(data) < size:
            raise EOFError(f"the file ends within frame {k}")
        # At the end of a compressed file its checksum is compared as well.
        if k == len(self) - 1 and len(self._file.read(MAX_PADDING_BYTES + 1)) > MAX_PADDING_BYTES:
            fault = f"holds more bytes than its header says (shape {self.info.shape}, {self.info.dtype})"
            raise InputError(self.info.path, fault, MEND_DIMENSIONS)
        self._last = k, np.frombuffer(data, self.info.dtype).reshape((height, width), order="F")
        return self._last[1]

    def close(self) -> None:
        """Close the file; it opens again when a frame is asked for."""
        if self._file is not None:
            self._file.close()
        self._file = self._last = None

    def __enter__(self) -> PullbackReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
