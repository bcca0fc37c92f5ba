# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""`densify` with the shipped networks is `monai.bundle run` on the prepared scan, voxel for voxel."""

from __future__ import annotations

import json
from pathlib import Path

import monai.bundle
import nibabel as nib
import numpy as np
import pytest

from custom.densify.command import main

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"


@pytest.mark.parametrize("kind", ["stack", "pullback"])
def test_the_voxels_and_the_sidecar_are_those_of_the_bundle(
    tmp_path, write_stack_dicom, write_pullback_dicom, kind, monkeypatch
):
    monkeypatch.setattr("sys.argv", ["cardiac-slices"])
    export, bundle = tmp_path / "in", "motion" if kind == "stack" else "motion_oct"
    if kind == "stack":
        write_stack_dicom(export)
        prepared = tmp_path / "out/prepared/cmr/in.nii.gz"
    else:
        write_pullback_dicom(export / "pull.dcm")
        prepared = tmp_path / "out/prepared/oct/pull.nii.gz"
    main(["densify", str(export), str(tmp_path / "out"), "--factor", "3", "--device", "cpu"])
    name = prepared.name.removesuffix(".nii.gz")
    monai.bundle.run(
        config_file=str(BUNDLES / bundle / "configs/inference.json"), logging_file=False, dataset_dir=str(prepared),
        output_dir=str(tmp_path / "bundle"), factor=3, device="$torch.device('cpu')",
    )  # fmt: skip
    ours, theirs = (folder / f"{name}_interp.nii.gz" for folder in (tmp_path / "out" / name, tmp_path / "bundle"))
    images = [nib.load(path) for path in (ours, theirs)]
    np.testing.assert_array_equal(*(np.asarray(image.dataobj) for image in images))
    np.testing.assert_array_equal(*(image.affine for image in images))
    sidecars = [json.loads(path.with_name(f"{name}_interp.json").read_text()) for path in (ours, theirs)]
    assert sidecars[0] == sidecars[1] and sidecars[0]["bundle"] == bundle
    assert (tmp_path / "out" / name / "index.html").exists()
