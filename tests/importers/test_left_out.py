# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What cannot be looked into is a failure of every command that takes in data: told, listed, and in its exit code."""

from __future__ import annotations

import csv
import logging

import numpy as np
import pytest

from custom.densify.command import main
from custom.importers.left_out import MAX_TOLD, Unread, failed, tell_left_out
from custom.inferers.failures import read_failures
from custom.inferers.folder import ScanFolder
from custom.inferers.gaps import GapInferer
from custom.inferers.scans import ScanInterpolator, scan_transforms
from custom.interpolators.named import classical
from data_scripts import prepare_cmr, prepare_oct
from tests.importers.cmr.remedies import stack
from tests.importers.cmr.somebody import somebody

CLOSED = "cannot be read (Permission denied); change its permissions"


def cmr(home):
    prepare_cmr.prepare(str(home / "in"), str(home / "out"), size=0, spacing=0)


def oct(home):
    prepare_oct.prepare(str(home / "in"), str(home / "out"), to="keep", layout="polar", geometry="vivolight")


def densify(home):
    main(["densify", str(home / "in"), str(home / "out"), "--method", "linear", "--page", "false", "--dicom", "false"])


def bundle(home):
    before, after = scan_transforms(home / "out", "stack")
    dataset = ScanFolder(home / "in", "stack")
    ScanInterpolator("cpu", dataset, classical("linear"), before, GapInferer(factor=2), after).run()


def pullback(folder):
    folder.mkdir(parents=True)
    np.save(folder / "a.npy", np.random.default_rng(0).integers(1, 200, (4, 32, 24)).astype(np.uint8))


def ended(command, home):
    """What a command ends with; 0 if it says nothing."""
    try:
        command(home)
    except SystemExit as error:
        return error.code
    return 0


def study(folder):
    stack(folder, PatientID=folder.name, StudyInstanceUID=f"1.2.{ord(folder.name)}")


MAKERS = {cmr: study, oct: pullback, densify: study, bundle: study}


@pytest.mark.parametrize("command", MAKERS)
@pytest.mark.parametrize("depth", ["folder", "file"])
def test_what_is_closed_is_a_failure_until_it_is_opened(caplog, monkeypatch, command, depth):
    monkeypatch.setattr("sys.argv", ["cardiac-slices"])
    with somebody() as home:
        MAKERS[command](home / "in/p")
        MAKERS[command](home / "in/q") if depth == "folder" else (home / "in/q").write_bytes(b"DICM" * 40)
        (home / "in/q").chmod(0)
        with caplog.at_level(logging.ERROR):
            code = ended(command, home)
        told = [record.getMessage() for record in caplog.records if CLOSED in record.getMessage()]
        assert told == [f"{home / 'in/q'}: {CLOSED}"]
        first = len(list((home / "out").rglob("*.nii.gz")))
        assert first, "the others are done"
        if command is densify:
            assert code == 1
        elif command is bundle:
            assert code == "error: 1 of 2 scans failed: q"
            assert CLOSED in read_failures(home / "out/failures.csv")["q"]
        else:
            assert code == "1 file or folder could not be read"
        if command is not bundle:
            with open(home / "out/sources.csv", newline="") as file:
                (row,) = [row for row in csv.DictReader(file) if row["source"] == "q"]
            assert row["fate"] == "failed" and row["reason"] == CLOSED
        (home / "in/q").chmod(0o700)
        if depth == "folder":
            assert ended(command, home) == 0
            assert len(list((home / "out").rglob("*.nii.gz"))) == 2 * first


@pytest.mark.parametrize("command", MAKERS)
def test_an_input_of_which_nothing_can_be_read_says_so_in_its_first_line(capsys, caplog, command, monkeypatch):
    monkeypatch.setattr("sys.argv", ["cardiac-slices"])
    with somebody() as home:
        MAKERS[command](home / "in/q")
        (home / "in/notes.txt").write_text("told after what is closed")
        (home / "in/q").chmod(0)
        try:
            code = str(ended(command, home))
        except ValueError as error:
            code = str(error)
        if command is bundle:  # without DICOM and NIfTI in sight it is no export
            assert "in: holds no .nii or .nii.gz" in code
        else:
            assert CLOSED in code + caplog.text + capsys.readouterr().err


def test_all_that_could_not_be_read_is_told_and_the_first_of_what_is_passed_over(tmp_path, caplog):
    left_out = [(tmp_path / f"{k}.txt", "is no scan") for k in range(MAX_TOLD + 3)]
    left_out += [(tmp_path / f"c{k}", Unread(CLOSED)) for k in range(MAX_TOLD + 1)]
    with caplog.at_level(logging.INFO):
        rows = tell_left_out(left_out, tmp_path)
    lines = [record.getMessage() for record in caplog.records]
    assert sum("is no scan" in line for line in lines) == MAX_TOLD and "left out 3 more" in " ".join(lines)
    assert sum(CLOSED in line for line in lines) == MAX_TOLD + 1
    assert [row["fate"] for row in rows].count("failed") == MAX_TOLD + 1
    assert failed(2, 5, "scans", left_out) == f"2 of 5 scans failed, {MAX_TOLD + 1} files or folders could not be read"
    assert failed(0, 5, "scans", left_out[:3]) == ""
