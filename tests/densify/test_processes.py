# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Several `densify` on one folder: each study done once, those of a killed one taken over, as one process does it."""

from __future__ import annotations

import multiprocessing
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from collections import Counter
from multiprocessing import forkserver
from pathlib import Path

import pytest

from custom.densify.command import main
from custom.inferers.claims import FOLDER, Claims

ROOT = str(Path(__file__).resolve().parents[2])
STUDIES = [f"heart{k}" for k in range(5)]


@pytest.fixture
def export(tmp_path, write_nifti):
    for k, name in enumerate(STUDIES):
        write_nifti(tmp_path / "in" / f"{name}.nii.gz", shape=(24, 20, 4, 2), seed=k)
    (tmp_path / "in" / "damaged.nii.gz").write_bytes(b"nothing")
    return tmp_path / "in"


@pytest.fixture(scope="module")
def starter():
    """Starts processes by forking one that has imported PyTorch and has done nothing else: importing takes seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["custom.densify.method", "custom.densify.run", "custom.importers.prepared"])
    forkserver.ensure_running()
    return context


def words(export, out):
    return ["densify", str(export), str(out), "--factor", "2", "--method", "linear"]


def command(arguments, folder, log):
    """What `python -m custom` does, in a process of its own."""
    os.chdir(folder)
    sys.stdout = sys.stderr = open(log, "w", buffering=1)  # noqa: SIM115 - until the process ends
    sys.argv[1:] = arguments
    runpy.run_module("custom", run_name="__main__", alter_sys=True)


def contents(folder):
    """Every file but hidden ones; of the table its rows in any order."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: sorted(path.read_text().splitlines()) if path.suffix == ".csv" else path.read_bytes()
        for name, path in files.items()
    }


def test_three_processes_share_the_studies_and_what_a_killed_one_held_is_taken_over(starter, export, tmp_path):
    with pytest.raises(SystemExit) as ended:
        main(words(export, tmp_path / "alone"))
    assert ended.value.code == 1
    out, logs = tmp_path / "out", [tmp_path / f"{k}.log" for k in range(3)]
    processes = [starter.Process(target=command, args=(words(export, out), tmp_path, log)) for log in logs]
    for process in processes:
        process.start()
    while not list(out.glob("*/index.html")) and all(process.is_alive() for process in processes):
        time.sleep(0.01)
    processes[0].kill()
    for process in processes:
        process.join(300)
    codes = [process.exitcode for process in processes]
    assert codes[0] == -signal.SIGKILL, "it was killed, and not done"
    told = "".join(log.read_text() for log in logs)
    assert codes[1:] == [1, 1] and told.count("damaged.nii.gz") >= 2, told
    done = Counter(re.findall(r"(heart\d+): 4 slices .* became", told))
    assert len(set(STUDIES) - done.keys()) <= 1, "but for one that was whole when the kill came, before its line"
    assert sum(done.values()) <= len(STUDIES) + 1, "but for the one that was held"
    alone, together = contents(tmp_path / "alone"), contents(out)
    assert alone.keys() == together.keys(), "nothing is left over"
    assert [name for name in alone if alone[name] != together[name] and name.suffix != ".html"] == []


def test_the_command_as_it_is_started_does_not_load_pytorch_to_tell_of_a_wrong_folder(tmp_path):
    started = [sys.executable, "-X", "importtime", "-m", "custom", "densify", "none", "out"]
    ended = subprocess.run(
        started, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ROOT}
    )
    assert ended.returncode == 2 and ended.stderr.endswith(
        f"error: {tmp_path}/none: no such file or folder; check EXPORT\n"
    )
    assert "custom.importers.studies" in ended.stderr and "torch" not in ended.stderr


def test_another_run_with_other_options_is_refused_and_changes_nothing(export, tmp_path, capfd):
    out = tmp_path / "out"
    out.mkdir()
    with Claims(out, {"options": {"method": "motion", "factor": None}}):
        with pytest.raises(SystemExit) as ended:
            main(["densify", str(export), str(out), "--method", "linear"])
        assert ended.value.code == 2 and {path.name for path in out.iterdir()} == {FOLDER}
    assert "another run is writing there with other options" in capfd.readouterr().err
