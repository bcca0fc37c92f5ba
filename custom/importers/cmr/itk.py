# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""NRRD and MetaImage, read by SimpleITK where it is installed (`pip install SimpleITK`, Apache 2.0).

It is no requirement of this project: 50 MB to fetch and 260 MB on disk for two formats that few cardiac archives use.
"""

from __future__ import annotations

import re
from glob import escape, glob
from pathlib import Path

import nibabel as nib
import numpy as np

from custom.errors import InputError
from custom.importers.notes import Doubt
from custom.scans.header_repair import COPY_AGAIN, MAX_PADDING_BYTES, MEND_DIMENSIONS, NO_AFFINE

ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
_MAX_HEADER_BYTES = 2**20
_NOT_PLAIN = re.compile(
    rb"encoding:(?! *raw)|(byte|line) ?skip:|CompressedData *= *True|BinaryData *= *False|HeaderSize *=", re.IGNORECASE
)
"""Values that are compressed, written as text, or behind something else: how many bytes they take is not told."""
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def open_itk(path: Path) -> tuple[nib.Nifti1Image, list[str]]:
    """A volume as a NIfTI image in memory, and guesses.

    Raises:
        InputError: SimpleITK is not installed, or the file cannot be read, is in colour, or is no stack.
    """
    try:
        import SimpleITK as sitk
    except ImportError as error:
        kind = path.suffix.lstrip(".").upper()
        remedy = "pip install SimpleITK, or save it as NIfTI (.nii.gz)"
        raise InputError(path, f"is {kind}, which takes the package SimpleITK to read", remedy) from error
    try:
        sitk.ProcessObject.SetGlobalWarningDisplay(False)
        image = sitk.ReadImage(str(path))
        values = sitk.GetArrayFromImage(image)
    except RuntimeError as error:
        if re.search("spacing|direction", str(error), re.IGNORECASE):
            raise InputError(path, NO_AFFINE, "set the voxel spacing and the directions in the header") from error
        lines = [line for line in str(error).splitlines() if line.strip()]
        reason = (lines[-1] if lines else type(error).__name__).replace(str(path), "the file")
        raise InputError(path, f"cannot be read ({' '.join(reason.split())})", COPY_AGAIN) from error
    _check_length(path, values)
    notes: list[str] = []
    dimensions, components = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    values = np.moveaxis(values, -1, 0) if components > 1 else values
    if components > 1:
        if dimensions > 3 or (components in (3, 4) and values.dtype == np.uint8):
            raise InputError(path, f"has {components} values in each voxel, gray is expected", "save one channel")
        told = f"{components} values in each voxel are taken as phases of a cine"
        notes.append(Doubt(f"{told}; if they are none, save one of them as a volume"))
    values = np.ascontiguousarray(values.transpose())  # (X, Y, Z) or (X, Y, Z, T)
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(dimensions, dimensions)[:3, :3]
    spacing = np.array(image.GetSpacing()[:3])
    if dimensions < 3:
        raise InputError(path, f"is an array {values.shape}, no stack", "give a stack of at least two slices")
    affine[:3, :3], affine[:3, 3] = direction * spacing, image.GetOrigin()[:3]
    affine = _LPS_TO_RAS @ affine
    if np.array_equal(affine, _LPS_TO_RAS):
        affine = np.eye(4)
    nifti = nib.Nifti1Image(values, affine, dtype=values.dtype)
    nifti.header.set_xyzt_units("mm")
    nifti.set_qform(affine, "scanner")
    nifti.set_sform(affine, "scanner")
    return nifti, notes


def values_of(path: Path) -> list[Path]:
    """The files that a header without values (.nhdr, .mhd) names: one, a list, or a pattern with a number in it."""
    if path.suffix.lower() not in (".nhdr", ".mhd"):
        return []
    found: set[Path] = set()
    for line in path.read_bytes().decode("latin-1").splitlines():
        name = escape(re.split("[:=]", line, maxsplit=1)[-1].strip())
        pattern = re.sub(r"%\d*d(\S*).*", r"*\1", name)
        found |= {Path(place) for place in glob(f"{escape(str(path.parent))}/{pattern}")}
    return sorted(place for place in found - {path} if place.is_file())


def _check_length(path: Path, values: np.ndarray) -> None:
    """Refuse plain values that are more than the header speaks of: they would be read in wrong rows."""
    with open(path, "rb") as file:
        start = file.read(_MAX_HEADER_BYTES)
    end = re.search(rb"\n\r?\n|ElementDataFile *= *LOCAL\r?\n", start)
    header = start[: end.end()] if end else start
    if _NOT_PLAIN.search(header):
        return
    files = values_of(path)
    size = sum(file.stat().st_size for file in files) if files else path.stat().st_size - len(header)
    if size - values.nbytes > MAX_PADDING_BYTES:
        fault = f"holds {size - values.nbytes} bytes more than its header says (shape {values.shape[::-1]})"
        raise InputError(path, fault, MEND_DIMENSIONS)
