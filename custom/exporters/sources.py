# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Which DICOM images a densified scan was made from: those on its grid, whatever else lies beside them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from custom.errors import InputError
from custom.exporters.derived import OTHER_SCAN
from custom.geometry import dense_affine, synthetic_mask
from custom.importers.cmr.dicom import Headers
from custom.importers.cmr.dicom_options import DicomOptions
from custom.importers.cmr.slices import SortedStack
from custom.importers.cmr.source import visible_files
from custom.importers.cmr.study import sorted_stacks
from custom.importers.cmr.zips import is_zip, unpacked
from custom.importers.dicom_files import is_dicom, open_dicom
from custom.scans.provenance import read_synthetic_frames, sidecar_path
from custom.scans.scan import Scan
from custom.scans.scans import inspect_scan

SAME_PLACE_MM = 0.05
_SLICE_AXIS = 2


@dataclass(frozen=True, eq=False)
class DenseScan:
    """A densified scan and where it comes from.

    Args:
        scan: the dense volume.
        factor: dense steps per gap.
        stack: of MR, the acquired images in order.
        pullback: of OCT, the acquired file with its pixels.
    """

    scan: Scan
    factor: int
    stack: SortedStack | None = None
    pullback: Dataset | None = None


def source_files(sources: str | Path | Sequence[str | Path], zips: ExitStack) -> list[Path]:
    """All files of folders, zips and files.

    Args:
        sources: see `custom.exporters.dicom.write_dicom_series`.
        zips: keeps what zips are unpacked to.

    Raises:
        InputError: one of them is not there.
    """
    paths = [Path(sources)] if isinstance(sources, (str, Path)) else [Path(path) for path in sources]
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(path, "no such file or folder", OTHER_SCAN)
        folder = zips.enter_context(unpacked(path)) if path.is_file() and is_zip(path) else path
        found += visible_files(folder) if folder.is_dir() else [folder]
    return found


def find_stack(volume: Path, headers: Headers, options: DicomOptions) -> DenseScan:
    """The MR stack that a volume was made from.

    Raises:
        InputError: none of them, or a sidecar that does not say which slices are synthetic.
    """
    stacks, _, faults = sorted_stacks(headers, volume.name, options, volume)
    if not stacks:
        raise faults[0]
    scan = inspect_scan(volume, "stack", _SLICE_AXIS)
    factor = _factor(volume, scan)
    for _, stack in stacks:
        if _is_grid_of(stack, scan, factor):
            return DenseScan(scan, factor, stack=stack)
    told = "; ".join(stack.told() for _, stack in stacks)
    fault = f"lies on the grid of no stack of the DICOM files ({told})"
    raise InputError(volume, fault, f"{OTHER_SCAN}; a crop is put back first by data_scripts/restore_cmr.py")


def find_pullback(volume: Path, files: Sequence[Path]) -> DenseScan:
    """The file of several frames that a dense pullback was made from.

    Raises:
        InputError: none of them, or a sidecar that does not say which frames are synthetic.
    """
    candidates = [path for path in files if is_dicom(path)]
    if not candidates:
        raise InputError(files[0].parent if files else volume, "holds no DICOM file", OTHER_SCAN)
    scan = inspect_scan(volume, "pullback")
    factor = _factor(volume, scan)
    wanted = (*scan.plane, (scan.num_slices - 1) // factor + 1)
    shapes = []
    for path in candidates:
        header = open_dicom(path, stop_before_pixels=True)
        is_gray = header.get("PhotometricInterpretation") == "MONOCHROME2" and header.get("SyntheticData") != "YES"
        shapes.append((header.get("Rows"), header.get("Columns"), int(header.get("NumberOfFrames") or 1)))
        if is_gray and shapes[-1] == wanted:
            return DenseScan(scan, factor, pullback=open_dicom(path))
    fault = (
        f"has {wanted[2]} acquired frames of {wanted[:2]}, gray; the DICOM files hold {shapes[0][2]} of {shapes[0][:2]}"
    )
    remedy = f"{OTHER_SCAN}; pullbacks are prepared for it with --to keep --nofill_overlay, from gray"
    raise InputError(volume, fault, remedy)


def _factor(volume: Path, scan: Scan) -> int:
    """Dense steps per gap, by the sidecar."""
    is_synthetic = read_synthetic_frames(volume, scan.num_slices)
    known = int((~is_synthetic).sum())
    factor, rest = divmod(len(is_synthetic) - 1, max(known - 1, 1))
    if known < 2 or rest or not np.array_equal(is_synthetic, synthetic_mask(known, factor)):
        fault = "names synthetic slices that do not fill gaps evenly"
        raise InputError(sidecar_path(volume), fault, "keep the sidecar beside its volume, or interpolate again")
    return factor


def _is_grid_of(stack: SortedStack, scan: Scan, factor: int) -> bool:
    """Whether a volume has the slices, phases and grid that a stack becomes."""
    shape = (*stack.images[0][0].shape[::-1], (len(stack.images) - 1) * factor + 1, len(stack.images[0]))
    if (*scan.shape[:3], scan.num_phases) != shape:
        return False
    corners = np.array([[*np.unravel_index(k, (2, 2, 2)), 1] for k in range(8)]) * [*np.subtract(shape[:3], 1), 1]
    expected = dense_affine(stack.affine, _SLICE_AXIS, factor)
    return bool(np.abs(corners @ (expected - scan.affine).T).max() <= SAME_PLACE_MM)
