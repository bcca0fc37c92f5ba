# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Messages about zips of scans: each is provoked, and its advice followed."""

from __future__ import annotations

import shutil
import zipfile

import nibabel as nib
import numpy as np
import pytest

from custom.errors import InputError
from custom.importers.cmr.zips import unpacked
from tests.importers.cmr.remedies import image, is_stack, is_volume, said, stack, told, volume


def zipped(path, folder):
    """A zip of a folder, which goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    shutil.rmtree(folder)


def unzipped(path):
    zipfile.ZipFile(path).extractall(path.with_suffix(""))
    path.unlink()


def test_a_zip_of_two_patients_is_unpacked_by_the_user(tmp_path, caplog):
    stack(tmp_path / "p", range(5))
    for k in range(5):
        tags = {"PatientID": "Q", "StudyInstanceUID": "1.3", "SeriesInstanceUID": "1.3.1"}
        image(tmp_path / f"p/b{k}", k, plus=700, **tags)
    zipped(tmp_path / "in/both.zip", tmp_path / "p")
    lines = told(caplog, tmp_path / "in", tmp_path / "out")
    assert said(lines, "both.zip: holds images of 2 patients", "unpack it and give the folder")
    unzipped(tmp_path / "in/both.zip")
    assert not told(caplog, tmp_path / "in", tmp_path / "out")
    found = sorted(np.asarray(nib.load(path).dataobj).min() for path in (tmp_path / "out").glob("*.nii.gz"))
    assert found == [1000, 1700]


def test_a_zip_of_volumes_is_unpacked_by_the_user(tmp_path, caplog):
    volume(tmp_path / "p/P1.nii.gz")
    zipped(tmp_path / "in/P1.zip", tmp_path / "p")
    lines = told(caplog, tmp_path / "in", tmp_path / "out")
    assert said(lines, "P1.zip: holds no MR images of a stack (no DICOM file)", "unpack it and give the folder")
    unzipped(tmp_path / "in/P1.zip")
    assert not told(caplog, tmp_path / "in", tmp_path / "out")
    is_volume(tmp_path / "out")


def test_a_damaged_zip_is_fetched_again_or_unpacked(tmp_path, caplog):
    stack(tmp_path / "p")
    zipped(tmp_path / "in/a.zip", tmp_path / "p")
    whole = (tmp_path / "in/a.zip").read_bytes()
    (tmp_path / "in/a.zip").write_bytes(whole[: len(whole) // 2])
    lines = told(caplog, tmp_path / "in", tmp_path / "out")
    assert said(lines, "a.zip: is a zip that cannot be unpacked", "fetch the zip again, or unpack it yourself")
    (tmp_path / "in/a.zip").write_bytes(whole)
    assert not told(caplog, tmp_path / "in", tmp_path / "out")
    is_stack(tmp_path / "out")


@pytest.mark.parametrize("limits", [{"max_files": 5}, {"max_bytes": 1000}])
def test_a_zip_that_is_too_large_is_unpacked_by_the_user(tmp_path, caplog, limits):
    stack(tmp_path / "p")
    zipped(tmp_path / "in/a.zip", tmp_path / "p")
    with pytest.raises(InputError, match="a.zip: .* more than .*; fetch .* or unpack it yourself"):
        with unpacked(tmp_path / "in/a.zip", **limits):
            pass
    unzipped(tmp_path / "in/a.zip")
    assert not told(caplog, tmp_path / "in", tmp_path / "out")
    is_stack(tmp_path / "out")


def test_a_zip_without_a_place_to_unpack_it_goes_where_tmpdir_says(tmp_path, caplog, monkeypatch):
    stack(tmp_path / "p")
    zipped(tmp_path / "in/a.zip", tmp_path / "p")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    lines = told(caplog, tmp_path / "in", tmp_path / "out")
    assert said(lines, "a.zip: cannot be unpacked (No such file or directory)", "free some space or set TMPDIR")
    (tmp_path / "there").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "there"))
    monkeypatch.setattr("tempfile.tempdir", None)  # as at the start of a process
    with unpacked(tmp_path / "in/a.zip") as folder:
        assert folder.parent == tmp_path / "there"
    assert not told(caplog, tmp_path / "in", tmp_path / "out")
    is_stack(tmp_path / "out")
