# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""From the heart-centred crop back to the scanner's grid: a densified crop becomes a densified scan."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from custom.errors import InputError
from custom.geometry import dense_affine, synthetic_mask
from custom.importers.cmr.crop import PlaneCrop, as_dtype
from custom.importers.cmr.scan import CmrVolume, plane_axes, voxels_sha256
from custom.importers.cmr.series import DicomOptions
from custom.importers.cmr.source import CmrSource
from custom.importers.cmr.sources import find_volume
from custom.importers.cmr.study import read_source
from custom.importers.cmr.volumes import VolumeOptions, volume_name
from custom.scans.nifti import stem
from custom.scans.provenance import (
    SYNTHETIC_KEY,
    read_sidecar,
    read_synthetic_frames,
    sha256_of,
    sidecar_path,
    write_json,
)
from custom.scans.scan import Scan
from custom.scans.stacks import inspect_stack, read_slices, write_stack

AFFINE_TOLERANCE_MM = 0.05


@dataclass(frozen=True, eq=False)
class CropRecord:
    """What `prepare_cmr.py` wrote beside a crop, as far as it takes to undo it.

    Args:
        path: of the JSON.
        crop: the window.
        gains: `(N,)` factors that the slices were multiplied with; None for none.
        axis: through-plane array axis.
        voxels_sha256: of the scanner's slices.
        source: the files or folders that were read, relative to `--input` or the folder around it.
        kind: of the source.
        name: of the crop.
        slice_axis: `--slice_axis`.
        dicom: options of then.
        volumes: options of then.
    """

    path: Path
    crop: PlaneCrop
    gains: np.ndarray | None
    axis: int
    voxels_sha256: str
    source: tuple[str, ...]
    kind: str
    name: str
    slice_axis: int | None
    dicom: DicomOptions
    volumes: VolumeOptions


def read_record(path: Path) -> CropRecord:
    """Read the JSON beside a prepared stack.

    Raises:
        InputError: there is none, or it does not record a crop.
    """
    try:
        content = json.loads(path.read_text())
        gains, scanner, settings = (content[key] for key in ("gains", "scanner", "settings"))
        if not content["source"]:
            raise ValueError("It names no source.")
        return CropRecord(
            path=path,
            crop=PlaneCrop.from_dict(content["crop"]),
            gains=None if gains is None else np.array(gains, np.float64),
            axis=int(scanner["slice_axis"]),
            voxels_sha256=scanner["voxels_sha256"],
            source=tuple(map(str, content["source"])),
            kind=content["kind"],
            name=stem(content["entry"]["image"]),
            slice_axis=settings["slice_axis"],
            dicom=DicomOptions(**settings["dicom"]),
            volumes=VolumeOptions(**settings.get("volumes", {})),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        fault = "is no record of a crop" if path.is_file() else "no such record of a crop"
        raise InputError(path, fault, "give --prepared the folder that prepare_cmr.py wrote") from error


def read_original(record: CropRecord, originals: Path) -> CmrVolume:
    """The scan that a crop was cut from.

    Args:
        record: of the crop.
        originals: the folder or file that was `--input` of `prepare_cmr.py`.

    Raises:
        InputError: it is not there, or not the same any more.
    """
    told = record.source
    bases = (originals, originals.parent)
    remedy = "give --originals what was --input of prepare_cmr.py"
    root = next((base for base in bases if all((base / part).exists() for part in told)), None)
    if root is None:
        raise InputError(originals, f"does not hold {', '.join(told)}, which {record.path.name} was cut from", remedy)
    paths = tuple(root / part for part in told)
    if record.kind == "nifti":
        # Of several phases only the one in question.
        found = [path for path in paths if record.name.endswith(volume_name(path))] or list(paths)
        sources = [find_volume(path) for path in found]
    else:
        sources = [CmrSource(record.kind, record.name, record.name, paths, root)]
    for source in sources:
        scans, _, _ = read_source(source, record.dicom, record.slice_axis, record.volumes)
        for volume in (volume for scan in scans for volume in scan.volumes):
            if voxels_sha256(volume.slices) == record.voxels_sha256:
                return volume
    raise InputError(paths[0], f"is not the scan that {record.path.name} was cut from", remedy)


def restore(result: Path, prepared: Path, originals: Path, output: Path) -> None:
    """Put a densified crop back on the scanner's grid, with its sidecar.

    Acquired slices are those of the original, bit for bit. Synthetic slices have the crop's values where the crop is,
    interpolated linearly if it had another pixel size; elsewhere the linear interpolation of the acquired slices on
    either side. Of a standard deviation (`_std`) acquired slices and what lies outside the crop are 0.

    Args:
        result: `<stem>_interp.nii.gz` or `<stem>_std.nii.gz`, beside its sidecar.
        prepared: folder of the crop and its record.
        originals: see :func:`read_original`.
        output: file to write, of the original's axis order, header and, but for a deviation, dtype.

    Raises:
        InputError: a sidecar, record or original is missing, or these do not belong together.
    """
    sidecar, name = _sidecar(result)
    result_sha256 = sha256_of(result)
    _check_free(output, result_sha256)
    record = read_record(sidecar_path(prepared / name))
    original = read_original(record, originals)
    is_std = stem(result).endswith("_std")
    info = inspect_stack(result, record.axis)
    factor = _checked_factor(result, info, record, original)
    window = read_slices(info).astype(np.float32) * np.float32(info.slope) + np.float32(info.inter)
    mask = read_synthetic_frames(result, info.num_slices)
    if not np.array_equal(mask, synthetic_mask(original.info.num_slices, factor)):
        raise InputError(sidecar_path(result), "names other synthetic slices than its volume has", "interpolate again")
    target = original.info
    dense = np.zeros((len(mask), *original.slices.shape[1:]), np.float32 if is_std else target.dtype)
    for k, synthetic in enumerate(mask):
        gap, step = divmod(k, factor)
        if not synthetic:
            dense[k] = 0 if is_std else original.slices[gap]
            continue
        weight = step / factor
        values, inside = record.crop.paste(window[k])
        if record.gains is not None:
            values = values / ((1 - weight) * record.gains[gap] + weight * record.gains[gap + 1])
        if is_std:
            dense[k][..., inside] = values[..., inside]
            continue
        around = (1 - weight) * original.slices[gap].astype(np.float64) + weight * original.slices[gap + 1]
        around[..., inside] = (values[..., inside] - target.inter) / target.slope
        dense[k] = as_dtype(around, target.dtype)
    restored = {
        "output": output.name,
        "restored": {
            "from": result.name,
            "from_sha256": result_sha256,
            "original": list(record.source),
            "original_voxels_sha256": record.voxels_sha256,
            "crop": record.crop.to_dict(),
        },
    }
    # The sidecar first: a volume with synthetic slices is never there without it.
    written = write_json(sidecar_path(output), {**sidecar, **restored})
    try:
        affine = dense_affine(target.affine, record.axis, factor)
        write_stack(output, target, dense, affine, f"x{factor}, synthetic slices", np.float32 if is_std else None)
    except BaseException:
        written.unlink(missing_ok=True)
        raise


def _check_free(output: Path, result_sha256: str) -> None:
    """Refuse to replace what was not made from this very result."""
    if not output.exists() and not sidecar_path(output).exists():
        return
    restored = read_sidecar(output).get("restored")
    if not isinstance(restored, dict) or restored.get("from_sha256") != result_sha256:
        fault = "is there already, and is not of this result"
        raise InputError(output, fault, "choose another --output_dir, or move it away")


def _sidecar(result: Path) -> tuple[dict[str, Any], str]:
    """The sidecar of a result, and the name of its input."""
    path = sidecar_path(result)
    try:
        sidecar = json.loads(path.read_text())
        if SYNTHETIC_KEY not in sidecar:
            raise KeyError(SYNTHETIC_KEY)
        return sidecar, str(sidecar["input"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        fault = "does not say what its volume was made from"
        raise InputError(path, fault, "keep the sidecar beside its volume, or interpolate again") from error


def _checked_factor(result: Path, info: Scan, record: CropRecord, original: CmrVolume) -> int:
    """The factor of a result that is of this crop and this original."""
    remedy = "give --prepared and --originals of this result"
    target = original.info
    factor, rest = divmod(info.num_slices - 1, target.num_slices - 1)
    if rest or info.plane != record.crop.size or info.num_phases != target.num_phases:
        fault = f"is {info.shape}, the crop has planes {record.crop.size} and the scan is {target.shape}"
        raise InputError(result, fault, remedy)
    expected = dense_affine(record.crop.affine(target.affine, plane_axes(target)), record.axis, max(factor, 1))
    corners = np.array([[*np.unravel_index(k, (2, 2, 2)), 1] for k in range(8)]) * [*np.subtract(info.shape[:3], 1), 1]
    if np.abs(corners @ (expected - info.affine).T).max() > AFFINE_TOLERANCE_MM:
        raise InputError(result, "lies elsewhere than the crop it was made from", remedy)
    return factor
