# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Merging datalists: order, repeats in training only, clear errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "data_scripts" / "merge_datalists.py"


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True)


def test_repeats_count_in_training_only(tmp_path: Path) -> None:
    for name in ("phantom", "clinic"):
        folder = tmp_path / name
        folder.mkdir()
        entries = {s: [{"image": f"{s}.nii", "patient": f"{name}-{s}"}] for s in ("training", "validation", "test")}
        (folder / "datalist.json").write_text(json.dumps(entries))
    result = run("--root", str(tmp_path), "--folders", "phantom,clinic", "--repeats", "1,3")
    assert result.returncode == 0, result.stderr
    merged = json.loads((tmp_path / "datalist.json").read_text())
    assert [entry["image"] for entry in merged["training"]] == ["phantom/training.nii"] + ["clinic/training.nii"] * 3
    assert [entry["patient"] for entry in merged["test"]] == ["phantom-test", "clinic-test"]


def test_missing_datalist_is_one_line_and_writes_nothing(tmp_path: Path) -> None:
    result = run("--root", str(tmp_path), "--folders", "absent")
    assert result.returncode == 1 and result.stderr.count("\n") == 1 and "absent" in result.stderr
    assert not list(tmp_path.iterdir())


def write(folder: Path, **sections: list) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = {section: sections.get(section, []) for section in ("training", "validation", "test")}
    (folder / "datalist.json").write_text(json.dumps(content))


def test_what_cannot_be_merged_is_one_line_and_nothing_is_lost(tmp_path: Path) -> None:
    write(tmp_path / "a", training=[{"image": "1.nii", "patient": "P"}])
    write(tmp_path / "b", test=[{"image": "2.nii", "patient": "P"}])
    write(tmp_path / "c", test=[{"image": "3.nii"}])
    root = ("--root", str(tmp_path))
    for folders, more, words in (
        ("a,b", (), "would mix sections (Patients in more than one section: P.)"),
        ("a,c", (), "an entry has no image or no patient"),
        ("a", ("--repeats", "x"), "--repeats: is x"),
    ):
        result = run(*root, "--folders", folders, *more)
        assert result.returncode == 1 and words in result.stderr and result.stderr.count("\n") == 1, result.stderr
        assert not (tmp_path / "datalist.json").exists()
    assert run(*root, "--folder", "a").returncode == 2
    assert run(*root, "--folders", "a").returncode == 0
    assert run(*root, "--folders", "a").returncode == 0, "a merged list is replaced"
    write(tmp_path, training=[{"image": "own.nii", "patient": "Q"}])
    result = run(*root, "--folders", "a")
    assert result.returncode == 1 and "lists scans of this folder itself, such as own.nii" in result.stderr
    assert "own.nii" in (tmp_path / "datalist.json").read_text()
