# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Folders that are used again: what is done stays, nothing of the user or of another source is replaced."""

from __future__ import annotations

import zipfile

import nibabel as nib
import numpy as np
import pytest

from custom.errors import InputError
from data_scripts.prepare_cmr import prepare
from tests.data_scripts.hearts import affine_of, array_of, entries_of, heart, run, save


def test_one_line_for_each_fault_and_the_rest_is_done(tmp_path):
    save(tmp_path / "in/good.nii.gz", heart())
    save(tmp_path / "in/flat.nii.gz", np.zeros((20, 20, 5), np.int16))
    (tmp_path / "in/text.nii.gz").write_text("no image")
    save(tmp_path / "in/other_phase01.nii.gz", heart())
    save(tmp_path / "in/other_phase02.nii.gz", heart(), affine=affine_of((1.3, 1.3, 9.0)))
    (tmp_path / "in/broken.zip").write_bytes(b"PK\x03\x04 no")
    done = run("--input", tmp_path / "in", "--output_dir", tmp_path / "out")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if "ERROR" in line]
    assert len(errors) == 4 and "4 of 5 scans failed" in done.stderr
    for words in ("flat.nii.gz: is constant", "text.nii.gz: is not a NIfTI", "broken.zip: is a zip that cannot be"):
        assert any(words in line for line in errors)
    assert any("other_phase02.nii.gz: has another spacing, orientation or position" in line for line in errors)
    names = ["datalist.json", "good.json", "good.nii.gz", "sources.csv"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == names
    fates = (tmp_path / "out/sources.csv").read_text()
    assert fates.count(",failed,") == 4 and fates.count(",converted,good.nii.gz,") == 1
    assert str(tmp_path) not in (tmp_path / "out/good.json").read_text()


def test_a_second_run_does_only_what_is_not_done(tmp_path):
    for name in "abc":
        save(tmp_path / f"in/{name}.nii.gz", heart(seed=ord(name)))
    out = tmp_path / "out"
    prepare(str(tmp_path / "in"), str(out), spacing=0, size=20)
    first = {path.name: path.stat().st_mtime_ns for path in out.glob("*.nii.gz")}
    datalist = (out / "datalist.json").read_text()
    (out / "b.nii.gz").unlink()
    save(tmp_path / "in/c.nii.gz", heart((48, 44, 7)))
    prepare(str(tmp_path / "in"), str(out), spacing=0, size=20)
    kept = {path.name for path in out.glob("*.nii.gz") if path.stat().st_mtime_ns == first[path.name]}
    assert kept == {"a.nii.gz"} and (out / "datalist.json").read_text() == datalist
    assert nib.load(out / "c.nii.gz").shape[2] == 7
    prepare(str(tmp_path / "in"), str(out), spacing=0, size=16)
    assert nib.load(out / "a.nii.gz").shape[0] == 16


def test_empty_and_missing_folders_are_told(tmp_path):
    (tmp_path / "in").mkdir()
    for root in (tmp_path / "in", tmp_path / "nowhere"):
        with pytest.raises(InputError, match="holds no NIfTI, DICOM or zip|no such file"):
            prepare(str(root), str(tmp_path / "out"))
    with zipfile.ZipFile(tmp_path / "in/x.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    done = run("--input", tmp_path / "in", "--output_dir", tmp_path / "out")
    assert done.returncode == 1 and "x.zip: holds no MR images" in done.stderr


def test_an_output_folder_that_is_or_touches_the_input_is_refused(tmp_path):
    path = save(tmp_path / "in/p.nii.gz", heart())
    before = path.read_bytes()
    for output in ("in", "in/prepared", "."):
        with pytest.raises(InputError, match="outputs and inputs would mix"):
            prepare(str(tmp_path / "in"), str(tmp_path / output))
    assert path.read_bytes() == before and [p.name for p in (tmp_path / "in").iterdir()] == ["p.nii.gz"]


def test_patients_prepared_one_by_one_are_all_kept(tmp_path):
    data = {name: heart(seed=k) for k, name in enumerate("ABC")}
    for name in data:
        save(tmp_path / name / "scan.nii", data[name])
        prepare(str(tmp_path / name), str(tmp_path / "out"), spacing=0, size=0)
    for name in data:
        np.testing.assert_array_equal(array_of(tmp_path / f"out/{name}_scan.nii.gz"), data[name])
    # One patient each, and each section has one before any has a second.
    assert entries_of(tmp_path / "out") == {
        "training": ["A_scan.nii.gz"],
        "validation": ["B_scan.nii.gz"],
        "test": ["C_scan.nii.gz"],
    }
    # Again: nothing new. A header mended in place: read again.
    prepare(str(tmp_path / "B"), str(tmp_path / "out"), spacing=0, size=0)
    save(tmp_path / "B/scan.nii", data["B"], affine=affine_of((1.3, 1.3, 5.0)))
    prepare(str(tmp_path / "B"), str(tmp_path / "out"), spacing=0, size=0)
    assert len(list((tmp_path / "out").glob("*.nii.gz"))) == 3
    assert nib.load(tmp_path / "out/B_scan.nii.gz").header.get_zooms()[2] == pytest.approx(5)


def test_files_of_the_user_are_not_replaced(tmp_path):
    save(tmp_path / "in/p.nii.gz", heart())
    mine = save(tmp_path / "out/p.nii.gz", heart(seed=1))
    prepare(str(tmp_path / "in"), str(tmp_path / "out"), spacing=0, size=0)
    np.testing.assert_array_equal(array_of(mine), heart(seed=1))
    np.testing.assert_array_equal(array_of(tmp_path / "out/p-2.nii.gz"), heart())
