# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a user may not have meant, as the grid of a scan shows it."""

from __future__ import annotations

import torch

from custom.geometry import spacing_from_affine
from custom.scans.scan import Scan


def pixel_mm(scan: Scan) -> tuple[float, float]:
    """Spacing of a slice's rows and columns."""
    rows, columns = (float(size) for axis, size in enumerate(spacing_from_affine(scan.affine)) if axis != scan.axis)
    return rows, columns


def doubts(scan: Scan, factor: int) -> list[str]:
    """What a user may not have meant: a grid that says nothing, colours as phases, slices closer than pixels."""
    lines = []
    if (scan.affine == torch.eye(4).numpy()).all():
        lines.append("its affine is the identity, so its spacing is likely unknown and taken as 1 mm")
    if scan.may_be_colour:
        lines.append(f"its {scan.num_phases} phases of 8 bits may be the channels of a colour image; save one channel")
    in_plane = min(pixel_mm(scan))
    if scan.coordinates != "polar" and scan.spacing_mm / factor < in_plane * (1 - 1e-3):
        dense = scan.spacing_mm / factor
        lines.append(f"factor {factor} puts slices {dense:.3g} mm apart, closer than pixels of {in_plane:.3g} mm")
    return lines
