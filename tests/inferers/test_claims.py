# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Scans claimed by processes that share a folder: each done once, those of the dead taken over."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time

import pytest

from custom.errors import InputError
from custom.inferers import claims
from custom.inferers.claims import FOLDER, Claims

SCANS = [f"scan{k}" for k in range(40)]
spawn = multiprocessing.get_context("spawn")


def work(folder, done, start):
    """Do all scans that are free, as a process of a run does; a scan is done if its file is there."""
    start.wait()
    with Claims(folder, {"seed": 0}) as mine:
        left = list(SCANS)
        while left:
            scan = left.pop(0)
            if not mine.take(scan):
                left.append(scan)
                continue
            if not (done / scan).exists():
                time.sleep(0.002)
                with open(done / f"{scan}.log", "a") as file:
                    file.write(f"{os.getpid()}\n")
                (done / scan).touch()
            mine.release(scan)


def hold(folder, taken):
    """Take a scan and never give it back."""
    with Claims(folder, {"seed": 0}) as mine:
        assert mine.take("scan0") and not mine.take("scan0")
        taken.set()
        time.sleep(600)


@pytest.fixture
def killed(tmp_path):
    """A process that held scan0 and was killed."""
    taken = spawn.Event()
    process = spawn.Process(target=hold, args=(tmp_path, taken))
    process.start()
    assert taken.wait(60)
    yield process
    if process.is_alive():
        process.kill()
    process.join()


def test_processes_share_the_scans_and_do_each_once(tmp_path):
    (tmp_path / "done").mkdir()
    start = spawn.Event()
    processes = [spawn.Process(target=work, args=(tmp_path, tmp_path / "done", start)) for _ in range(3)]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    workers = [(tmp_path / "done" / f"{scan}.log").read_text().split() for scan in SCANS]
    assert all(len(pids) == 1 for pids in workers)
    assert not (tmp_path / FOLDER).exists(), "the last one cleans up"


def test_a_claim_of_a_killed_process_is_taken_over_by_one(tmp_path, killed):
    with Claims(tmp_path, {"seed": 0}) as first, Claims(tmp_path, {"seed": 0}) as second:
        assert not first.take("scan0") and first.take("scan1")
        os.kill(killed.pid, signal.SIGKILL)
        killed.join()
        assert second.take("scan0") and not first.take("scan0")
        second.release("scan0")
        assert first.take("scan0")


def test_a_process_of_another_machine_is_gone_when_it_no_longer_beats(tmp_path, killed):
    (run,) = (tmp_path / FOLDER).glob("*.run")
    said = json.loads(run.read_text())
    run.write_text(json.dumps({**said, "place": "elsewhere", "pid": 1}))
    with Claims(tmp_path, {"seed": 0}) as mine:
        assert not mine.take("scan0")
        old = time.time() - claims.GONE_SECONDS - 5
        os.utime(run, (old, old))
        assert mine.take("scan0")


def test_a_failure_counts_for_those_who_were_there(tmp_path):
    with Claims(tmp_path, {"seed": 0}) as first, Claims(tmp_path, {"seed": 0}) as second:
        assert first.take("scan0") and second.fault("scan0") is None
        first.release("scan0", "scan0: is broken; mend it")
        assert second.fault("scan0") == "scan0: is broken; mend it"
        time.sleep(0.02)
        with Claims(tmp_path, {"seed": 0}) as later:
            assert later.fault("scan0") is None, "worth another try"
            assert later.take("scan0")
            later.release("scan0")
        assert second.fault("scan0") is None


def test_runs_with_other_options_are_told_unless_their_outputs_have_other_names(tmp_path):
    options = {"seed": 0, "options": {"factor": 4, "samples": 2}}
    with Claims(tmp_path, options):
        with Claims(tmp_path, options), Claims(tmp_path, {**options, "options": {"factor": 2, "samples": 2}}):
            pass
        for other in ({**options, "seed": 1}, {**options, "options": {"factor": 4, "samples": 3}}):
            with pytest.raises(InputError, match="another run is writing there with other options"):
                Claims(tmp_path, other).__enter__()
    with Claims(tmp_path, {**options, "seed": 1}):
        pass
    assert not (tmp_path / FOLDER).exists()


def test_a_long_name_is_claimed_and_a_folder_that_cannot_be_written_is_told(tmp_path):
    with Claims(tmp_path, {}) as mine:
        assert mine.take("x" * 250 + "a") and mine.take("x" * 250 + "b") and not mine.take("x" * 250 + "a")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        Claims(tmp_path / "file", {}).__enter__()
