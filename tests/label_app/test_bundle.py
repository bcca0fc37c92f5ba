# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A request as it is done, without a server: the same as the command, and refusals in one line."""

from __future__ import annotations

import shutil

import nibabel as nib
import numpy as np
import pydicom
import pytest

from custom.errors import InputError
from label_app import bundle as served
from label_app.bundle import ServedBundle
from tests.label_app.conftest import BUNDLES, assert_same, command, write_dicom, write_scan


def serve(name, path, folder, **params):
    folder.mkdir()
    return ServedBundle(BUNDLES / name).run(path, {"device": "cpu", **params}, folder)


def test_a_stack_is_what_the_command_makes_and_says_that_it_is_synthetic(stack, tmp_path):
    result = serve("motion", stack, tmp_path / "job", factor=3)
    assert_same(result.image, command("motion", stack, tmp_path / "cli", factor=3))
    assert result.std is None and result.record["synthetic"] and result.record["label_names"] == {}
    assert b"synthetic" in nib.load(result.image).header["descrip"].item()
    assert result.record["sidecar"]["synthetic_slices"] == [1, 2, 4, 5, 7, 8]


def test_options_reach_the_network(stack, tmp_path):
    few, more = (
        serve("calid", stack, tmp_path / f"job{n}", factor=2, num_inference_steps=n, realism=1.0) for n in (1, 2)
    )
    assert [r.record["sidecar"]["options"]["num_inference_steps"] for r in (few, more)] == [1, 2]
    assert (nib.load(few.image).get_fdata() != nib.load(more.image).get_fdata()).any()
    two = serve("calid", stack, tmp_path / "two", factor=2, num_inference_steps=1, num_samples=2, realism=1.0)
    assert two.std is not None and nib.load(two.std).get_fdata().max() > 0


def test_a_dicom_study_becomes_a_cine(tmp_path):
    study = write_dicom(tmp_path / "study")
    archive = shutil.make_archive(str(tmp_path / "study_zip"), "zip", study)
    for n, path in enumerate((study, tmp_path / "study_zip.zip")):
        result = serve("motion", path, tmp_path / f"job{n}", factor=2)
        image = nib.load(result.image)
        assert image.shape == (24, 20, 7, 2) and image.header.get_zooms()[2:] == (4.0, 30.5), archive


def test_a_dicom_study_of_synthetic_slices_is_no_acquired_one(tmp_path):
    study = write_dicom(tmp_path / "study")
    for path in study.iterdir():
        image = pydicom.dcmread(path)
        image.add_new(0x0008001C, "CS", "YES")
        image.save_as(path)
    with pytest.raises(InputError, match="synthetic"):
        serve("motion", study, tmp_path / "job")


def test_of_several_stacks_one_is_asked_for(tmp_path):
    study = write_dicom(tmp_path / "study")
    write_dicom(study, slices=5, series=5)
    with pytest.raises(InputError, match=r'holds 2 scans: (\S+), (\S+); name one of them as "scan"') as caught:
        serve("motion", study, tmp_path / "job")
    names = str(caught.value).partition("scans: ")[2].partition(";")[0].split(", ")
    assert {
        nib.load(serve("motion", study, tmp_path / name, factor=2, scan=name).image).shape[2] for name in names
    } == {7, 9}
    with pytest.raises(InputError, match="holds no scan 'other'; it has"):
        serve("motion", study, tmp_path / "other", scan="other")


def test_a_segmentation_is_a_label_map_with_names(stack, tmp_path):
    result = serve("medformer_sax", stack, tmp_path / "job")
    assert not result.record["synthetic"] and set(result.record["label_names"].values()) == {1, 2, 3}
    assert nib.load(result.image).shape == nib.load(stack).shape


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"factor": 1_000_000}, "factor must be at most 1000, got 1000000"),
        ({"factor": 1}, "factor must be an integer of at least 2"),
        ({"num_samples": 0}, "num_samples must be an integer of at least 1"),
        ({"device": "cuda:99"}, "no CUDA device"),
        ({"device": "$1"}, "no such device"),
        ({"device": 3}, "device must be cpu"),
        ({"save_label": True}, "the result is an image and no label"),
    ],
)
def test_values_out_of_range_are_refused_in_one_line(stack, tmp_path, params, message):
    with pytest.raises(ValueError, match=message) as caught:
        serve("motion", stack, tmp_path / "job", **params)
    assert "\n" not in str(caught.value)


def test_bad_scans_are_refused_in_one_line(stack, tmp_path, monkeypatch):
    values = nib.load(stack).get_fdata(dtype=np.float32)
    values[3, 4, 1] = np.nan
    nib.save(nib.Nifti1Image(values, nib.load(stack).affine), tmp_path / "nan.nii.gz")
    (tmp_path / "text.nii.gz").write_text("no image")
    (tmp_path / "text.zip").write_text("no archive")
    (tmp_path / "other.jpg").write_text("no image")
    refusals = {
        "nan.nii.gz": "has NaN or Inf, first at voxel",
        "text.nii.gz": "is not a NIfTI image",
        "text.zip": "cannot be unpacked",
        "other.jpg": "is no volume, no zip and no DICOM",
    }
    for name, message in refusals.items():
        with pytest.raises(InputError, match=message) as caught:
            serve("motion", tmp_path / name, tmp_path / f"job_{name}")
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="is no NIfTI file; convert the pullback"):
        serve("motion_oct", tmp_path / "text.zip", tmp_path / "job_oct")
    monkeypatch.setattr(served, "MAX_VOXELS", 24 * 28 * 13 - 1)
    with pytest.raises(InputError, match="would become 8,736 voxels, more than the 8,735 that are served"):
        serve("motion", stack, tmp_path / "large", factor=4)
    assert serve("motion", stack, tmp_path / "small", factor=3).image.is_file()


def test_a_pullback_stays_one(tmp_path):
    scan = write_scan(tmp_path / "oct.nii.gz", (64, 40, 3), (0.02, 0.02, 0.2), b"OCT polar", dtype=np.uint8)
    result = serve("unet_regression_oct", scan, tmp_path / "job", factor=2)
    assert_same(result.image, command("unet_regression_oct", scan, tmp_path / "cli", factor=2))
