# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""NIfTI files written part by part under a temporary name, so that they are complete or not there."""

from __future__ import annotations

import contextlib
import gzip
import math
import os
from pathlib import Path

import nibabel as nib
import numpy as np

from custom.errors import InputError
from custom.scans.processes import clear_left_overs, hidden_beside

COMPRESSION_LEVEL = 1
"""Speckle and noise hardly compress: higher gzip levels cost minutes and save a few per cent."""


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
