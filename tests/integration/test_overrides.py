# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What `inference.json` declares is what runs: a transform that the command line changes changes the output."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.bundle import ConfigWorkflow

CONFIG = Path(__file__).parents[2] / "bundles" / "unet_regression" / "configs" / "inference.json"


@pytest.fixture
def stack(tmp_path):
    values = np.random.default_rng(0).gamma(2, 100, (32, 32, 3)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.diag([1.4, 1.4, 8.0, 1.0])), tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


def run(stack, output_dir, **overrides):
    options = {"dataset_dir": str(stack), "output_dir": str(output_dir), "factor": 2, "device": "cpu", **overrides}
    workflow = ConfigWorkflow(str(CONFIG), workflow_type="infer", logging_file=False, **options)
    workflow.initialize()
    workflow.run()
    output = output_dir / "scan_interp.nii.gz"
    return np.asanyarray(nib.load(output).dataobj), json.loads(output.with_name("scan_interp.json").read_text())


def test_overrides_of_both_rows_of_transforms_reach_the_output_and_the_sidecar(stack, tmp_path):
    plain, told = run(stack, tmp_path / "plain")
    narrow, told_narrow = run(stack, tmp_path / "narrow", **{"preprocessing#transforms#1#percentiles": [20, 80]})
    cut, told_cut = run(stack, tmp_path / "cut", **{"postprocessing#transforms#1#keep_excess": False})
    for other in (narrow, cut):
        np.testing.assert_array_equal(other[..., ::2], plain[..., ::2])  # acquired slices, whatever is declared
        assert (other[..., 1::2] != plain[..., 1::2]).any()
    assert cut[..., 1::2].max() <= np.percentile(plain[..., ::2], 99.5) + 1
    assert told_narrow["settings"] != told["settings"] != told_cut["settings"]


def test_another_transform_makes_the_output_anew_in_the_same_folder(stack, tmp_path):
    plain, _ = run(stack, tmp_path / "out")
    smooth = {"_target_": "GaussianSmoothd", "keys": "image", "sigma": 2.0}
    transforms = json.loads(CONFIG.read_text())["preprocessing"]["transforms"]
    smoothed, _ = run(stack, tmp_path / "out", **{"preprocessing#transforms": [*transforms, smooth]})
    assert smoothed[..., 1].std() < plain[..., 1].std()
