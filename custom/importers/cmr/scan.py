# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A short-axis scan as it was acquired, and the choices of how it becomes training data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from custom.errors import InputError
from custom.scans.heart_centre import METHODS
from custom.scans.labels import mask_numbers
from custom.scans.scan import Scan

AFFINE_TOLERANCE_MM = 0.1


@dataclass(frozen=True)
class ConversionOptions:
    """How scans are cropped; `data_scripts/prepare_cmr.py` explains each to its users.

    Raises:
        InputError: an unknown choice or a negative number.
    """

    spacing: float = 1.8
    size: int = 128
    centre: str = "auto"
    intensity: str = "volume"
    masks: str = "ours"

    def __post_init__(self) -> None:
        mask_numbers(self.masks)
        for name, allowed in {"centre": METHODS, "intensity": ("volume", "slice")}.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"--{name}", f"is {getattr(self, name)}", f"choose from {', '.join(allowed)}")
        remedies = {
            "spacing": "give a positive number of mm, or 0 to keep the scanner's",
            "size": "give a whole number of pixels, or 0 for the whole plane",
        }
        for name, kinds in {"spacing": (int, float), "size": (int,)}.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kinds) or not 0 <= value < np.inf:
                raise InputError(f"--{name}", f"is {value}", remedies[name])


@dataclass(frozen=True, eq=False)
class CmrVolume:
    """One file-to-be of a scan: a cine, or a stack of one phase.

    Args:
        name: of the output, without suffix.
        info: geometry, header and stored dtype.
        slices: `(N, T, H, W)` as stored.
        label: `(N, T, H, W)` mask of the heart, or None.
        outside: bool `(N, T, H, W)`, what is no tissue though it has a value (padding, NaN); None where nothing is.
    """

    name: str
    info: Scan
    slices: np.ndarray
    label: np.ndarray | None = None
    outside: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class CmrScan:
    """Volumes of one patient that share a plane, and so a crop: a cine, or phases in files of their own.

    Args:
        volumes: at least one.
        centring_labels: masks `(N, T, H, W)` that show where the heart is but belong to no volume.
        details: of the source, for the record beside each output.
        patient: that its header states, unless that says nothing; else empty.

    Raises:
        InputError: the volumes differ in the size, spacing, orientation or place of their planes. They may differ in
            the number of slices.
    """

    volumes: tuple[CmrVolume, ...]
    centring_labels: tuple[np.ndarray, ...] = ()
    details: Mapping[str, Any] | None = None
    patient: str = ""

    def renamed(self, number: int) -> CmrScan:
        """The scan with numbered outputs."""
        return replace(self, volumes=tuple(replace(v, name=f"{v.name}-{number}") for v in self.volumes))

    def __post_init__(self) -> None:
        first = self.volumes[0].info
        for other in (volume.info for volume in self.volumes[1:]):
            fault = None
            if (other.plane, other.axis) != (first.plane, first.axis):
                planes = f"{other.plane} across axis {other.axis}, {first.path.name} {first.plane} across {first.axis}"
                fault = f"has planes {planes}"
            elif not _same_grid(first, other):
                fault = f"has another spacing, orientation or position than {first.path.name}"
            if fault:
                remedy = "put scans of different geometry into folders of their own, or mend the headers"
                raise InputError(other.path, f"{fault}, a phase of the same scan", remedy)


def _same_grid(first: Scan, other: Scan) -> bool:
    """Whether the corners of the shorter stack lie in both at the same place."""
    shape = np.minimum(first.shape[:3], other.shape[:3])
    corners = np.array([[*(np.array(np.unravel_index(k, (2, 2, 2))) * (shape - 1)), 1] for k in range(8)])
    return bool(np.abs(corners @ (first.affine - other.affine).T).max() <= AFFINE_TOLERANCE_MM)


def plane_axes(info: Scan) -> tuple[int, int]:
    """The array axes of H and W."""
    height, width = (axis for axis in range(3) if axis != info.axis)
    return height, width


def voxels_sha256(slices: np.ndarray) -> str:
    """Tells a stack by its stored values, whichever file or folder they are in."""
    return hashlib.sha256(np.ascontiguousarray(slices).astype(slices.dtype.newbyteorder("<")).tobytes()).hexdigest()
