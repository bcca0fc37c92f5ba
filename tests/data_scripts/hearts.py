# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Small oblique hearts as NIfTI files, and what the scripts make of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

from custom.data.datalist import SECTIONS

SCRIPTS = Path(__file__).resolve().parents[2] / "data_scripts"
ROTATION = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
HEART = (30, 22)
"""Centre of the heart in array indices."""


def affine_of(spacing=(1.3, 1.3, 8.0)):
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = ROTATION * spacing, [5, -40, 20]
    return affine


def disc(shape, radius, centre=HEART):
    """Bool of the plane of `shape`."""
    x, y = np.indices(shape[:2])
    return np.hypot(x - centre[0], y - centre[1]) < radius


def heart(shape=(48, 44, 6), phases=0, seed=0, dtype=np.int16, centre=HEART):
    """A bright beating disc on noise, `(X, Y, Z)` or `(X, Y, Z, T)`."""
    cine = np.random.default_rng(seed).integers(0, 60, (*shape, max(phases, 1))).astype(dtype)
    for t in range(max(phases, 1)):
        cine[disc(shape, 7 + 3 * np.sin(t), centre), :, t] += 180
    return cine if phases else cine[..., 0]


def mask(data):
    """The cavity in every slice, `(X, Y, Z)`."""
    return disc(data.shape, 5)[..., None].repeat(data.shape[2], axis=2).astype(np.uint8)


def save(path, data, affine=None, unit=None, zoom=None):
    image = nib.Nifti1Image(data, affine_of() if affine is None else affine)
    if data.ndim == 4:
        image.header.set_zooms((*image.header.get_zooms()[:3], zoom or 1.0))
        image.header.set_xyzt_units("mm", unit)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def entries_of(folder):
    """Section to its images."""
    datalist = json.loads((folder / "datalist.json").read_text())
    return {name: [entry["image"] for entry in datalist[name]] for name in SECTIONS}


def array_of(path):
    return np.asarray(nib.load(path).dataobj)


def run(*args):
    """`prepare_cmr.py` as a command."""
    command = [sys.executable, str(SCRIPTS / "prepare_cmr.py"), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
