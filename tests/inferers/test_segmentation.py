# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import csv
import json

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import AsDiscreted, Compose
from torch import nn

from custom.inferers.folder import ScanFolder
from custom.inferers.segmentation import PlaneInferer, StackSegmenter, segment_slices
from custom.transforms.grid import DenseGridd
from custom.transforms.intensity import UnitIntensityd
from custom.transforms.load import LoadScand
from custom.transforms.save_labels import SaveLabelsd


class ByBrightness(nn.Module):
    """Classes by the thirds of the range, slice by slice; no weights to train."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def forward(self, images):
        self.batches.append(len(images))
        return -(images - (torch.arange(4) / 3)[:, None, None]).abs()


def oblique(spacing):
    rotation = nib.eulerangles.euler2mat(0.3, 0.5, -0.2)
    return nib.affines.from_matvec(rotation * np.array(spacing), (5, -9, 31))


@pytest.fixture
def heart(tmp_path):
    """A cine whose LV is 40 voxels, then 10, its RV 30, then 20, and its wall 50."""
    classes = np.zeros((12, 10, 4, 2), np.uint8)
    for phase, (cavity, wall, right) in enumerate(((40, 50, 30), (10, 50, 20))):
        flat = np.zeros(12 * 10 * 4, np.uint8)
        flat[np.arange(cavity)] = 1
        flat[np.arange(100, 100 + wall)] = 2
        flat[np.arange(200, 200 + right)] = 3
        classes[..., phase] = flat.reshape(12, 10, 4)
    folder = tmp_path / "in"
    folder.mkdir()
    nib.save(nib.Nifti1Image(classes.astype(np.int16) * 100, oblique((1.5, 2.0, 8.0))), folder / "h.nii.gz")
    return folder, classes


def run(folder, output, **options):
    network = ByBrightness()
    inferer = PlaneInferer(batch_size=3)
    segmenter(folder, network, inferer, output, **options).run()
    return network


def segmenter(folder, network, inferer, output, **options):
    before = Compose([LoadScand(), UnitIntensityd("image")])
    after = Compose([DenseGridd(), AsDiscreted("pred", argmax=True), SaveLabelsd(output_dir=output)])
    root = folder.parent / "b"
    return StackSegmenter("cpu", ScanFolder(folder), network, before, inferer, after, bundle_root=root, **options)


def test_labels_and_measures_of_a_cine(heart, tmp_path):
    folder, classes = heart
    output = tmp_path / "out"
    run(folder, output)
    written = nib.load(output / "h_seg.nii.gz")
    np.testing.assert_array_equal(np.asarray(written.dataobj), classes)
    assert written.get_data_dtype() == np.uint8
    np.testing.assert_allclose(written.affine, oblique((1.5, 2.0, 8.0)), atol=1e-5)
    sidecar = json.loads((output / "h_seg.json").read_text())
    assert "synthetic_slices" not in sidecar
    assert sidecar["bundle"] == "b" and sidecar["input"] == "h.nii.gz" and sidecar["labels"]["1"] == "LV cavity"
    with open(output / "h_measures.csv", newline="") as file:
        rows = {(row["measure"], row["phase"]): row["value"] for row in csv.DictReader(file)}
    voxel_ml = 1.5 * 2 * 8 / 1000
    for key, value in (
        (("LV volume", "0"), 40 * voxel_ml), (("LV EDV", "0"), 40 * voxel_ml), (("LV ESV", "1"), 10 * voxel_ml),
        (("LV ejection fraction", ""), 75), (("RV ejection fraction", ""), 100 / 3),
        (("LV mass", "0"), 1.05 * 50 * voxel_ml),
    ):  # fmt: skip
        assert float(rows[key]) == pytest.approx(value, abs=1e-3), key


def test_a_finished_stack_is_kept_and_a_bad_one_told(heart, tmp_path, caplog):
    folder, _ = heart
    output = tmp_path / "out"
    assert run(folder, output).batches
    assert not run(folder, output).batches
    (output / "h_measures.csv").unlink()
    assert run(folder, output).batches
    (folder / "h.json").write_text('{"synthetic_slices": [1, 3]}')
    assert run(folder, output).batches
    assert json.loads((output / "h_seg.json").read_text())["synthetic_slices"] == [1, 3]
    (folder / "bad.nii.gz").write_bytes(b"no image")
    with pytest.raises(SystemExit, match="1 of 2 scans failed: bad.nii.gz"):
        run(folder, output)
    assert not list(output.glob("*bad*")) and not list(output.glob(".*"))
    with pytest.raises(SystemExit, match="batch_size"):
        segmenter(folder, ByBrightness(), PlaneInferer(batch_size=0), output).run()


@pytest.mark.parametrize(("axis", "affine_axis"), [(0, None), (None, 1), (2, 1)])
def test_volumes_and_cines_slice_by_slice_along_any_axis(axis, affine_axis):
    spacing = [1.0, 1.0, 1.0]
    spacing[affine_axis or 0] = 8.0
    for shape in ((2, 1, 4, 5, 6), (2, 1, 4, 5, 6, 3)):
        volume = MetaTensor(torch.rand(shape), affine=torch.diag(torch.tensor([*spacing, 1.0])))
        network = ByBrightness()
        scores = PlaneInferer(axis, batch_size=4)(volume, network)
        assert scores.shape == (2, 4, *shape[2:])
        used = axis if axis is not None else affine_axis
        assert sum(network.batches) == 2 * shape[2 + used] * (3 if len(shape) == 6 else 1)
        levels = (torch.arange(4) / 3).view(4, *[1] * (len(shape) - 2))
        torch.testing.assert_close(scores, -(volume.as_tensor() - levels).abs())


def test_segment_slices_in_batches():
    slices = torch.rand(7, 1, 6, 6)
    network = ByBrightness()
    np.testing.assert_array_equal(segment_slices(network, slices, 3), (slices[:, 0] * 3).round().numpy())
    assert network.batches == [3, 3, 1]
