# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""From a scan to files: crop, gain, mask, and the record that undoes both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from custom.errors import InputError
from custom.geometry import spacing_from_affine
from custom.importers.cmr.crop import PlaneCrop, as_dtype, equalise_gains, plan_crop
from custom.importers.cmr.scan import CmrScan, CmrVolume, ConversionOptions, plane_axes, voxels_sha256
from custom.scans.heart_centre import find_centre
from custom.scans.labels import CLASS_NAMES, mask_numbers, renumbered
from custom.scans.nifti import output_header
from custom.scans.nifti_writer import NiftiWriter
from custom.scans.provenance import sidecar_path, write_json
from custom.scans.scan import Scan
from custom.scans.stacks import stack_intensity_range

LABELS_FOLDER = "labels"
"""Masks lie beside the images in a folder of their own: whoever densifies the images must not densify masks."""
_MS = {"sec": 1000.0, "msec": 1.0, "usec": 0.001}


def write_scan(
    folder: Path, scan: CmrScan, patient: str, options: ConversionOptions, record: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Crop a scan and write it: a NIfTI file, a mask where there is one, and a JSON record for each volume.

    Args:
        folder: of the output.
        scan: one scan.
        patient: it is of.
        options: see :class:`ConversionOptions`.
        record: entries for the record, besides those that undo the crop.

    Returns:
        The datalist entries, paths relative to `folder`. "centre" is that of the heart, in pixels of the output.

    Raises:
        InputError: the disk is full, or a volume is constant.
    """
    info = scan.volumes[0].info
    spacing = tuple(float(spacing_from_affine(info.affine)[axis]) for axis in plane_axes(info))
    labels = [*(volume.label for volume in scan.volumes), *scan.centring_labels]
    centre, method = find_centre(options.centre, [_tissue(volume) for volume in scan.volumes], labels, spacing)
    crop = plan_crop(info.plane, spacing, centre, options.size, options.spacing)
    heart = {"heart_centre": [round(c, 3) for c in centre], "centre_method": method}
    entry = {"patient": patient, "centre": [round(float(c), 2) for c in crop.to_window(centre)]}
    record = {**record, **(scan.details or {}), **heart}
    return [_write_volume(folder, volume, crop, options, entry, record) for volume in scan.volumes]


def _tissue(volume: CmrVolume) -> np.ndarray:
    """The slices, with the darkest tissue where there is none."""
    if volume.outside is None:
        return volume.slices
    return np.where(volume.outside, volume.slices[~volume.outside].min(), volume.slices)


def _write_volume(
    folder: Path,
    volume: CmrVolume,
    crop: PlaneCrop,
    options: ConversionOptions,
    entry: Mapping[str, Any],
    record: Mapping[str, Any],
) -> dict[str, Any]:
    info, slices, gains, dtype = volume.info, volume.slices, None, None
    numbers = mask_numbers(options.masks)
    if options.masks == "ours" and volume.label is not None and volume.label.max() > max(numbers):
        fault = f"has a mask with the number {volume.label.max()}"
        raise InputError(info.path, fault, "say with --masks what its numbers stand for, such as --masks 255=1")
    if options.intensity == "slice":
        slices, gains = _with_gains(info, _tissue(volume))
        dtype = slices.dtype
    # Padding is mixed with tissue where pixels are resampled, and NaN helps nobody: the darkest tissue takes its place.
    dark = float(slices.min() if volume.outside is None else slices[~volume.outside].min())
    if volume.outside is not None:
        replaced = volume.outside if not crop.is_exact else volume.outside & ~np.isfinite(slices)
        slices = np.where(replaced, np.asarray(dark, slices.dtype), slices)
    window = crop.cut(slices, fill=dark)
    affine = crop.affine(info.affine, plane_axes(info))
    path = folder / f"{volume.name}.nii.gz"
    try:
        outside = None if volume.outside is None else crop.cut(volume.outside.astype(np.uint8), fill=1, order=0) > 0
        intensity_range = stack_intensity_range(window if outside is None else window[~outside])
    except ValueError as error:
        raise InputError(info.path, "is constant in the crop", "choose another --centre or a larger --size") from error
    header = write_window(path, info, window, affine, "" if crop.is_exact else "resampled", dtype)
    entry = {"image": path.name, **entry}
    if volume.label is not None:
        (folder / LABELS_FOLDER).mkdir(exist_ok=True)
        label = crop.cut(renumbered(volume.label, numbers), fill=0, order=0)
        write_window(folder / LABELS_FOLDER / path.name, info, label, affine, "mask", np.uint8)
        entry["label"] = f"{LABELS_FOLDER}/{path.name}"
        if set(numbers.values()) != set(CLASS_NAMES):
            entry["label_classes"] = sorted(set(numbers.values()))
    write_json(
        sidecar_path(path),
        {
            **record,
            "entry": entry,
            "shape": list(header.get_data_shape()),
            "spacing_mm": [round(float(zoom), 6) for zoom in header.get_zooms()[:3]],
            "phase_ms": _phase_ms(header),
            "positions_mm": _positions(info),
            "intensity_range": list(intensity_range),
            "voxels_outside_tissue": 0 if volume.outside is None else int(volume.outside.sum()),
            "scanner": {
                "shape": list(info.shape),
                "affine": info.affine.tolist(),
                "slice_axis": info.axis,
                "dtype": info.dtype.name,
                "voxels_sha256": voxels_sha256(volume.slices),
            },
            "crop": crop.to_dict(),
            "gains": None if gains is None else gains.tolist(),
        },
    )
    return entry


def _with_gains(info: Scan, slices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slices times the gains that make them equally bright, and these gains.

    In the file's own units, not as stored: a slope of the header would do, an offset would not. Small integers would
    saturate, so whole numbers become int16 where they fit, and all else float32.
    """
    values = slices * np.float64(info.slope) + info.inter
    gains = equalise_gains(values)
    values *= gains[:, None, None, None]
    whole = info.dtype.kind in "iu" and info.slope == 1 and np.abs(values).max() <= np.iinfo(np.int16).max
    return as_dtype(values, np.dtype(np.int16 if whole else np.float32)), gains


def write_window(path: Path, info: Scan, slices: np.ndarray, affine: np.ndarray, description: str, dtype: Any = None):
    """Write slices of another plane than the source's, and durations of phases in ms where their unit is known.

    Args:
        path: `.nii.gz` to write.
        info: of the source.
        slices: `(N, T, h, w)`.
        affine: `(4, 4)` of the output.
        description: for the header.
        dtype: stored dtype; None for the source's, with its slope and offset.

    Returns:
        The header.

    Raises:
        InputError: the disk is full.
    """
    volumes = np.moveaxis(slices, (0, 1), (info.axis, 3))
    shape: Sequence[int] = volumes.shape if len(info.shape) == 4 else volumes.shape[:3]
    header = output_header(info.header, shape, info.affine, affine, description, dtype)
    space, time = header.get_xyzt_units()
    if len(shape) == 4 and time in _MS:
        header.set_zooms((*header.get_zooms()[:3], header.get_zooms()[3] * _MS[time]))
        header.set_xyzt_units(space, "msec")
    with NiftiWriter(path, header, 3, "volume") as writer:
        for phase in range(volumes.shape[3]):
            writer.write(volumes[..., phase])
    return header


def _phase_ms(header) -> float | None:
    """Duration of a phase; None for one phase and where the header does not say in which unit."""
    if len(header.get_data_shape()) < 4 or header.get_xyzt_units()[1] not in _MS:
        return None
    return round(float(header.get_zooms()[3]), 3)


def _positions(info: Scan) -> list[float]:
    """Where the slices lie along their normal, mm."""
    height, width = (info.affine[:3, axis] for axis in plane_axes(info))
    normal = np.cross(height, width)
    first, step = (float(info.affine[:3, column] @ normal / np.linalg.norm(normal)) for column in (3, info.axis))
    return [round(first + k * step, 3) for k in range(info.num_slices)]
