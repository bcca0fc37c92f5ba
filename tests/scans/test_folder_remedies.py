# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Messages about folders of scans and of outputs: each is provoked, and its advice followed."""

from __future__ import annotations

import contextlib
import resource

import nibabel as nib
import numpy as np
import pytest

from custom.errors import InputError
from custom.scans.nifti import check_output_dir, find_nifti
from custom.scans.provenance import write_json
from custom.scans.publish import Staged, staged_folder
from custom.scans.pullbacks import find_pullbacks, inspect_pullback
from custom.scans.stacks import find_stacks, inspect_stack, read_slices, write_stack
from data_scripts.prepare_cmr import prepare as prepare_cmr
from data_scripts.prepare_oct import prepare as prepare_oct
from tests.importers.cmr.remedies import stack
from tests.importers.cmr.somebody import somebody

GOOD = np.random.default_rng(0).integers(10, 900, (20, 16, 5)).astype(np.int16)
AFFINE = np.diag([1.4, 1.4, 8.0, 1.0])
FOLDER = "give --dataset_dir a folder of stacks, or one file"


def volume(path, values=GOOD):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, AFFINE), path)
    return path


def is_volume(path):
    np.testing.assert_array_equal(np.moveaxis(read_slices(inspect_stack(path))[:, 0], 0, 2), GOOD)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=f"stacks: no such folder; {FOLDER}"):
        find_stacks(tmp_path / "stacks")
    path = volume(tmp_path / "stacks/a.nii.gz")
    assert find_stacks(tmp_path / "stacks") == find_stacks(path) == [path]
    is_volume(path)


def test_a_folder_of_dicom_is_converted_with_the_script_that_is_named(tmp_path):
    stack(tmp_path / "export")
    with pytest.raises(InputError, match="export: holds no .nii or .nii.gz; convert the stacks with .*prepare_cmr.py"):
        find_stacks(tmp_path / "export")
    prepare_cmr(str(tmp_path / "export"), str(tmp_path / "out"), size=0, spacing=0)
    (path,) = find_stacks(tmp_path / "out")
    assert inspect_stack(path).shape == (10, 12, 6)


def test_a_folder_of_arrays_is_converted_with_the_script_that_is_named(tmp_path):
    (tmp_path / "export").mkdir()
    frames = np.random.default_rng(0).integers(0, 255, (5, 64, 80)).astype(np.uint8)
    np.save(tmp_path / "export/a.npy", frames)
    with pytest.raises(InputError, match="holds no .nii or .nii.gz; convert the pullbacks with .*prepare_oct.py"):
        find_pullbacks(tmp_path / "export")
    prepare_oct(str(tmp_path / "export"), str(tmp_path / "out"), layout="polar")
    (path,) = find_pullbacks(tmp_path / "out")
    assert inspect_pullback(path).num_slices == 5


@pytest.mark.parametrize("find", [find_stacks, find_pullbacks])
def test_files_of_other_formats_that_are_passed_over_are_told_and_saved_as_nifti(tmp_path, caplog, find):
    kept = volume(tmp_path / "in/a.nii.gz")
    nib.save(nib.Nifti1Pair(GOOD, AFFINE), tmp_path / "in/b.hdr")
    (tmp_path / "in/c.zip").touch()
    assert find(tmp_path / "in") == [kept]
    assert "passed over b.hdr, b.img, c.zip; save what is to be taken as .nii.gz, or convert it with" in caplog.text
    caplog.clear()
    nib.save(nib.load(tmp_path / "in/b.hdr"), tmp_path / "in/b.nii.gz")
    for name in ("b.hdr", "b.img", "c.zip"):
        (tmp_path / "in" / name).unlink()
    assert find(tmp_path / "in") == [kept, tmp_path / "in/b.nii.gz"] and not caplog.text
    is_volume(tmp_path / "in/b.nii.gz")


@pytest.mark.parametrize("name", ["b.hdr", "b.nrrd"])
def test_stacks_that_are_passed_over_are_converted(tmp_path, caplog, name):
    volume(tmp_path / "in/a.nii.gz", GOOD[::-1])
    if name == "b.hdr":
        nib.save(nib.Nifti1Pair(GOOD, AFFINE), tmp_path / "in" / name)
    else:
        sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is optional")
        image = sitk.GetImageFromArray(GOOD.transpose())
        image.SetSpacing([1.4, 1.4, 8])
        image.SetDirection([-1, 0, 0, 0, -1, 0, 0, 0, 1])
        sitk.WriteImage(image, str(tmp_path / "in" / name))
    find_stacks(tmp_path / "in")
    assert name in caplog.text and "or convert it with data_scripts/prepare_cmr.py" in caplog.text
    prepare_cmr(str(tmp_path / "in"), str(tmp_path / "out"), size=0, spacing=0)
    assert [path.name for path in find_stacks(tmp_path / "out")] == ["a.nii.gz", "b.nii.gz"]
    is_volume(tmp_path / "out/b.nii.gz")


@pytest.mark.parametrize("depth", [0, 1])
def test_permissions_are_changed_where_a_folder_cannot_be_read(depth):
    with somebody() as home:
        path = volume(home / "in/a.nii.gz")
        closed = (path.parent, home)[depth]
        closed.chmod(0)
        with pytest.raises(InputError, match=r"in: cannot be read \(Permission denied\); change its permissions"):
            find_stacks(path.parent)
        closed.chmod(0o700)
        assert find_stacks(path.parent) == [path]
        is_volume(path)


def test_an_output_folder_that_cannot_be_written_is_changed_or_another_one_chosen():
    with somebody() as home:
        (home / "out").mkdir(mode=0o500)
        remedy = "choose another --output_dir or change its permissions"
        with pytest.raises(InputError, match=rf"out: cannot be written \(Permission denied\); {remedy}"):
            check_output_dir(home / "out")
        assert check_output_dir(home / "other").is_dir()
        (home / "out").chmod(0o700)
        assert check_output_dir(home / "out") == home / "out"


@contextlib.contextmanager
def full_disk(size=2000):
    """No file becomes larger than this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_volume(folder, info):
    write_stack(folder / "a.nii", info, read_slices(info), info.affine)
    return folder / "a.nii"


def write_record(folder, info):
    return write_json(folder / "a.json", ["word"] * 1000)


def publish(folder, info):
    with Staged([folder / "a.nii"]) as staged:
        write_stack(staged.place(folder / "a.nii"), info, read_slices(info), info.affine)
        staged.add_sidecar(folder / "a.nii", {"words": ["word"] * 1000})
    return folder / "a.nii"


def publish_folder(folder, info):
    with staged_folder(folder / "a") as hidden:
        (hidden / "a.txt").write_text("word " * 1000)
    return folder / "a"


@pytest.mark.parametrize("write", [write_volume, write_record, publish, publish_folder])
@pytest.mark.parametrize("follow", ["free some space", "choose another output folder"])
def test_a_full_disk_is_emptied_or_another_one_chosen(tmp_path, write, follow):
    info = inspect_stack(volume(tmp_path / "in/a.nii"))
    out = tmp_path / "out"
    out.mkdir()
    with full_disk(), pytest.raises(InputError, match="a.*: cannot be written .*; free some space or choose another"):
        write(out, info)
    assert not list(out.iterdir())
    if follow != "free some space":
        out = tmp_path / "other"
        out.mkdir()
    made = write(out, info)
    assert made.exists() and not [path for path in out.iterdir() if path.name.startswith(".")]
    if made.suffix == ".nii":
        is_volume(made)


def test_a_file_is_found_whatever_it_is_called(tmp_path):
    (tmp_path / "letter.txt").touch()
    assert find_nifti(tmp_path / "letter.txt", "stacks", "a script") == [tmp_path / "letter.txt"]


@pytest.mark.parametrize("inspect", [inspect_stack, inspect_pullback])
def test_permissions_are_changed_where_a_file_cannot_be_read(inspect):
    with somebody() as home:
        path = volume(home / "a.nii")
        path.chmod(0)
        with pytest.raises(InputError, match=r"a.nii: cannot be read \(Permission denied\); change its permissions"):
            inspect(path)
        path.chmod(0o600)
        assert inspect(path).shape == GOOD.shape
        is_volume(path)
