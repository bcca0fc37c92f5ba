# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Stacks, cines and pullbacks asked alike: what is in a file, and its slices."""

from __future__ import annotations

import os
import threading
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from custom.errors import InputError
from custom.geometry import SPACING_TOLERANCE, spacing_from_affine
from custom.scans.header_repair import COPY_AGAIN
from custom.scans.pullback_reader import PULLBACK_AXIS, PullbackReader, inspect_pullback, sampled_values
from custom.scans.scan import Scan
from custom.scans.stacks import inspect_stack, read_slices
from custom.scans.tissue import tissue_range

KINDS = ("stack", "pullback")


def inspect_scan(path: str | Path, kind: str = "stack", axis: int | None = None) -> Scan:
    """Check a file in full and measure its intensity range; asked again for the same file, it remembers.

    Args:
        path: a `.nii` or `.nii.gz` file.
        kind: "stack": gray `(X, Y, Z)` or `(X, Y, Z, T)`; [0, 1] stands for the 0.5 to 99.5 percentiles of all voxels.
            "pullback": gray `(H, W, frames)`; [0, 1] stands for 0 to 255 of uint8, else the 0.1 to 99.9 percentiles.
        axis: the array axis on which slices lie. None: of a stack the one of largest spacing, of a pullback the last.

    Raises:
        InputError: not such a file; NaN, constant, one slice; a pullback whose frames are likely on another axis.
        ValueError: another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is one of {KINDS}, got {kind!r}")
    path = Path(path)
    stat = path.stat() if path.is_file() else None
    return _inspect(path, kind, axis, stat and (stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=4)
def _inspect(path: Path, kind: str, axis: int | None, version: tuple[int, int] | None) -> Scan:
    if kind == "stack":
        return inspect_stack(path, axis)
    if axis not in (None, PULLBACK_AXIS):
        raise InputError(path, f"cannot be sliced along axis {axis}", "move the frames of a pullback to the last axis")
    scan = inspect_pullback(path)
    spacing = spacing_from_affine(scan.affine)
    # 1 is what stands where no length is known, or where there is none, as across A-lines.
    largest = int(np.where(np.isclose(spacing, 1), 0, spacing).argmax())
    is_marked = scan.coordinates != "unknown"
    if axis is None and not is_marked and spacing[largest] > spacing[2] * (1 + SPACING_TOLERANCE):
        fault = (
            f"has its largest spacing, {spacing[largest]:g} mm, on axis {largest} and {spacing[2]:g} mm between frames"
        )
        raise InputError(path, fault, "move the frames to the last axis, or say --slice_axis 2 if they are there")
    return scan


def percentile_range(scan: Scan, percentiles: tuple[float, float]) -> tuple[float, float]:
    """(low, high) percentiles of the tissue of a whole file in stored units; asked again, it remembers.

    Of a file that is read in parts they are those of a sample of each slice, in bounded memory.

    Raises:
        InputError: the file has gone, or can no longer be read.
        ValueError: all tissue has one value.
    """
    stat = scan.path.stat() if scan.path.is_file() else None
    return _percentile_range(_Key(scan), tuple(percentiles), stat and (stat.st_mtime_ns, stat.st_size))


class _Key:
    """A scan as a key of a cache: equal if of the same file and axis."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan

    def __hash__(self) -> int:
        return hash((self.scan.path, self.scan.axis))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and (other.scan.path, other.scan.axis) == (self.scan.path, self.scan.axis)


@lru_cache(maxsize=4)
def _percentile_range(
    key: _Key, percentiles: tuple[float, float], version: tuple[int, int] | None
) -> tuple[float, float]:
    if not can_be_cut(key.scan):
        return tissue_range(read_slices(key.scan), percentiles)
    try:
        return tissue_range(sampled_values(key.scan), percentiles)
    except (EOFError, OSError, zlib.error) as error:
        raise _torn(key.scan, error) from error


def read_scan_slices(scan: Scan, first: int = 0, stop: int | None = None) -> np.ndarray:
    """Slices `(stop - first, T, H, W)` as stored; of a volume sliced on its last axis only these are read.

    Part after part of one file is read in one go, so a compressed file is unpacked once.

    Raises:
        InputError: the file has gone, or can no longer be read.
    """
    stop = scan.num_slices if stop is None else stop
    if not can_be_cut(scan):
        return read_slices(scan)[first:stop]
    slices = np.empty((stop - first, 1, *scan.plane), scan.dtype)
    try:
        reader = _kept_reader(scan)
        for place in range(first, stop):
            slices[place - first, 0] = reader.stored(place)
    except (EOFError, OSError, zlib.error) as error:
        _drop_reader()
        raise _torn(scan, error) from error
    if stop == scan.num_slices:
        _drop_reader()
    return slices


def _torn(scan: Scan, error: Exception) -> InputError:
    return InputError(scan.path, f"cannot be read to its end ({error})", COPY_AGAIN)


_kept = threading.local()
"""The reader of the last part that a thread has read, and of what; a process that was forked opens its own."""


def _kept_reader(scan: Scan) -> PullbackReader:
    stat = scan.path.stat()
    key = (os.getpid(), scan.path, stat.st_mtime_ns, stat.st_size)
    if getattr(_kept, "key", None) != key:
        _drop_reader()
        _kept.reader, _kept.key = PullbackReader(scan), key
    return _kept.reader


def _drop_reader() -> None:
    if getattr(_kept, "key", None) is not None:
        if _kept.key[0] == os.getpid():
            _kept.reader.close()
        _kept.reader = _kept.key = None


def can_be_cut(scan: Scan) -> bool:
    """Whether a run of slices is a run of bytes of the file: volumes sliced on their last axis."""
    return scan.axis == PULLBACK_AXIS and len(scan.shape) == 3
