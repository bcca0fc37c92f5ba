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
