# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The one description of a scan on disk: a stack, a cine, a pullback."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from custom.geometry import spacing_from_affine


@dataclass(frozen=True, eq=False)
class Scan:
    """What a scan's file holds, without its values.

    Slices (frames of a pullback) lie along one array axis; a slice is `(H, W)`, the two other axes in their order, and
    a cine has it once for each of its phases.

    Args:
        path: the NIfTI file.
        shape: `(X, Y, Z)` or `(X, Y, Z, T)`; of a pullback `(H, W, frames)`.
        axis: the through-plane array axis, 0 to 2.
        dtype: of the stored values, byte order included.
        slope: physical value = stored * slope + inter.
        inter: see `slope`.
        affine: `(4, 4)`, voxel index to mm.
        intensity_range: (low, high) in stored units, low < high; what [0, 1] is mapped to.
        header: the file's NIfTI header.
        coordinates: "polar" or "cartesian" for OCT, as the header says; else "unknown".
    """

    path: Path
    shape: tuple[int, ...]
    axis: int
    dtype: np.dtype
    slope: float
    inter: float
    affine: np.ndarray
    intensity_range: tuple[float, float]
    header: nib.Nifti1Header
    coordinates: str = "unknown"

    @property
    def num_slices(self) -> int:
        """Slices, or frames of a pullback."""
        return self.shape[self.axis]

    @property
    def num_phases(self) -> int:
        """Of the heart cycle; 1 for a volume."""
        return self.shape[3] if len(self.shape) == 4 else 1

    @property
    def may_be_colour(self) -> bool:
        """Whether the phases of a cine are as many and as deep as the channels of an RGB or RGBA image."""
        return self.num_phases in (3, 4) and self.dtype == np.uint8

    @property
    def plane(self) -> tuple[int, int]:
        """(H, W) of a slice."""
        height, width = (n for axis, n in enumerate(self.shape[:3]) if axis != self.axis)
        return height, width

    @property
    def spacing_mm(self) -> float:
        """Distance between the centres of neighbouring slices along the array axis."""
        return float(spacing_from_affine(self.affine)[self.axis])
