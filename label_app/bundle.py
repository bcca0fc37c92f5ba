# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""One request from a scan on disk to a result on disk, by the very objects of the bundle's command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nibabel as nib
from monai.bundle import ConfigParser

from custom.command_line import check_device
from custom.errors import InputError
from custom.inferers.scans import ScanInterpolator
from custom.scans.nifti import stem
from custom.scans.provenance import SYNTHETIC_KEY, read_sidecar
from label_app.options import chosen, offered
from label_app.studies import one_scan

MAX_VOXELS = 2**30
"""Of a result. A cine of 256 x 256 x 13 slices x 30 phases, ten-fold, has a quarter of them."""


@dataclass(frozen=True)
class Result:
    """What a request gets.

    Args:
        image: the NIfTI file.
        std: that of the samples' standard deviation; None for one sample.
        record: for the client: the sidecar and what was guessed of a DICOM study.
    """

    image: Path
    std: Path | None
    record: dict[str, Any]


class ServedBundle:
    """A bundle as it lies on disk; nothing is held between requests, so that none can leave something to the next.

    Args:
        folder: of the bundle.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = ConfigParser.load_config_file(folder / "configs" / "inference.json")
        self.metadata = ConfigParser.load_config_file(folder / "configs" / "metadata.json")
        self.defaults = offered(self.config)

    @property
    def is_complete(self) -> bool:
        """Whether its weights are there."""
        return (self.folder / "models" / "model.pt").is_file()

    @cached_property
    def kind(self) -> str:
        """What it takes: "stack" or "pullback"."""
        return self.config["preprocessing"]["transforms"][0].get("kind", "stack")

    @cached_property
    def labels(self) -> dict[str, int]:
        """Structures of a segmentation; empty where the result is an image."""
        if "factor" in self.config:
            return {}
        outputs = self.metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
        return {name: int(number) for number, name in outputs.items() if name != "background"}

    def run(self, path: Path, params: Mapping[str, Any], folder: Path) -> Result:
        """Do one scan.

        Args:
            path: what the client named or sent: see `one_scan`.
            params: of the request.
            folder: an empty one; receives the result.

        Raises:
            InputError: the scan cannot be done.
            ValueError: a parameter that is none, or out of its range.
        """
        options = chosen(params, self.defaults)
        device = params.get("device")
        if device is not None:
            if not isinstance(device, str):
                raise ValueError(f"device must be cpu, cuda or cuda:1, got {device!r}")
            check_device(device)
            options["device"] = device
        if params.get("save_label"):
            raise ValueError("save_label: the result is an image and no label of one; leave save_label out and keep it")
        scan, guesses = one_scan(path, self.kind, folder / "scan", params.get("scan"))
        parser = ConfigParser(dict(self.config))
        parser.update(
            {
                **options,
                "bundle_root": str(self.folder),
                "dataset_dir": str(scan),
                "output_dir": str(folder / "result"),
            }
        )
        evaluator = parser.get_parsed_content("evaluator")
        evaluator.prepare()
        if isinstance(evaluator, ScanInterpolator):
            _check_size(evaluator, scan)
        image = evaluator.do_scan(scan)
        std = image.with_name(image.name.replace("_interp.nii", "_std.nii"))
        sidecar = read_sidecar(image)
        record = {
            "label_names": self.labels,
            "synthetic": bool(sidecar.get(SYNTHETIC_KEY)),
            "description": nib.load(image).header["descrip"].item().decode(errors="replace"),
            "scan": stem(scan),
            "guesses": guesses,
            "sidecar": sidecar,
        }
        return Result(image, std if std != image and std.is_file() else None, record)


def _check_size(evaluator: ScanInterpolator, path: Path) -> None:
    """Raise InputError where the result would be larger than a server should make."""
    scan = evaluator.loader.inspect(str(path))
    voxels = scan.plane[0] * scan.plane[1] * scan.num_phases * evaluator.slices_for(scan)
    if voxels > MAX_VOXELS:
        fault = f"would become {voxels:,} voxels, more than the {MAX_VOXELS:,} that are served"
        raise InputError(path, fault, "ask for a smaller factor, or use the command line")
