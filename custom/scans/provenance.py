# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What stands beside an output: how it was made, and which of its slices (frames of a pullback) are synthetic."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from custom.errors import InputError
from custom.files import atomic
from custom.scans.nifti import stem

SYNTHETIC_KEY = "synthetic_slices"
"""A sidecar's list of indices along its `slice_axis`; of a pullback these are frames, of a cine not its phases."""

CONFIDENCE_KEYS = ("expected_error", "expected_psnr_db", "gap_likeness", "gap_shift_mm", "doubtful_gaps")
"""What a sidecar says of how far to trust the slices: per slice the absolute error (of the intensity range [0, 1], 0
where acquired) and the PSNR that the method expects of itself; per gap between acquired slices, from 0, how alike its
ends are (1: the same tissue) and how far they are displaced against each other; and which gaps are doubtful."""


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file, read in pieces, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sidecar_path(path_nii: str | Path) -> Path:
    """`<stem>.json` beside `<stem>.nii.gz`."""
    return Path(path_nii).with_name(f"{stem(path_nii)}.json")


def write_json(path: str | Path, content: Any) -> Path:
    """Write JSON under a temporary name, then rename: the file is complete or not there.

    Raises:
        InputError: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")
    return path


def read_synthetic_frames(path_nii: str | Path, num_frames: int) -> np.ndarray:
    """Which frames of an output are synthetic, as its sidecar says.

    Args:
        path_nii: the output.
        num_frames: how many frames it has.

    Returns:
        `(num_frames,)`, True where the frame is synthetic.

    Raises:
        InputError: there is no sidecar, or it says nothing of synthetic frames.
    """
    path = sidecar_path(path_nii)
    mask = np.zeros(num_frames, dtype=bool)
    try:
        mask[json.loads(path.read_text())[SYNTHETIC_KEY]] = True
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        fault = "does not say which frames are synthetic"
        raise InputError(path, fault, "keep the sidecar beside its volume, or interpolate again") from error
    return mask


def says_synthetic(path_nii: str | Path) -> bool:
    """Whether a scan's sidecar, or the description in its header, says that some of its slices are synthetic."""
    if {SYNTHETIC_KEY, "synthetic_frames"} & read_sidecar(path_nii).keys():  # the latter in files of version 0.1.0
        return True
    try:
        return b"synthetic" in nib.load(path_nii).header["descrip"].item()
    except Exception:
        return False  # no NIfTI, or one that nibabel refuses in whatever way: who reads it will say so


def read_sidecar(path_nii: str | Path) -> dict[str, Any]:
    """A scan's sidecar; empty where there is none that can be read, since any file may lie beside a user's scan."""
    try:
        content = json.loads(sidecar_path(path_nii).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def is_made(output: Path, record: Mapping[str, Any]) -> tuple[bool, list[str]]:
    """Whether an output is there, made as `record` says; and if it was made by us otherwise, what differs.

    Args:
        output: the volume.
        record: what determines it; a mapping in it is compared entry by entry.
    """
    said = read_sidecar(output)
    if not output.exists() or SYNTHETIC_KEY not in said:
        return False, []
    differing = []
    for name, value in json.loads(json.dumps(record)).items():
        if isinstance(value, dict) and isinstance(said.get(name), dict):
            differing += sorted(
                key for key in value.keys() | said[name].keys() if value.get(key) != said[name].get(key)
            )
        elif said.get(name) != value:
            differing.append(name)
    names = (name.removeprefix("inferer.") for name in differing)
    return not differing, list(dict.fromkeys(names))


def synthetic_record(
    record: Mapping[str, Any], input_path: str | Path, output: str | Path, synthetic: Sequence[bool]
) -> dict[str, Any]:
    """The sidecar of an interpolated volume.

    Args:
        record: what made it: bundle, version, weights, options, seed, ...
        input_path: the input; only its file name is recorded, paths can name patients.
        output: the volume.
        synthetic: one bool per slice of the output.
    """
    indices = np.flatnonzero(np.asarray(synthetic)).tolist()
    return {**record, "input": Path(input_path).name, "output": Path(output).name, SYNTHETIC_KEY: indices}
