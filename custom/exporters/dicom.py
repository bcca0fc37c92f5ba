# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A densified scan as a derived DICOM series, which a viewer shows beside the series that it was made from.

The series has UIDs of its own in the study and frame of reference of its source, `ImageType` DERIVED and the number of
its source plus 1000. Acquired images keep their pixels bit for bit and name their source; synthetic ones say
`SyntheticData` YES, how they were made, and between which two images. What was acquired with thick slices still says
so: only the spacing becomes smaller. The same volume and sources give the same files.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pydicom

from custom.errors import InputError
from custom.exporters.derived import DerivedSeries, is_ours
from custom.exporters.mr_images import mr_images, spacing_mm
from custom.exporters.multiframe import DenseFrames, write_frames
from custom.exporters.sources import DenseScan, find_pullback, find_stack, source_files
from custom.importers.cmr.dicom_headers import read_headers
from custom.importers.cmr.dicom_options import DicomOptions
from custom.importers.cmr.dicom_pixels import decode_image
from custom.importers.dicom_files import is_dicom
from custom.scans.nifti import stem
from custom.scans.provenance import read_sidecar, sha256_of
from custom.scans.publish import staged_folder
from custom.scans.pullback_reader import PullbackReader
from custom.scans.scan import Scan
from custom.scans.stacks import read_slices

logger = logging.getLogger(__name__)
SUFFIX = "_dicom"


def write_dicom_series(
    volume_path: str | Path,
    sources: str | Path | Sequence[str | Path],
    output_dir: str | Path,
    burnt_in: bool = False,
    options: DicomOptions | None = None,
) -> list[Path]:
    """Write a densified scan as a derived DICOM series: an image a file, or one file where the source is one.

    Args:
        volume_path: `<name>.nii.gz` on the scanner's grid (no crop), its sidecar beside it. A pullback is on the grid
            and in the gray values of its file.
        sources: the DICOM files that the scan was made from: files, folders of them, zips. Others among them, such as
            those of other series, do no harm.
        output_dir: gets the folder `<name>_dicom`, complete or not at all; one of an earlier run is replaced, or kept
            if it is the same.
        burnt_in: write the word SYNTHETIC into the pixels of synthetic images as well.
        options: which MR images are one stack, as they were when the scan was made.

    Returns:
        The files, in order.

    Raises:
        InputError: a missing sidecar, a crop, sources of another scan, a folder that something else fills, a full disk.
    """
    volume, folder = Path(volume_path), Path(output_dir) / f"{stem(volume_path)}{SUFFIX}"
    _check_place(folder)
    with ExitStack() as zips:
        files = source_files(sources, zips)
        headers = read_headers(files)
        if headers.images:
            dense = find_stack(volume, headers, options or DicomOptions())
            sops = [image.sop for image in dense.stack.flat]
        else:
            dense = find_pullback(volume, files)
            sops = [dense.pullback.SOPInstanceUID]
        mark = "burnt in" if burnt_in else ""
        identity = (sha256_of(volume), *sops, f"x{dense.factor}", mark)
        series = DerivedSeries.of(volume, read_sidecar(volume), dense.factor, identity)
        done = _done(folder, series.uid)
        if done:
            logger.info("%s: the same series is there already, kept", folder)
            return done
        return _write(folder, volume, dense, series, burnt_in)


def _write(folder: Path, volume: Path, dense: DenseScan, series: DerivedSeries, burnt_in: bool) -> list[Path]:
    names = []
    with staged_folder(folder) as hidden:
        if dense.pullback is not None:
            names = ["00001.dcm"]
            with PullbackReader(dense.scan) as reader:
                frames = _pullback_frames(volume, dense, reader)
                write_frames(hidden / names[0], frames, series, dense.scan.spacing_mm * dense.factor, burnt_in)
        elif dense.stack.images[0][0].frame is not None:
            names = ["00001.dcm"]
            write_frames(hidden / names[0], _stack_frames(volume, dense), series, spacing_mm(dense.stack), burnt_in)
        else:
            for dataset in mr_images(volume, _physical(dense.scan), dense.stack, series, burnt_in):
                names.append(f"{int(dataset.InstanceNumber):05d}.dcm")
                dataset.save_as(hidden / names[-1], enforce_file_format=True)
    return [folder / name for name in names]


def _physical(scan: Scan) -> np.ndarray:
    """Values `(N, T, columns, rows)` with the header's slope and offset."""
    values = read_slices(scan)
    return values if (scan.slope, scan.inter) == (1, 0) else values * np.float64(scan.slope) + scan.inter


def _pullback_frames(volume: Path, dense: DenseScan, reader: PullbackReader) -> DenseFrames:
    try:
        pixels = dense.pullback.pixel_array
    except Exception as error:  # whatever stops a decoder is a fault of the file
        fault = f"cannot be decoded ({' '.join(str(error).split())})"
        raise InputError(dense.pullback.filename, fault, "export it again, uncompressed") from error
    count = len(pixels)
    return DenseFrames(
        volume=volume,
        source=dense.pullback,
        pixels=pixels,
        acquired=np.arange(count)[:, None],
        plane=lambda place, _: reader.stored(place),
        rescales=[(1.0, 0.0)] * count,
    )


def _stack_frames(volume: Path, dense: DenseScan) -> DenseFrames:
    images = dense.stack.flat
    paths = {image.path for image in images}
    if len(paths) > 1:
        fault = f"comes from {len(paths)} files of several frames, a derived series is made from one"
        raise InputError(volume, fault, "keep the NIfTI volume, or export the stack as one file or as single images")
    source, pixels = decode_image(images[0])
    rescales = [(1.0, 0.0)] * len(pixels)
    for image in images:
        rescales[image.frame] = image.rescale
    physical = _physical(dense.scan)
    return DenseFrames(
        volume=volume,
        source=source,
        pixels=pixels,
        acquired=np.array([[image.frame for image in phases] for phases in dense.stack.images]),
        plane=lambda place, phase: physical[place, phase].T,
        rescales=rescales,
    )


def _check_place(folder: Path) -> None:
    """Refuse a folder that holds anything but a series that was written here."""
    if not folder.exists():
        return
    try:
        files = list(folder.iterdir())
        if all(is_dicom(path) and is_ours(pydicom.dcmread(path, stop_before_pixels=True)) for path in files):
            return
    except (OSError, pydicom.errors.InvalidDicomError):
        pass
    raise InputError(folder, "is there already and holds other files", "move it away or choose another output folder")


def _done(folder: Path, uid: str) -> list[Path]:
    """The files of a series that is there already; none if it is another one. A series is there whole or not at all."""
    files = sorted(folder.glob("*.dcm")) if folder.is_dir() else []
    tags = ["SeriesInstanceUID"]
    if not files or any(pydicom.dcmread(path, specific_tags=tags).SeriesInstanceUID != uid for path in files):
        return []
    return files
