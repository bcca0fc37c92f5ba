# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Sources as scans: the stacks of a DICOM study, of a zip, of NIfTI files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from custom.errors import InputError
from custom.importers.cmr.dicom import DicomImage, Headers, LeftOut
from custom.importers.cmr.dicom_headers import read_headers
from custom.importers.cmr.dicom_options import DicomOptions
from custom.importers.cmr.dicom_pixels import read_pixels
from custom.importers.cmr.nifti_groups import read_group
from custom.importers.cmr.scan import CmrScan, CmrVolume
from custom.importers.cmr.series import sort_stacks
from custom.importers.cmr.slices import SortedStack
from custom.importers.cmr.source import CmrSource, visible_files
from custom.importers.cmr.volumes import VolumeOptions
from custom.importers.cmr.zips import unpacked
from custom.importers.patients import PLACEHOLDER
from custom.scans.scan import Scan
from custom.scans.stacks import stack_intensity_range

_SLICE_AXIS = 2


def read_source(
    source: CmrSource, options: DicomOptions, slice_axis: int | None = None, volumes: VolumeOptions | None = None
) -> tuple[list[CmrScan], list[str], list[InputError]]:
    """Read a source that `custom.importers.cmr.sources.find_sources` has found.

    Args:
        source: DICOM files, a zip of DICOM files, or volumes.
        options: for DICOM.
        slice_axis: for volumes, the through-plane array axis; None for the one of largest spacing.
        volumes: how volumes are taken.

    Returns:
        As :func:`read_study`.

    Raises:
        InputError: it holds no stack, or is damaged.
    """
    where = source.paths[0]
    if source.group is not None:
        scan, notes = read_group(source.group, source.output_names, slice_axis, volumes or VolumeOptions())
        return [scan], notes, []
    if source.kind == "dicom":
        return read_study(source.headers or read_headers(source.files()), source.name, options, where)
    with unpacked(where) as folder:
        try:
            headers = read_headers(visible_files(folder))
            if not headers.files():
                remedy = "unpack it and give the folder, if it holds volumes"
                raise InputError(where, "holds no MR images of a stack (no DICOM file)", remedy)
            patients = {image.patient for image in headers.images}
            if len(patients) > 1:
                raise InputError(where, f"holds images of {len(patients)} patients", "unpack it and give the folder")
            scans, notes, faults = read_study(headers, source.name, options, where)
        except InputError as error:
            raise _told_of_zip(error, where, folder) from error
        return scans, notes, [_told_of_zip(fault, where, folder) for fault in faults]


def _told_of_zip(error: InputError, where: Path, folder: Path) -> InputError:
    """A fault of an unpacked file as one of the zip: the user does not know where it was unpacked."""
    if folder not in error.path.parents:
        return error
    return InputError(where, f"{error.path.name.partition('_')[2]} in it {error.fault}", error.remedy)


def read_study(
    headers: Headers, name: str, options: DicomOptions, where: Path
) -> tuple[list[CmrScan], list[str], list[InputError]]:
    """Read the short-axis stacks of DICOM files.

    Args:
        headers: of one or several studies.
        name: outputs are named after it: with one stack `<name>`, with several `<name>_<series number>-<description>`.
        options: which series and slices to take.
        where: the folder or zip, for messages.

    Returns:
        One scan for each stack; notes on what was put together or left out, guesses among them (`Doubt`); faults of
        stacks that could not be sorted or read.

    Raises:
        InputError: no stack, or a damaged file.
    """
    stacks, notes, faults = sorted_stacks(headers, name, options, where)
    scans = []
    for (_, stack), output in zip(stacks, _names(stacks), strict=True):
        try:
            scans.append(_scan(where, stack, output))
        except InputError as error:
            faults.append(error)
    if not scans:
        raise faults[0]
    return scans, notes, faults


def sorted_stacks(
    headers: Headers, name: str, options: DicomOptions, where: Path
) -> tuple[list[tuple[str, SortedStack]], list[str], list[InputError]]:
    """The stacks of DICOM files in order, their pixels not read yet; arguments and errors as in :func:`read_study`.

    Returns:
        Of each stack the prefix of its output's name and the stack; notes; faults.
    """
    headers.check(where)
    studies: dict[str, list[DicomImage]] = {}
    for image in sorted(headers.images, key=lambda image: (image.study, image.acquired)):
        studies.setdefault("" if options.join == "all" else image.study, []).append(image)
    stacks: list[tuple[str, SortedStack]] = []
    notes, faults = headers.notes(), [_header_fault(items) for items in headers.faults()]
    for k, (study, images) in enumerate(studies.items()):
        prefix = name if len(studies) == 1 else f"{name}_study{k + 1}"
        left_out = [item for item in headers.left_out if options.join == "all" or item.study == study]
        try:
            found, more_notes, more_faults = sort_stacks(where, images, options, left_out)
        except InputError as error:
            found, more_notes, more_faults = [], [], [error]
        notes, faults = notes + more_notes, faults + more_faults
        stacks += [(prefix, stack) for stack in found]
    return stacks, notes, faults


def _header_fault(items: Sequence[LeftOut]) -> InputError:
    """One line for all files of a series whose headers are wrong in the same way."""
    more = f", as in {len(items) - 1} more files of {items[0].told}" if len(items) > 1 else ""
    return InputError(items[0].path, items[0].reason + more, "export it again, mend the header, or take the file away")


def _names(stacks: Sequence[tuple[str, SortedStack]]) -> list[str]:
    """Output names: the prefix alone where it has one stack, else with its series; numbered where these agree."""
    prefixes = [prefix for prefix, _ in stacks]
    names: list[str] = []
    for prefix, stack in stacks:
        image = stack.images[0][0]
        words = [f"{image.number:03d}", image.description, stack.part]
        name = prefix if prefixes.count(prefix) == 1 else f"{prefix}_{'-'.join(filter(None, words))}"
        name = re.sub(r"[^\w.-]+", "-", name)
        names.append(name if name not in names else f"{name}-{len(names) + 1}")
    return names


def _scan(where: Path, stack: SortedStack, name: str) -> CmrScan:
    values, slope, inter, padding = read_pixels(stack.images)
    shape = tuple(int(n) for n in (*values.shape[2:], values.shape[0], values.shape[1]))
    shape = shape if shape[3] > 1 else shape[:3]
    try:
        intensity_range = stack_intensity_range(values if padding is None else values[~padding])
    except ValueError as error:
        raise InputError(where, f"{stack.told()}: every value is the same", "check the export") from error
    header = _header(stack, shape, values.dtype, slope, inter)
    info = Scan(
        path=where,
        shape=shape,
        axis=_SLICE_AXIS,
        dtype=header.get_data_dtype(),
        slope=slope,
        inter=inter,
        affine=stack.affine,
        intensity_range=intensity_range,
        header=header,
    )
    details = {"dicom_series": stack.series(), "dicom_slices": len(stack.images)}
    stated = stack.images[0][0].patient
    patient = "" if PLACEHOLDER.match(stated) else stated
    return CmrScan((CmrVolume(name, info, values, outside=padding),), details=details, patient=patient)


def _header(
    stack: SortedStack, shape: tuple[int, ...], dtype: np.dtype, slope: float, inter: float
) -> nib.Nifti1Header:
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(dtype)
    header.set_slope_inter(slope, inter)
    header.set_xyzt_units("mm", "msec" if stack.phase_ms else None)
    header.set_qform(stack.affine, "scanner")
    header.set_sform(stack.affine, "scanner")
    if len(shape) == 4:
        header.set_zooms((*header.get_zooms()[:3], stack.phase_ms or 1.0))
    header["descrip"] = b"cardiac MR short axis"
    return header
