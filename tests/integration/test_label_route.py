# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What MONAI Label and MONAI Deploy do with an inference config, against the command that goes from disk to disk."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.transforms import Compose, SaveImage, SaveImaged
from scipy.spatial.transform import Rotation

from custom.errors import input_error_in
from custom.weights import load_model

FACTOR = 4


@pytest.fixture(scope="module", params=["stack", "cine"])
def scan(request, tmp_path_factory):
    """An oblique stack whose slices lie on its first axis, or a cine."""
    values = np.random.default_rng(2).integers(0, 1200, (3, 24, 28, 6), dtype=np.int16)
    spacing, path = [8.5, 1.5, 1.4], tmp_path_factory.mktemp("scan") / f"{request.param}.nii.gz"
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [-15, 40, 25], degrees=True).as_matrix() @ np.diag(spacing)
    affine[:3, 3] = [9, -50, 33]
    nib.save(nib.Nifti1Image(values[..., 0] if request.param == "stack" else values, affine), path)
    return path


def as_label_does(bundle, weights, scan):
    """`BasicInferTask` of MONAI Label: the same objects, called one by one; returns the prediction before it is saved.

    Label leaves out what is a `SaveImage(d)`, and writes itself.
    """
    parser = ConfigParser(ConfigParser.load_config_file(bundle.configs / "inference.json"))
    parser.update({**bundle.network, "factor": FACTOR, "device": torch.device("cpu")})
    network = load_model(parser.get_parsed_content("network_def"), weights).eval()
    data = parser.get_parsed_content("preprocessing")({"image": str(scan)})
    with torch.no_grad():
        outputs = parser.get_parsed_content("inferer")(data["image"][None], network)
    data["pred"] = outputs[0]
    after = parser.get_parsed_content("postprocessing").transforms
    return Compose([transform for transform in after if not isinstance(transform, SaveImage | SaveImaged)])(data)


@pytest.mark.parametrize("bundle", ["calid", "calid_cine"], indirect=True)
def test_both_routes_give_the_same_voxels_on_the_same_grid(bundle, trained, scan, tmp_path):
    weights = trained / "models" / "model.pt"
    if bundle.takes_phases and scan.name == "stack.nii.gz":
        with pytest.raises(ValueError, match="takes the phases of a cine together"):
            as_label_does(bundle, weights, scan)
        return
    data = as_label_does(bundle, weights, scan)
    bundle.run_here(
        "inference.json", **bundle.network, checkpoint=str(weights), dataset_dir=str(scan), output_dir=str(tmp_path),
        factor=FACTOR,
    )  # fmt: skip
    disk = nib.load(tmp_path / f"{scan.name.removesuffix('.nii.gz')}_interp.nii.gz")
    expected = np.asanyarray(disk.dataobj)
    assert list(data) == ["pred"], "Label saves what is left, so only the prediction may be"
    # MONAI's image writers take the phases for channels.
    voxels = data["pred"].numpy()
    voxels = voxels[0] if expected.ndim == 3 else np.moveaxis(voxels, 0, -1)
    assert voxels.dtype == expected.dtype and voxels.shape == expected.shape
    np.testing.assert_array_equal(voxels, expected)
    assert expected[1].std() > 0, "a slice that is not acquired"
    np.testing.assert_allclose(data["pred"].affine, disk.affine, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("layout", ["polar", "cartesian"])
def test_both_routes_give_the_same_frames_of_a_pullback(layout, dtype, tmp_path):
    """With the shipped weights of a small network: polar frames wrap around, and a range is found, on both routes."""
    values = np.random.default_rng(3).gamma(2, 40, (64, 40, 3)).clip(0, 4000 if dtype != np.uint8 else 255)
    image = nib.Nifti1Image(values.astype(dtype), np.diag([0.02, 0.02, 0.2, 1.0]))
    image.header["descrip"] = f"OCT {layout}".encode()
    nib.save(image, tmp_path / "scan.nii.gz")
    root = Path(__file__).parents[2] / "bundles" / "unet_regression_oct"

    class Bundle(NamedTuple):
        configs: Path = root / "configs"
        network: dict = {}

    data = as_label_does(Bundle(), root / "models" / "model.pt", tmp_path / "scan.nii.gz")
    options = {"dataset_dir": str(tmp_path / "scan.nii.gz"), "output_dir": str(tmp_path / "out"), "factor": FACTOR}
    workflow = ConfigWorkflow(
        str(root / "configs" / "inference.json"), workflow_type="infer", logging_file=False, device="cpu", **options
    )
    workflow.initialize()
    workflow.run()
    disk = nib.load(tmp_path / "out" / "scan_interp.nii.gz")
    voxels = data["pred"].numpy()[0]
    assert voxels.dtype == disk.get_data_dtype() == dtype
    np.testing.assert_array_equal(voxels, np.asanyarray(disk.dataobj))


def test_a_nan_is_refused_before_it_spreads(tmp_path):
    values = np.random.default_rng(4).random((24, 28, 3)).astype(np.float32)
    values[3, 4, 1] = np.nan
    nib.save(nib.Nifti1Image(values, np.diag([1.4, 1.4, 8, 1])), tmp_path / "scan.nii.gz")
    config = Path(__file__).parents[2] / "bundles" / "unet_regression" / "configs" / "inference.json"
    parser = ConfigParser(ConfigParser.load_config_file(config))
    parser["device"] = torch.device("cpu")
    with pytest.raises((ValueError, RuntimeError)) as refused:
        parser.get_parsed_content("preprocessing")({"image": str(tmp_path / "scan.nii.gz")})
    assert "has NaN or Inf, first at voxel [3, 4, 1]" in str(input_error_in(refused.value))
