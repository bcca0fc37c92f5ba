# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Segmentation from disk to disk: short-axis stacks and cines in, label images and clinical measures out."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.inferers import Inferer
from monai.utils import convert_to_tensor

from custom.errors import InputError
from custom.files import atomic
from custom.inferers.folder import FolderInterpolator
from custom.metrics.clinical import heart_measures, voxel_volume_mm3
from custom.scans.labels import CLASS_NAMES
from custom.scans.nifti import stem
from custom.scans.provenance import SYNTHETIC_KEY, read_synthetic_frames, sha256_of, sidecar_path, write_json
from custom.scans.stacks import inspect_stack, read_slices, to_unit, write_stack
from custom.transforms.layout import check_axis, slice_axis, slices_first

logger = logging.getLogger(__name__)


class PlaneInferer(Inferer):
    """Runs a network of slices on every slice, and every phase, of a volume.

    Args:
        axis: the through-plane axis of the volume, 0, 1 or 2; None for that of its affine.
        batch_size: slices at a time.
    """

    def __init__(self, axis: int | None = None, batch_size: int = 16) -> None:
        super().__init__()
        self.axis, self.batch_size = axis, batch_size

    def validate(self) -> None:
        """Raise ValueError if an option is unusable."""
        check_axis(self.axis)
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be positive, got {self.batch_size}")

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """Class scores `(B, C, X, Y, Z[, T])` of `inputs` `(B, 1, X, Y, Z[, T])`."""
        axis = slice_axis(inputs, self.axis)
        planes = slices_first(convert_to_tensor(inputs), axis, takes_phases=False)  # (N, B, T, 1, H, W)
        count = planes.shape[:3]
        parts = [network(part, *args, **kwargs) for part in planes.flatten(0, 2).split(self.batch_size)]
        scores = torch.cat(parts).unflatten(0, count).movedim(2, -1).movedim(0, 2 + axis)
        return scores if inputs.ndim == 6 else scores.squeeze(-1)


@torch.no_grad()
def segment_slices(
    network: Callable[[torch.Tensor], torch.Tensor],
    slices: torch.Tensor,
    batch_size: int = 16,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """Classes of slices.

    Args:
        network: a segmenter in evaluation mode, `(B, 1, H, W)` to class scores `(B, C, H, W)`.
        slices: `(N, 1, H, W)` in [0, 1].
        batch_size: slices at a time.
        device: where the network is.

    Returns:
        `(N, H, W)` uint8.
    """
    parts = [network(part.to(device)).argmax(1).to(torch.uint8).cpu() for part in slices.split(batch_size)]
    return torch.cat(parts).numpy()


class StackSegmenter(FolderInterpolator):
    """One iteration is one stack or cine: `<stem>_seg.nii.gz`, its sidecar and `<stem>_measures.csv` are written.

    The labels have the grid of the image: its shape, affine and phases. Volumes take their voxels from that affine, so
    that oblique stacks and those made denser by interpolation are measured as they lie. An output whose sidecar names
    the same input and weights is left as it is. Of an interpolated stack it tells which slices are synthetic.

    Args:
        args: as `FolderInterpolator`; the network is a segmenter, the inferer a :class:`PlaneInferer`.
        axis: the through-plane array axis of all files, 0, 1 or 2; None for the one of largest spacing in each.
        kwargs: as `FolderInterpolator`.
    """

    noun = "stack"

    def __init__(self, *args: Any, axis: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.axis = axis

    def _validate(self) -> None:
        self.inferer.validate()

    def interpolate_scan(self, path: Path) -> Path:
        """Segment and measure one stack or cine from disk to disk."""
        output = Path(self.output_dir) / f"{stem(path)}_seg.nii.gz"
        measures = output.with_name(f"{stem(path)}_measures.csv")
        info = inspect_stack(path, self.axis)
        record = {
            "bundle": self.provenance.bundle,
            "version": self.provenance.version,
            "weights_sha256": self.provenance.weights_sha256,
            "options": {**self.provenance.options, "slice_axis": info.axis},
            "input": path.name,
            "input_sha256": sha256_of(path),
            "output": output.name,
            "labels": {"0": "background", **{str(number): name for number, name in CLASS_NAMES.items()}},
        }
        record |= _synthetic_of(path, info.num_slices)
        if output.exists() and measures.exists() and _says(output, record):
            logger.info("%s: already done with these options, kept", output)
            return output
        sidecar_path(output).unlink(missing_ok=True)  # until the new one is in place, none may vouch for the labels
        units = torch.from_numpy(to_unit(info, read_slices(info)))
        planes = units.flatten(0, 1)[:, None]
        labels = segment_slices(self.network, planes, self.inferer.batch_size, self.state.device)
        labels = labels.reshape(info.num_slices, info.num_phases, *info.plane)
        write_stack(output, info, labels, info.affine, "labels", np.uint8)
        _write_csv(measures, heart_measures(labels, voxel_volume_mm3(info.affine)).rows())
        write_json(sidecar_path(output), record)
        return output


def _synthetic_of(path: Path, num_slices: int) -> dict[str, list[int]]:
    """Which slices of the image its own sidecar calls synthetic: their labels are no more acquired than they are."""
    try:
        return {SYNTHETIC_KEY: np.flatnonzero(read_synthetic_frames(path, num_slices)).tolist()}
    except InputError:
        return {}


def _says(output: Path, record: dict[str, Any]) -> bool:
    try:
        return json.loads(sidecar_path(output).read_text()) == json.loads(json.dumps(record))
    except (OSError, ValueError):
        return False


def _write_csv(path: Path, rows: list[dict[str, object]]) -> None:
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
