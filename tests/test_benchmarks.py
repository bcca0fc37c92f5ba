# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What the scripts of `benchmarks/` decide; what they measure takes real data and weights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import first_hour  # noqa: E402
from real_windows import left_out_stacks  # noqa: E402
from trust import choose, split  # noqa: E402

from custom.errors import InputError  # noqa: E402


def test_the_limit_flags_the_bad_frames_and_spares_the_others():
    likeness = np.array([0.50, 0.55, 0.60, 0.70, 0.75, 0.80])
    own = np.array([0.70, 0.70, 0.79, 0.90, 0.90, 0.90])  # below 0.8 a frame is bad
    table = np.stack([likeness, own], axis=1)
    limit = choose(table)
    bad, others = split(table, limit)
    assert bad.all() and not others.any() and limit == pytest.approx(0.61)  # of all up to 0.70 the least


def test_a_folder_without_the_patients_is_told(tmp_path):
    with pytest.raises(InputError, match="has no stack of SC-N-40, SC-HYP-08; prepare it"):
        left_out_stacks(tmp_path)


def test_the_page_shows_the_last_state_of_bars_and_no_path_of_the_machine(tmp_path):
    printed = f"scan:   0%|\rscan: 100%|\nwrote {tmp_path}/dense/x.nii.gz\n\nread /data/patient/0001.dcm\n"
    lines = first_hour._cleaned(printed, tmp_path, {"CINE_EXPORT": "/data/patient"})
    assert lines == ["scan: 100%|", "wrote dense/x.nii.gz", "read CINE_EXPORT/0001.dcm"]
    shown = first_hour._section("Title", [first_hour.Done("ls", [str(k) for k in range(30)], 2.0, 1.0)])
    assert f"… ({30 - first_hour.HEAD - first_hour.TAIL} more lines)" in shown and "0" in shown and "29" in shown


def test_weights_that_change_are_told(tmp_path):
    file = tmp_path / "bundles" / "motion" / "models" / "model.pt"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"shipped")
    before = first_hour.hashes(tmp_path)
    assert "none changed" in first_hour._weights(before, first_hour.hashes(tmp_path))[0]
    file.write_bytes(b"other")
    changed = first_hour.hashes(tmp_path)
    page = "\n".join(first_hour._weights(before, changed))
    assert "some changed" in page and changed["bundles/motion/models/model.pt"] in page


def test_a_command_of_the_page_runs_in_its_folder_and_ends_the_script_if_it_fails(tmp_path):
    done = first_hour.run("echo CINE_EXPORT", tmp_path, {"CINE_EXPORT": f"/data{os.sep}x"})
    assert done.lines == ["CINE_EXPORT"] and done.command == "echo CINE_EXPORT" and done.wall > 0
    with pytest.raises(SystemExit, match="ended with 3"):
        first_hour.run("exit 3", tmp_path, {})


@pytest.mark.parametrize(
    "last, fault", [("echo trained", None), ("echo x > bundles/motion/models/model.pt", "changed")]
)
def test_the_first_hour_goes_from_clone_to_page(tmp_path, monkeypatch, last, fault):
    repository, work, page = tmp_path / "repository", tmp_path / "work", tmp_path / "page.md"
    (repository / "bundles" / "motion" / "models").mkdir(parents=True)
    for name in (*first_hour.REQUIREMENTS, "bundles/motion/models/model.pt"):
        (repository / name).write_text("as it ships")
    (repository / "Makefile").write_text("setup:\n\tmkdir .venv\n")
    author = ["-c", "user.name=n", "-c", "user.email=e"]
    for words in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "all"]):
        subprocess.run(["git", *words], cwd=repository, check=True)
    monkeypatch.setattr(first_hour, "REPOSITORY", repository)
    dense = "mkdir dense && touch dense/heart_interp.nii.gz && echo CINE_EXPORT"
    monkeypatch.setattr(first_hour, "STEPS", (("One", (dense, "ls dense/CINE_interp.nii.gz")), ("Two", (last,))))
    for _ in range(2):  # the second time with the environment of the first
        if fault:
            with pytest.raises(SystemExit, match=fault):
                first_hour.first_hour("exports/cine", "exports/oct", str(work), str(page))
        else:
            first_hour.first_hour("exports/cine", "exports/oct", str(work), str(page))
    text = page.read_text()
    assert "$ git clone REPOSITORY slices" in text and "$ make setup" in text and "left out" in text
    assert "\nCINE_EXPORT\n" in text and "dense/heart_interp.nii.gz" in text and str(tmp_path) not in text
    assert ("none changed" in text) == (fault is None) and "s of processor time" in text
