# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Pullbacks on disk: found, read frame by frame, written frame by frame.

Nothing here ever holds a whole pullback. Outputs appear under their name only when they are complete.
"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from custom.scans.nifti import check_output_dir, find_nifti, output_header, stem
from custom.scans.nifti_writer import NiftiWriter
from custom.scans.pullback_reader import PULLBACK_AXIS, PullbackReader, inspect_pullback
from custom.scans.scan import Scan

__all__ = [
    "PullbackReader",
    "PullbackWriter",
    "check_output_dir",
    "find_pullbacks",
    "inspect_pullback",
    "new_pullback",
    "stem",
]


class PullbackWriter(NiftiWriter):
    """Writes a pullback frame by frame in constant memory, with the header of the one it comes from.

    Use as a context manager and append each frame `(H, W)` with `write`. What becomes of an unfinished output says
    `custom.scans.nifti_writer.NiftiWriter`.

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
        info: Scan,
        num_frames: int,
        affine: np.ndarray | None = None,
        description: str = "",
        dtype: np.dtype | type | None = None,
    ) -> None:
        affine, shape = info.affine if affine is None else affine, (*info.shape[:2], num_frames)
        header = output_header(info.header, shape, info.affine, affine, description, dtype)
        super().__init__(path, header, part_ndim=2, part="frame")


def new_pullback(
    path: str | Path, shape: tuple[int, int, int], dtype: type, spacing: tuple[float, float, float], kind: str
) -> Scan:
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
    return Scan(
        Path(path), shape, PULLBACK_AXIS, header.get_data_dtype(), 1.0, 0.0, affine, intensity_range, header, kind
    )


def find_pullbacks(dataset_dir: str | Path) -> list[Path]:
    """The NIfTI files of a folder, sorted by name; a file stands for itself.

    Raises:
        InputError: nothing there.
    """
    return find_nifti(dataset_dir, "pullbacks", "data_scripts/prepare_oct.py")
