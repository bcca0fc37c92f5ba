# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The inference command for cardiac MR: short-axis stacks and cines on disk in, dense ones on disk out."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from custom.data.sources import cmr_phantom_scan
from custom.errors import InputError
from custom.geometry import dense_affine, dense_count, synthetic_mask
from custom.inferers.folder import FolderInterpolator, Provenance, ScanFolder, factor_of, is_done, refuse_synthetic
from custom.inferers.gaps import GapInferer
from custom.interpolators.base import Interpolator
from custom.scans.nifti import stem
from custom.scans.provenance import sidecar_path, write_sidecar
from custom.scans.stacks import StackInfo, find_stacks, inspect_stack, read_slices, to_unit, write_stack
from custom.transforms.intensity import restore_slice

__all__ = ["Provenance", "StackFolder", "StackInterpolator", "interpolate_stack"]

logger = logging.getLogger(__name__)


def interpolate_stack(
    path: str | Path,
    output_dir: str | Path,
    network: Interpolator,
    inferer: GapInferer,
    provenance: Provenance,
    device: torch.device | str = "cpu",
    axis: int | None = None,
) -> Path:
    """Interpolate one stack or cine from disk to disk.

    Writes `<stem>_interp.nii.gz` and, for several samples, `<stem>_std.nii.gz` (float32, in the image's own units, 0 at
    acquired slices), each with its sidecar. Acquired slices are bit-identical in the stored dtype. A cine comes out as
    a cine: a method that knows single slices does it phase by phase, all phases with the same noise. An output whose
    sidecar names the same input, weights and options is left as it is.

    All is done in memory: the input as stored and in float32, the gaps at work in float32, the output as stored, and
    the deviation in float32. A cine of 256 x 256 x 10 x 20 voxels of 2 bytes took 0.4 GiB at factor 4, in one batch of
    all gaps, with linear interpolation; a network adds its own.

    Args:
        path: NIfTI `(X, Y, Z)` or `(X, Y, Z, T)`.
        output_dir: an existing folder.
        network: the method, on `device`, in evaluation mode.
        inferer: factor, samples, seed and batch size.
        provenance: what the sidecar says of the method.
        device: where the slices go.
        axis: the through-plane array axis, 0, 1 or 2; None for the one of largest spacing.

    Returns:
        The output's path.

    Raises:
        InputError: a file that is no stack, or already interpolated; one volume where the method takes cines; a target
            spacing that it meets; a full disk.
    """
    path, output = Path(path), Path(output_dir) / f"{stem(path)}_interp.nii.gz"
    deviation = output.with_name(f"{stem(path)}_std.nii.gz")
    refuse_synthetic(path)
    info = inspect_stack(path, axis)
    if network.takes_phases and info.num_phases < 2:
        fault = "holds one phase, and this bundle takes whole cines (X, Y, Z, T)"
        raise InputError(path, fault, "give the 4D cine, or use the 2D bundle")
    record = provenance.record(path, inferer, info.axis)
    if is_done(output, record):
        logger.info("%s: already done with these options, kept", output)
        return output

    factor = factor_of(path, inferer, info.spacing_mm)
    dense, std = _interpolated(info, network, inferer, factor, device)
    volumes = [(output, dense, None)] if std is None else [(output, dense, None), (deviation, std, np.float32)]
    affine = dense_affine(info.affine, info.axis, factor)
    synthetic = synthetic_mask(info.num_slices, factor).tolist()
    with _all_or_nothing(output) as staging:
        for place, values, dtype in volumes:
            staged = staging / place.name
            write_stack(staged, info, values, affine, f"x{factor}, synthetic slices", dtype)
            write_sidecar(staged, **record, input_path=path, synthetic=synthetic)
        # Until the new sidecars are in place, no older one may vouch for a volume.
        for stale in (sidecar_path(output), sidecar_path(deviation), deviation):
            stale.unlink(missing_ok=True)
        for place, *_ in volumes:
            os.replace(staging / place.name, place)
        for place, *_ in reversed(volumes):  # the output's last: it is the one that `is_done` looks at
            os.replace(sidecar_path(staging / place.name), sidecar_path(place))
    return output


def _interpolated(
    info: StackInfo, network: Interpolator, inferer: GapInferer, factor: int, device: torch.device | str
) -> tuple[np.ndarray, np.ndarray | None]:
    """All slices `(M, T, H, W)` in stored units, and for several samples their deviation in the image's units."""
    acquired = read_slices(info)
    takes_phases = network.takes_phases
    shape = dense_count(info.num_slices, factor), *acquired.shape[1:]
    dense = np.empty(shape, info.dtype)
    std = np.zeros(shape, np.float32) if inferer.num_samples > 1 else None
    low, high = info.intensity_range
    units = (torch.from_numpy(phases).to(device) for phases in to_unit(info, acquired))
    frames = (phases[None, None] if takes_phases else phases[:, None] for phases in units)
    with tqdm(
        desc=stem(info.path), total=shape[0] * info.num_phases, unit="slice", smoothing=0, mininterval=1
    ) as progress:
        for frame in inferer.stream(frames, network, factor):
            gap, step = divmod(frame.index, factor)
            if frame.synthetic:
                values = frame.mean.reshape(shape[1:]).cpu().numpy()
                dense[frame.index] = restore_slice(info, values, acquired[gap], acquired[gap + 1], step / factor)
            else:
                dense[frame.index] = acquired[gap]
            if frame.std is not None:
                std[frame.index] = frame.std.reshape(shape[1:]).cpu().numpy() * np.float32(
                    (high - low) * abs(info.slope)
                )
            progress.update(info.num_phases)
    return dense, std


@contextmanager
def _all_or_nothing(output: Path) -> Iterator[Path]:
    """A hidden folder beside `output` to write its files into; what has not been moved out is removed with it."""
    staging = output.with_name(f".{output.name}.part")
    shutil.rmtree(staging, ignore_errors=True)  # of a run that was killed
    try:
        staging.mkdir()
        yield staging
    except InputError as error:  # the user knows nothing of the hidden folder
        raise InputError(output.with_name(error.path.name), error.fault, error.remedy) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


class StackFolder(ScanFolder):
    """The stacks and cines of a folder as `{"image": path}`, see `ScanFolder`.

    Args:
        dataset_dir: a folder of NIfTI files, or one file; None for a simulated scan.
        scan_dir: where the simulated scan is, or is made at first use (`custom.data.sources.cmr_phantom_scan`).
    """

    def __init__(self, dataset_dir: str | Path | None, scan_dir: str | Path = "cmr_scan") -> None:
        super().__init__(dataset_dir)
        self.scan_dir = scan_dir

    def find(self) -> list[Path]:
        """The NIfTI files, sorted by name."""
        return find_stacks(cmr_phantom_scan(self.scan_dir) if self.dataset_dir is None else self.dataset_dir)


class StackInterpolator(FolderInterpolator):
    """One iteration is one stack or cine (`interpolate_stack`), see `FolderInterpolator`.

    Args:
        args: as `FolderInterpolator`.
        axis: the through-plane array axis of all files, 0, 1 or 2; None for the one of largest spacing in each.
        kwargs: as `FolderInterpolator`.
    """

    noun = "stack"

    def __init__(self, *args: Any, axis: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.axis = axis

    def interpolate_scan(self, path: Path) -> Path:
        """Interpolate one stack or cine from disk to disk."""
        return interpolate_stack(
            path, self.output_dir, self.network, self.inferer, self.provenance, self.state.device, self.axis
        )
