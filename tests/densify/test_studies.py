# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from custom.errors import InputError
from custom.importers.studies import find_studies


def found(root, modality="auto"):
    left_out = []
    studies = find_studies(root, modality, left_out)
    return {(study.kind, study.name) for study in studies}, {path.name: reason for path, reason in left_out}


def test_a_mixed_export_is_told_apart(tmp_path, write_nifti, write_stack_dicom, write_pullback_dicom, write_frames):
    write_stack_dicom(tmp_path / "mr")
    write_pullback_dicom(tmp_path / "lab" / "pull.dcm")
    write_pullback_dicom(tmp_path / "lab" / "angio.dcm", modality="XA")
    write_frames(tmp_path / "frames")
    write_frames(tmp_path / "previews")
    write_nifti(tmp_path / "previews" / "heart.nii.gz")
    write_nifti(tmp_path / "ours" / "vessel.nii.gz", descrip="OCT cartesian")
    np.savez(tmp_path / "arrays.npz", frames=np.zeros((3, 8, 8), np.uint8))
    write_nifti(tmp_path / "made.nii.gz", descrip="x4, synthetic slices")
    studies, left_out = found(tmp_path)
    stacks = {("stack", "mr"), ("stack", "previews_heart")}
    pullbacks = {("pullback", name) for name in ("lab_pull", "frames", "vessel", "arrays")}
    assert studies == stacks | pullbacks
    assert "XA" in left_out["angio.dcm"] and "--modality oct" in left_out["angio.dcm"]
    assert "previews" in left_out and "made.nii.gz" in left_out


def test_masks_are_not_densified(tmp_path, write_nifti):
    write_nifti(tmp_path / "patient1.nii.gz")
    write_nifti(tmp_path / "patient1_gt.nii.gz")
    (study,) = find_studies(tmp_path)
    assert study.cmr.group.masks == (None,)
    assert [path.name for path in study.cmr.files()] == ["patient1.nii.gz"]


def test_what_is_prepared_is_taken_as_it_is(tmp_path, write_nifti):
    path = write_nifti(tmp_path / "P1.nii.gz")
    path.with_name("P1.json").write_text(json.dumps({"source_fingerprint": "f"}))
    (study,) = find_studies(tmp_path)
    assert (study.kind, study.is_ready, study.path) == ("stack", True, path)


@pytest.mark.parametrize("modality", ["cmr", "oct"])
def test_the_user_has_the_last_word(tmp_path, write_nifti, write_pullback_dicom, modality):
    write_nifti(tmp_path / "patient7.nii.gz")
    write_pullback_dicom(tmp_path / "angio.dcm", modality="XA")
    studies, _ = found(tmp_path, modality)
    oct_studies = {("pullback", "patient7"), ("pullback", "angio")}
    assert studies == oct_studies if modality == "oct" else ("stack", "patient7") in studies


@pytest.mark.parametrize("kind", ["nifti", "marked", "zip", "npz", "dicom"])
def test_an_export_may_be_one_file(tmp_path, write_nifti, write_stack_dicom, write_pullback_dicom, kind):
    path = tmp_path / "one"
    if kind in ("nifti", "marked"):
        path = write_nifti(tmp_path / "one.nii.gz", descrip="OCT polar" if kind == "marked" else "")
    elif kind == "zip":
        path = tmp_path / "one.zip"
        folder = write_stack_dicom(tmp_path / "one")
        with zipfile.ZipFile(path, "w") as file:
            for item in folder.iterdir():
                file.write(item, item.name)
    elif kind == "npz":
        path = tmp_path / "one.npz"
        np.savez(path, frames=np.zeros((3, 8, 8), np.uint8))
    else:
        path = write_pullback_dicom(tmp_path / "one.dcm")
    studies, _ = found(path)
    assert studies == {("stack" if kind in ("nifti", "zip") else "pullback", "one")}


@pytest.mark.parametrize("what", ["nothing", "text", "missing", "damaged", "synthetic"])
def test_nothing_to_densify_is_one_line(tmp_path, write_nifti, what):
    root = tmp_path / "export"
    root.mkdir()
    if what == "text":
        (root / "notes.txt").write_text("nothing")
    elif what == "damaged":
        root = root / "image.nii.gz"
        root.write_bytes(b"nothing")
    elif what == "synthetic":
        write_nifti(root / "made.nii.gz", descrip="x4, synthetic slices")
    elif what == "missing":
        root = root / "missing"
    if what == "damaged":  # which of the importers reads it is clear; what is wrong, it says when it does
        assert [study.kind for study in find_studies(root)] == ["stack"]
        return
    with pytest.raises(InputError) as error:
        find_studies(root)
    assert "\n" not in str(error.value)
    assert {"synthetic": "made by this project", "missing": "no such file"}.get(what, "holds no scan") in str(
        error.value
    )
