# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The inference command: pullbacks on disk in, dense pullbacks on disk out, one frame at a time."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from custom.geometry import dense_affine, dense_count, spacing_from_affine, synthetic_mask
from custom.inferers.folder import FolderInterpolator, Provenance, ScanFolder, factor_of, is_done, refuse_synthetic
from custom.inferers.gaps import GapInferer
from custom.interpolators.base import Interpolator
from custom.scans.provenance import sidecar_path, write_sidecar
from custom.scans.pullbacks import PullbackReader, PullbackWriter, find_pullbacks, inspect_pullback, stem

__all__ = ["Provenance", "PullbackFolder", "PullbackInterpolator", "interpolate_pullback"]

logger = logging.getLogger(__name__)
PULLBACK_AXIS = 2


def interpolate_pullback(
    path: str | Path,
    output_dir: str | Path,
    network: Interpolator,
    inferer: GapInferer,
    provenance: Provenance,
    device: torch.device | str = "cpu",
) -> Path:
    """Interpolate one pullback from disk to disk, in memory that does not grow with its length.

    Writes `<stem>_interp.nii.gz` and, for several samples, `<stem>_std.nii.gz` (float32, in the image's own
    units, 0 at acquired frames), each with its sidecar. Acquired frames are bit-identical in the stored dtype. An
    output whose sidecar names the same input, weights and options is left as it is.

    Args:
        path: NIfTI `(H, W, frames)`.
        output_dir: an existing folder.
        network: the method, on `device`, in evaluation mode.
        inferer: factor, samples, seed and batch size.
        provenance: what the sidecar says of the method.
        device: where the frames go.

    Returns:
        The output's path.

    Raises:
        InputError: a file that is no pullback, or already interpolated; a target spacing that it meets; a full disk.
    """
    path, output = Path(path), Path(output_dir) / f"{stem(path)}_interp.nii.gz"
    deviation = output.with_name(f"{stem(path)}_std.nii.gz")
    refuse_synthetic(path)
    info = inspect_pullback(path)
    record = provenance.record(path, inferer, PULLBACK_AXIS)
    if is_done(output, record):
        logger.info("%s: already done with these options, kept", output)
        return output

    factor = factor_of(path, inferer, spacing_from_affine(info.affine)[PULLBACK_AXIS])
    num_frames = info.shape[PULLBACK_AXIS]
    num_dense = dense_count(num_frames, factor)
    affine = dense_affine(info.affine, PULLBACK_AXIS, factor)
    low, high = info.intensity_range
    description = f"x{factor}, synthetic frames"
    with ExitStack() as stack:
        # Two readers, each moving forwards only: the inferer reads ahead of the frame that is being written.
        ahead, acquired = (stack.enter_context(PullbackReader(info)) for _ in range(2))
        writer = stack.enter_context(PullbackWriter(output, info, num_dense, affine, description))
        std_writer = None
        if inferer.num_samples > 1:
            std_writer = PullbackWriter(deviation, info, num_dense, affine, description, np.float32)
            stack.enter_context(std_writer)
        frames = (torch.from_numpy(ahead.normalised(k)).to(device)[None, None] for k in range(num_frames))
        dense = inferer.stream(frames, network, factor, wrap_rows=info.coordinates == "polar")
        for frame in tqdm(dense, desc=stem(path), total=num_dense, unit="frame", smoothing=0, mininterval=1):
            if frame.synthetic:
                writer.write(acquired.denormalise(frame.mean[0, 0].cpu().numpy()))
            else:
                writer.write(acquired.stored(frame.index // factor))
            if std_writer is not None:
                std = torch.zeros(info.shape[:2]) if frame.std is None else frame.std[0, 0].cpu()
                std_writer.write(std.numpy() * np.float32((high - low) * abs(info.slope)))
        # The files take their names now. Until the sidecars follow, no older one may vouch for them.
        for stale in (sidecar_path(output), sidecar_path(deviation), deviation):
            stale.unlink(missing_ok=True)
    synthetic = synthetic_mask(num_frames, factor).tolist()
    for written in (deviation, output) if std_writer else (output,):
        write_sidecar(written, **record, input_path=path, synthetic=synthetic)
    return output


class PullbackFolder(ScanFolder):
    """The pullbacks of a folder as `{"image": path}`, see `ScanFolder`."""

    def find(self) -> list[Path]:
        """The NIfTI files, sorted by name."""
        return find_pullbacks(self.dataset_dir)


class PullbackInterpolator(FolderInterpolator):
    """One iteration is one pullback (`interpolate_pullback`), see `FolderInterpolator`."""

    noun = "pullback"

    def interpolate_scan(self, path: Path) -> Path:
        """Interpolate one pullback from disk to disk."""
        return interpolate_pullback(
            path, self.output_dir, self.network, self.inferer, self.provenance, self.state.device
        )
