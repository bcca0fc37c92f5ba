# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What `densify` says of an export that it cannot take as it is: each advice is followed, with the real command."""

from __future__ import annotations

import logging

import nibabel as nib
import numpy as np
import pydicom
import pytest

from custom.densify.command import main
from data_scripts import prepare_cmr, prepare_oct


@pytest.fixture
def densify(tmp_path, capsys, caplog, monkeypatch):
    """Function of an export and words: exit code and all that is told."""
    monkeypatch.setattr("sys.argv", ["cardiac-slices"])

    def run(*words, export="in", out="out"):
        caplog.clear()
        caplog.set_level(logging.INFO)
        capsys.readouterr()
        places = [str(tmp_path / export), str(tmp_path / out)]
        try:
            main(["densify", *places, "--factor", "2", "--method", "linear", "--page", "false", *words])
            code = 0
        except SystemExit as ended:
            code = ended.code
        return code, capsys.readouterr().err + caplog.text

    return run


def dense(path, given):
    """Whether every other slice of an output is the given one, bit for bit."""
    made = np.asarray(nib.load(path).dataobj)
    np.testing.assert_array_equal(made[..., ::2], given)
    assert made.shape[2] == 2 * given.shape[2] - 1


def frames(count=4, seed=0):
    return np.random.default_rng(seed).integers(1, 200, (count, 24, 24)).astype(np.uint8)


@pytest.fixture
def save_pullback(tmp_path):
    def save(name="in/a.npy", seed=0):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / name, frames(seed=seed))

    return save


def test_nothing_to_densify_is_told_until_there_is_a_scan(tmp_path, densify, save_pullback):
    code, told = densify()
    assert code == 2 and "in: no such file or folder; check EXPORT" in told
    (tmp_path / "in").mkdir()
    (tmp_path / "in/notes.txt").write_text("nothing")
    code, told = densify()
    assert code == 2 and "in: holds no scan (DICOM, NIfTI, zip, array or folder of frames); give EXPORT a scan" in told
    save_pullback()
    for export, out in (("in", "of folder"), ("in/a.npy", "of file")):
        assert densify(export=export, out=out)[0] == 0
        dense(next((tmp_path / out).glob("*/*_interp.nii.gz")), frames().transpose(1, 2, 0))


def test_what_was_made_makes_room_for_what_was_acquired(tmp_path, densify, write_nifti):
    write_nifti(tmp_path / "in/made.nii.gz", descrip="x4, synthetic slices")
    code, told = densify()
    assert code == 2 and "made.nii.gz: was made by this project" in told and "EXPORT scans that were acquired" in told
    path = write_nifti(tmp_path / "in/scan.nii.gz")
    assert densify()[0] == 0
    dense(next((tmp_path / "out").glob("*/*_interp.nii.gz")), np.asarray(nib.load(path).dataobj))


@pytest.mark.parametrize("alone", [True, False])
def test_another_modality_is_a_pullback_if_one_says_so(tmp_path, densify, write_pullback_dicom, alone):
    path = write_pullback_dicom(tmp_path / "in/a.dcm", modality="US")
    if not alone:
        write_pullback_dicom(tmp_path / "in/b.dcm")
    code, told = densify()
    advice = "is of modality US, neither MR nor OCT; if it is a pullback, say --modality oct"
    assert code == (2 if alone else 0) and advice in told and f"{advice};" not in told
    assert densify("--modality", "oct", out="new")[0] == 0
    (made,) = (tmp_path / "new").glob("*a*/*_interp.nii.gz")
    dense(made, pydicom.dcmread(path).pixel_array.transpose(1, 2, 0))


def test_every_modality_that_a_refusal_names_is_taken(tmp_path, densify, write_pullback_dicom, write_stack_dicom):
    write_pullback_dicom(tmp_path / "in/lab/a.dcm")
    write_stack_dicom(tmp_path / "in/mr")
    code, told = densify("--modality", "ct")
    assert code == 2 and "--modality: is ct; choose from auto, cmr, oct" in told and not (tmp_path / "out").exists()
    for modality, export, count in (("auto", "in", 2), ("cmr", "in/mr", 1), ("oct", "in/lab", 1)):
        assert densify("--modality", modality, export=export, out=modality)[0] == 0
        assert len(list((tmp_path / modality).glob("*/*_interp.nii.gz"))) == count, modality


def test_images_beside_a_scan_are_frames_in_a_folder_of_their_own(tmp_path, densify, write_frames, write_nifti):
    write_nifti(tmp_path / "in/mixed/heart.nii.gz")
    write_frames(tmp_path / "in/mixed")
    told = densify("--dry_run")[1]
    assert "has images beside scans of another format: not taken for frames; if they are, give them a folder" in told
    (tmp_path / "in/vessel").mkdir()
    for path in (tmp_path / "in/mixed").glob("*.png"):
        path.rename(tmp_path / "in/vessel" / path.name)
    code, told = densify()
    assert code == 0 and "not taken for frames" not in told
    assert nib.load(tmp_path / "out/vessel/vessel_interp.nii.gz").shape == (32, 40, 5)


@pytest.mark.parametrize("remedy", ["rename one of them", "choose another folder for the output"])
def test_another_source_of_the_same_name_is_renamed_or_put_elsewhere(tmp_path, densify, save_pullback, remedy):
    save_pullback("one/a.npy", 0)
    save_pullback("two/a.npy", 1)
    assert densify(export="one")[0] == 0
    code, told = densify(export="two")
    assert code == 1 and "two/a.npy: would be a.nii.gz, which another source is; rename one of them, or choose" in told
    assert remedy in told
    dense(tmp_path / "out/a/a_interp.nii.gz", frames().transpose(1, 2, 0))
    if remedy.startswith("rename"):
        (tmp_path / "two/a.npy").rename(tmp_path / "two/b.npy")
        assert densify(export="two")[0] == 0
        dense(tmp_path / "out/b/b_interp.nii.gz", frames(seed=1).transpose(1, 2, 0))
    else:
        assert densify(export="two", out="new")[0] == 0
        dense(tmp_path / "new/a/a_interp.nii.gz", frames(seed=1).transpose(1, 2, 0))


def test_an_option_of_the_scripts_is_given_to_the_script_that_is_named(tmp_path, densify, write_frames):
    for path in write_frames(tmp_path / "in/p").glob("*.png"):
        (tmp_path / "in/p" / f"other_{path.name}").write_bytes(path.read_bytes()[::1])
    code, told = densify()
    assert code == 1 and "choose one with --frame_names (a regular expression)" in told
    assert "(options of data_scripts/prepare_oct.py, whose output can be given instead)" in told
    prepare_oct.prepare(str(tmp_path / "in"), str(tmp_path / "ready"), to="keep", frame_names="^frame")
    assert densify(export="ready", out="new")[0] == 0
    dense(tmp_path / "new/p/p_interp.nii.gz", np.asarray(nib.load(tmp_path / "ready/p.nii.gz").dataobj))


def test_an_option_of_the_mr_script_keeps_the_grid(tmp_path, densify, write_stack_dicom):
    folder = write_stack_dicom(tmp_path / "in/p", slices=3)
    (told,) = {line for line in densify()[1].splitlines() if "say with --min_slices" in line and line.startswith("ERR")}
    assert "(options of data_scripts/prepare_cmr.py --size 0 --spacing 0, whose output can be given instead)" in told
    prepare_cmr.prepare(str(tmp_path / "in"), str(tmp_path / "ready"), size=0, spacing=0, min_slices=3)
    (ready,) = (tmp_path / "ready").glob("*.nii.gz")
    assert densify(export="ready", out="new")[0] == 0
    (made,) = (tmp_path / "new").glob("*/*_interp.nii.gz")
    dense(made, np.asarray(nib.load(ready).dataobj))
    pixels = np.stack([pydicom.dcmread(path).pixel_array.T for path in sorted(folder.iterdir())], axis=-1)
    assert sorted(nib.load(ready).shape) == sorted(pixels.shape), "nothing is cropped"
    assert "min_slices" not in densify("--depth_spacing_mm", "0.1", export="ready", out="newer")[1]
