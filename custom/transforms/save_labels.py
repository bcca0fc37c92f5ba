# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A segmented scan to disk: labels on the image's grid, clinical measures, a sidecar."""

from __future__ import annotations

import csv
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from monai.transforms import SaveImaged
from monai.utils import convert_to_numpy

from custom.errors import InputError
from custom.files import atomic
from custom.metrics.clinical import heart_measures, voxel_volume_mm3
from custom.scans.labels import CLASS_NAMES
from custom.scans.nifti import output_header, stem
from custom.scans.nifti_writer import NiftiWriter
from custom.scans.provenance import SYNTHETIC_KEY, read_sidecar, read_synthetic_frames, sidecar_path, write_json
from custom.scans.scans import inspect_scan
from custom.transforms.save import PROVENANCE


class SaveLabelsd(SaveImaged):
    """Write `<stem>_seg.nii.gz`, its sidecar, and `<stem>_measures.csv`.

    The labels have the grid of the image: its shape, affine and phases. Volumes take their voxels from that affine, so
    that oblique stacks and those made denser by interpolation are measured as they lie. Of an interpolated stack the
    sidecar tells which slices are synthetic: their labels are no more acquired than they are.

    A `SaveImaged` by type, so that MONAI Label and Deploy, which write themselves, leave it out.

    Args:
        keys: labels `(1, X, Y, Z)` or `(1, X, Y, Z, T)`, with the metadata of `LoadScand`.
        output_dir: folder of the outputs.
        axis: as `LoadScand` has it.
    """

    def __init__(self, keys: str = "pred", output_dir: str | Path = ".", axis: int | None = None) -> None:
        super().__init__(keys, output_dir=str(output_dir), print_log=False)
        self.output_dir, self.axis = Path(output_dir), axis

    def outputs(self, path: str | Path) -> tuple[Path, Path]:
        """The labels and the measures of an input."""
        labels = self.output_dir / f"{stem(path)}_seg.nii.gz"
        return labels, labels.with_name(f"{stem(path)}_measures.csv")

    def is_done(self, path: str | Path, record: Mapping[str, Any]) -> bool:
        """Whether the outputs are there, made as `record` says."""
        labels, measures = self.outputs(path)
        said, synthetic = read_sidecar(labels), read_sidecar(path).get(SYNTHETIC_KEY)
        known = said.get(SYNTHETIC_KEY) == synthetic and record.items() <= said.items()
        return known and labels.exists() and measures.exists()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return `data` as it came, the files written."""
        prediction = data[self.first_key(data)]
        scan = inspect_scan(prediction.meta["filename_or_obj"], "stack", self.axis)
        output, measures = self.outputs(scan.path)
        volume = convert_to_numpy(prediction)[0].astype(np.uint8)
        volume = volume if volume.ndim == 4 else volume[..., None]
        record = {
            **data.get(PROVENANCE, {}),
            "input": scan.path.name,
            "output": output.name,
            "labels": {"0": "background", **{str(number): name for number, name in CLASS_NAMES.items()}},
            **_synthetic_of(scan.path, scan.num_slices),
        }
        sidecar_path(output).unlink(missing_ok=True)  # until the new one is in place, none may vouch for the labels
        header = output_header(scan.header, scan.shape, scan.affine, scan.affine, "labels", np.uint8)
        with NiftiWriter(output, header, 3, "volume") as writer:
            for phase in range(scan.num_phases):
                writer.write(volume[..., phase])
        rows = heart_measures(np.moveaxis(volume, (scan.axis, 3), (0, 1)), voxel_volume_mm3(scan.affine)).rows()
        with atomic(measures) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        write_json(sidecar_path(output), record)
        return dict(data)


def _synthetic_of(path: Path, num_slices: int) -> dict[str, list[int]]:
    """Which slices of the image its own sidecar calls synthetic."""
    try:
        return {SYNTHETIC_KEY: np.flatnonzero(read_synthetic_frames(path, num_slices)).tolist()}
    except InputError:
        return {}
