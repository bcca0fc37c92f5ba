# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""`densify` from export to outputs, by a method without weights; the networks are in tests/integration."""

from __future__ import annotations

import csv
import inspect
import json

import nibabel as nib
import numpy as np
import pydicom
import pytest

from custom.densify.command import COMMANDS, densify, main
from custom.scans.scans import inspect_scan, read_scan_slices


@pytest.fixture
def export(tmp_path, write_nifti, write_stack_dicom, write_pullback_dicom, write_frames):
    """A stack as DICOM, a cine as NIfTI, two pullbacks, and a file that is damaged."""
    root = tmp_path / "export"
    write_stack_dicom(root / "mr")
    write_nifti(root / "cine" / "heart9.nii.gz", shape=(24, 20, 3, 2), seed=3)
    write_pullback_dicom(root / "pull.dcm")
    write_frames(root / "frames")
    (root / "damaged.nii.gz").write_bytes(b"nothing")
    return root


#: Slices of each output, doubled.
COUNTS = {"export_mr": 9, "heart9": 5, "pull": 7, "frames": 5}


def files(folder):
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in found}


def run(*words):
    """Exit code of a command line."""
    try:
        main(["densify", *map(str, words)])
    except SystemExit as ended:
        return ended.code or 0
    return 0


def test_an_export_of_all_kinds_is_densified_and_what_is_damaged_is_told(export, tmp_path, capfd, caplog):
    caplog.set_level("INFO")
    out = tmp_path / "out"
    assert run(export, out, "--factor", 2, "--method", "linear") == 1
    assert caplog.records[0].message == f"looking through {export}"  # at once: what follows loads PyTorch
    assert {path.name for path in out.iterdir()} == {*COUNTS, "prepared", "sources.csv"}
    for name, count in COUNTS.items():
        scan = nib.load(out / name / f"{name}_interp.nii.gz")
        sidecar = json.loads((out / name / f"{name}_interp.json").read_text())
        assert scan.shape[2] == count and sidecar["synthetic_slices"] == list(range(1, count, 2))
        assert (out / name / "index.html").stat().st_size < 100_000
    original = np.asarray(nib.load(export / "cine" / "heart9.nii.gz").dataobj)
    dense = np.asarray(nib.load(out / "heart9" / "heart9_interp.nii.gz").dataobj)
    assert dense.dtype == original.dtype and (dense[:, :, ::2] == original).all()
    (failure,) = [record.message for record in caplog.records if record.message.startswith("failed:")]
    assert "damaged.nii.gz" in failure and "\n" not in failure
    with open(out / "sources.csv", newline="") as file:
        fates = {row["source"]: row["fate"] for row in csv.DictReader(file)}
    assert fates["damaged.nii.gz"] == "failed" and set(fates.values()) == {"failed", "densified"}

    series = [pydicom.dcmread(path) for path in sorted((out / "export_mr" / "export_mr_interp_dicom").glob("*.dcm"))]
    assert len(series) == 9 and [item.SyntheticData for item in series].count("YES") == 4

    before = files(out)
    assert run(export, out, "--factor", 2, "--method", "linear") == 1
    after = files(out)
    changed = {name for name in before if before[name] != after.get(name)}
    assert changed <= {"sources.csv"} and before.keys() == after.keys()

    missing = out / "export_mr" / "export_mr_interp.nii.gz"
    missing.unlink()
    assert run(export, out, "--factor", 2, "--method", "linear") == 1
    assert missing.exists() and files(out)["pull/pull_interp.nii.gz"] == before["pull/pull_interp.nii.gz"]


def test_slices_that_a_dicom_header_tells_keep_their_axis_whatever_the_spacing(tmp_path, write_stack_dicom):
    folder = write_stack_dicom(tmp_path / "thin")
    for path in folder.iterdir():  # slices closer together than pixels
        image = pydicom.dcmread(path)
        image.ImagePositionPatient = [0, 0, image.ImagePositionPatient[2] / 10]
        image.SpacingBetweenSlices = 0.8
        image.save_as(path)
    assert run(folder, tmp_path / "out", "--method", "linear", "--factor", 2, "--nopage", "--nodicom") == 0
    assert nib.load(tmp_path / "out/thin/thin_interp.nii.gz").shape == (24, 20, 9)
    assert not list((tmp_path / "out").rglob("index.html")) and not list((tmp_path / "out").rglob("*.dcm"))


def test_what_is_prepared_is_not_prepared_again(tmp_path, write_nifti):
    source = write_nifti(
        tmp_path / "in" / "pull.nii.gz", shape=(16, 20, 4), descrip="OCT polar", spacing=(1, 0.01, 0.2)
    )
    assert run(source, tmp_path / "out", "--method", "linear") == 0
    assert not (tmp_path / "out" / "prepared").exists()
    output = tmp_path / "out" / "pull" / "pull_interp.nii.gz"
    scan = inspect_scan(output, "pullback")
    np.testing.assert_array_equal(read_scan_slices(scan)[::6], read_scan_slices(inspect_scan(source, "pullback")))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--facter", "2"], "--facter: no such option of motion; did you mean --factor?"),
        (["--factor", "2", "--spacing", "2.0"], "leave one of them out"),
        (["--factor", "1"], "factor must be"),
        (["--method", "cardiointerp"], "cardiointerp is not for a short-axis stack"),
        (["--modality", "ct"], "--modality: is ct; choose from auto, cmr, oct"),
        (["--coordinates", "square"], "--to: is square"),
        (["more"], "values without an option"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_writes_nothing(tmp_path, write_nifti, capfd, words, line):
    write_nifti(tmp_path / "in" / "heart9.nii.gz")
    assert run(tmp_path / "in", tmp_path / "out", *words) == 2
    told = capfd.readouterr().err.strip().splitlines()[-1]
    assert line in told and told.lower().startswith("error")
    assert not (tmp_path / "out").exists() and len(files(tmp_path)) == 1


def test_folders_that_would_mix_are_refused(tmp_path, write_nifti, capfd):
    write_nifti(tmp_path / "in" / "heart9.nii.gz")
    assert run(tmp_path / "in", tmp_path / "in" / "out") == 2
    assert "lies inside" in capfd.readouterr().err
    assert run(tmp_path / "in", tmp_path) == 2 and run(tmp_path / "nothing", tmp_path / "out") == 2


def test_help_tells_of_every_option_and_needs_no_export(capsys):
    main(["densify", "--help"])
    text = capsys.readouterr().out
    parameters = inspect.signature(densify).parameters.values()
    for option in parameters:
        if option.kind is option.KEYWORD_ONLY:
            assert f"--{option.name}" in text or f"--no{option.name}" in text
    assert text.startswith("usage: cardiac-slices densify EXPORT OUT") and "--num_samples" in text
    assert max(map(len, text.splitlines())) <= 100
    for words in ([], ["--help"]):
        main(words)
        assert all(name in capsys.readouterr().out for name in COMMANDS)
    assert run("--help") == 0


def test_another_word_is_no_command(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["densfy", "in", "out"])
    assert ended.value.code == 2 and "no such command" in capsys.readouterr().err


def test_a_dry_run_tells_of_every_scan_and_writes_nothing(export, tmp_path, caplog):
    caplog.set_level("INFO")
    out = tmp_path / "out"
    (export / "damaged.nii.gz").unlink()
    assert run(export, out, "--factor", 2, "--method", "linear", "--dry_run") == 0
    told = [message for message in caplog.messages if "would become" in message]
    assert len(told) == len(COUNTS) and all("dry run" in line for line in told)
    assert caplog.messages[-1] == "dry run: nothing was written" and not out.exists()


def test_a_preview_leaves_a_picture_of_a_piece_and_no_page(export, tmp_path):
    out = tmp_path / "out"
    assert run(export / "cine", out, "--factor", 2, "--method", "linear", "--preview", "true") == 0
    assert list((out / "heart9").glob("*.png")) and not list(out.rglob("index.html"))
