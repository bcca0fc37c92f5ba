# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""`--method`: every method without weights densifies a scan by the inference command of any bundle."""

from __future__ import annotations

import json
from pathlib import Path

import monai.bundle
import nibabel as nib
import numpy as np
import pytest

from custom.errors import InputError, input_error_in
from custom.interpolators.named import CLASSICAL

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"


def infer(bundle, scan, folder, **options):
    config = str(BUNDLES / bundle / "configs" / "inference.json")
    options = {"device": "$torch.device('cpu')", "dataset_dir": str(scan), "output_dir": str(folder), **options}
    monai.bundle.run(config_file=config, logging_file=False, **options)


@pytest.fixture
def scan(tmp_path):
    """A cine of four slices, 8 mm apart; read as a pullback, its first phase."""
    values = np.random.default_rng(0).integers(0, 200, (24, 20, 4, 2)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.diag([1.4, 1.4, 8.0, 1.0])), tmp_path / "heart.nii.gz")
    nib.save(nib.Nifti1Image(values[..., 0].astype(np.uint8), np.diag([0.01, 0.01, 0.2, 1.0])), tmp_path / "oct.nii.gz")
    return tmp_path / "heart.nii.gz"


def test_linear_is_the_average_and_needs_no_weights(scan, tmp_path):
    infer("calid_cine", scan, tmp_path / "out", method="linear", factor=2, checkpoint="nowhere.pt")
    given = nib.load(scan).get_fdata()
    made = nib.load(tmp_path / "out" / "heart_interp.nii.gz").get_fdata()
    np.testing.assert_array_equal(made[:, :, ::2], given)
    np.testing.assert_allclose(made[:, :, 1::2], (given[:, :, :-1] + given[:, :, 1:]) / 2, atol=0.5)
    sidecar = json.loads((tmp_path / "out" / "heart_interp.json").read_text())
    assert sidecar["method"] == "linear" and sidecar["weights_sha256"] is None


@pytest.mark.parametrize("method", CLASSICAL)
def test_every_one_densifies_stacks_and_pullbacks(scan, tmp_path, method):
    infer("calid", scan, tmp_path / "mr", method=method, factor=2)
    infer("cardiointerp", tmp_path / "oct.nii.gz", tmp_path / "oct", method=method, factor=3)
    assert nib.load(tmp_path / "mr" / "heart_interp.nii.gz").shape == (24, 20, 7, 2)
    assert nib.load(tmp_path / "oct" / "oct_interp.nii.gz").shape == (24, 20, 10)


def test_another_name_is_told_in_one_line(scan, tmp_path):
    with pytest.raises(Exception) as raised:
        infer("calid", scan, tmp_path / "out", method="splines")
    told = input_error_in(raised.value)
    assert isinstance(told, InputError) and "choose from nearest, linear, cubic, flow" in str(told)
    assert not (tmp_path / "out").exists()
