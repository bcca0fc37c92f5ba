# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Before a long run: what it would take, and a small piece of it to look at."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from custom.inferers.gaps import GapInferer
from custom.inferers.plan import plan_gap
from custom.interpolators.base import Interpolator
from custom.scans.nifti import output_header, stem
from custom.scans.nifti_writer import NiftiWriter
from custom.scans.scan import Scan
from custom.scans.scans import read_scan_slices
from custom.transforms.layout import slices_first

PREVIEW_GAPS = 3
SHORT_S = 3.0
"""A first window that took less is timed once more: it paid for what is set up once."""


class Estimate(NamedTuple):
    """What a scan would take: seconds, and MiB of memory (of the GPU where the network is there), None if unknown."""

    seconds: float
    mib: float | None

    def __str__(self) -> str:
        memory = "" if self.mib is None else f" and {self.mib / 1024:.1f} GiB"
        return f"about {datetime.timedelta(seconds=max(1, round(self.seconds)))}{memory}"


@torch.no_grad()
def estimate(pair: torch.Tensor, scan: Scan, network: Interpolator, inferer: GapInferer, dense_voxels: int) -> Estimate:
    """Time one window of a method on two slices of a scan, and count how many windows the whole takes.

    Args:
        pair: two neighbouring slices in [0, 1], `(1, 1, X, Y, Z[, T])`, on the network's device.
        scan: where they are from.
        network: the method.
        inferer: factor, samples and batch size.
        dense_voxels: of the dense volume that are in memory at once.
    """
    slices = slices_first(pair.as_tensor() if hasattr(pair, "as_tensor") else pair, scan.axis, network.takes_phases)
    frames = slices if network.takes_phases else slices.flatten(1, 2)
    half = network.num_neighbours // 2
    neighbours = torch.stack([frames[0][:1]] * half + [frames[1][:1]] * half, dim=1)
    plan = plan_gap(inferer.factor_for(scan.spacing_mm), network.reach, network.resampling)
    positions = plan.levels[0][0].positions
    before, seconds = resident_mib("VmRSS"), 0.0
    for _ in range(2):
        start = time.perf_counter()
        network.predict(neighbours, torch.tensor(positions), [0], scan.coordinates == "polar")
        if neighbours.is_cuda:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        if seconds > SHORT_S:
            break
    per_gap = sum(len(window.unknown) for level in plan.levels for window in level) / len(positions)
    stacks = 1 if network.takes_phases else scan.num_phases
    windows = per_gap * (scan.num_slices - 1) * stacks * inferer.num_samples
    together = min(inferer.batch_size, windows)
    if neighbours.is_cuda:
        return Estimate(seconds * windows, torch.cuda.max_memory_allocated() / 2**20 * together)
    peak = resident_mib("VmHWM")
    if before is None or peak is None:
        return Estimate(seconds * windows, None)
    # A volume in [0, 1] and one in stored units, as they are restored and as they are written.
    volumes = dense_voxels * (4 * min(inferer.num_samples, 2) + 2 * scan.dtype.itemsize) / 2**20
    return Estimate(seconds * windows, before + max(peak - before, 0) * together + volumes)


def write_excerpt(scan: Scan, folder: Path, takes_phases: bool) -> Path:
    """Write what a preview does: the first phase of a cine, or a few gaps in the middle of what has no phases.

    Args:
        scan: the whole.
        folder: gets `<stem>_preview.nii.gz`.
        takes_phases: the method takes the phases of a cine together: then it is a few gaps with all of them.

    Returns:
        The file's path.
    """
    one_phase = scan.num_phases > 1 and not takes_phases
    gaps = scan.num_slices - 1 if one_phase else min(PREVIEW_GAPS, scan.num_slices - 1)
    first = (scan.num_slices - 1 - gaps) // 2
    slices = read_scan_slices(scan, first, first + gaps + 1)  # (N, T, H, W)
    volume = np.moveaxis(slices[:, :1] if one_phase else slices, (0, 1), (scan.axis, 3))
    volume = volume if volume.shape[3] > 1 else volume[..., 0]
    affine = scan.affine.copy()
    affine[:3, 3] += first * affine[:3, scan.axis]
    path = folder / f"{stem(scan.path)}_preview.nii.gz"
    header = output_header(scan.header, volume.shape, scan.affine, affine)
    with NiftiWriter(path, header, volume.ndim, "volume") as file:
        file.write(volume)
    return path


def resident_mib(key: str, process: int | str = "self") -> float | None:
    """Resident memory of a process now (`key` "VmRSS") or at its peak ("VmHWM"); None where the system does not say."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{key}:")), None)
