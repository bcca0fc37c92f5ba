# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A scan too large for the device's memory is one line; the others are still done, in smaller batches."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

CONFIG = Path(__file__).parents[2] / "bundles" / "unet_regression" / "configs" / "inference.json"


def test_a_scan_that_does_not_fit_is_told_and_the_others_are_done(tmp_path, caplog, monkeypatch):
    for name, size in (("a_large", 64), ("b_small", 32)):
        values = np.random.default_rng(0).integers(0, 200, (size, size, 4), np.int16)
        nib.save(nib.Nifti1Image(values, np.diag([1.0, 1.0, 8.0, 1.0])), tmp_path / f"{name}.nii.gz")
    config = ConfigParser.load_config_file(CONFIG) | {"bundle_root": str(CONFIG.parents[1])}
    config |= {"dataset_dir": str(tmp_path), "output_dir": str(tmp_path / "out"), "factor": 2, "device": "cpu"}
    parser = ConfigParser(config)
    network = parser.get_parsed_content("network_def")
    interpolate, asked = network.interpolate, []

    def short_of_memory(neighbours, *args, **kwargs):
        asked.append(tuple(neighbours.shape[::4]))
        if neighbours.numel() > 3 * 2 * 32 * 32:  # two windows of the small scan, not one of the large
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return interpolate(neighbours, *args, **kwargs)

    monkeypatch.setattr(network, "interpolate", short_of_memory)
    with pytest.raises(SystemExit, match="error: 1 of 2 .* failed: a_large.nii.gz"):
        parser.get_parsed_content("evaluator").run()
    (line,) = [message for message in caplog.messages if "a_large" in message and "memory" in message]
    assert line.endswith("one window of 64x64 does not fit in the memory of cpu; use a smaller --tile_size")
    written = [path.name for path in sorted((tmp_path / "out").glob("*interp*"))]
    assert written == ["b_small_interp.json", "b_small_interp.nii.gz"]
    assert asked == [(3, 64), (1, 64), (3, 32)]
