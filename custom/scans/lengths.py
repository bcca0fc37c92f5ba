# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Lengths in NIfTI headers: in mm, in micrometres or metres that say so, or in what the user says."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from custom.errors import InputError

UNITS = {"mm": 1.0, "micron": 1e-3, "meter": 1e3}
"""Lengths of NIfTI (xyzt_units) in mm."""
PLAUSIBLE_MM = (0.02, 100.0)
"""Spacings of a heart's scan, mouse to man."""
_TIME_CODES = (0, 8, 16, 24, 32, 40, 48)


def to_mm(
    path: Path, header: nib.Nifti1Header, unit: str | None, has_sform: bool, notes: list[str], doubts: list[str]
) -> None:
    """Bring the lengths of a header to mm, in place.

    Args:
        path: of the file, for the message.
        header: NIfTI-1 or -2.
        unit: of its lengths, whatever it says; None to take its word where that is plausible.
        has_sform: whether the sform tells the spacings, rather than pixdim.
        notes: gets what was changed.
        doubts: gets what was guessed.

    Raises:
        InputError: spacings that no heart's scan has, and `unit` is None.
    """
    code = int(header["xyzt_units"])
    if code & 7 > 3 or code & ~7 not in _TIME_CODES:
        notes.append(f"its units have the unknown code {code}: lengths are taken as mm")
        code = header["xyzt_units"] = 0
    said = header.get_xyzt_units()[0]
    sizes = np.array([header["srow_x"], header["srow_y"], header["srow_z"]])[:, :3] if has_sform else None
    sizes = np.linalg.norm(sizes, axis=0) if has_sform else np.asarray(header["pixdim"][1:4], np.float64)

    def plausible(name: str) -> bool:
        low, high = PLAUSIBLE_MM
        return bool((sizes * UNITS[name] >= low).all() and (sizes * UNITS[name] <= high).all())

    chosen = unit or (said if said in UNITS else "mm")
    if unit is None and not plausible(chosen):
        others = [name for name in UNITS if plausible(name)]
        if said in UNITS and chosen != "mm" and "mm" in others:
            told = ", ".join(f"{size:g}" for size in sizes)
            doubts.append(
                f"lengths are said to be in {said}, but voxels of {told} are plausible in mm only: taken as mm"
            )
            chosen = "mm"
        else:
            told = " x ".join(f"{size * UNITS[chosen]:g}" for size in sizes)
            hint = f", in {others[0]} they would be plausible" if others else ""
            remedy = "mend the spacing in the header, or in NIfTI its unit (xyzt_units)"
            raise InputError(path, f"has voxels of {told} mm{hint}", remedy)
    if chosen != "mm":
        scale = UNITS[chosen]
        header["pixdim"][1:4] *= scale
        for name in ("srow_x", "srow_y", "srow_z", "qoffset_x", "qoffset_y", "qoffset_z"):
            header[name] = np.asarray(header[name]) * scale
        notes.append(f"lengths in {chosen} are converted to mm")
    # 7: the bits of the unit of length; 2 stands for mm. Those of the unit of time stay.
    header["xyzt_units"] = (code & ~7) | 2
