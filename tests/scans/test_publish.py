# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import multiprocessing
import os
import signal

import nibabel as nib
import numpy as np
import pytest

from custom.errors import InputError
from custom.scans.nifti_writer import NiftiWriter
from custom.scans.processes import hidden_beside
from custom.scans.publish import Staged


def put(staged, output, text):
    staged.place(output).write_text(text)
    staged.add_sidecar(output, {"of": text})


def state(folder):
    """Volume -> what its sidecar says it is; None without one."""
    found = {}
    for path in folder.glob("*.nii"):
        sidecar = path.with_suffix(".json")
        found[path.read_text()] = json.loads(sidecar.read_text())["of"] if sidecar.exists() else None
    return found


@pytest.mark.parametrize("stop_at", range(5))
def test_whenever_it_stops_a_volume_has_its_own_sidecar(tmp_path, monkeypatch, stop_at):
    volume, deviation = tmp_path / "a_interp.nii", tmp_path / "a_std.nii"
    with Staged([volume, deviation]) as staged:
        put(staged, volume, "old")
        put(staged, deviation, "old std")
    assert state(tmp_path) == {"old": "old", "old std": "old std"}

    done, replace = [], os.replace

    def stopping(*args):
        if len(done) == stop_at:
            raise OSError(28, "No space left on device")
        done.append(args)
        return replace(*args)

    monkeypatch.setattr(os, "replace", stopping)
    staged = Staged([volume, deviation])
    try:
        with staged:
            put(staged, volume, "new")
            put(staged, deviation, "new std")
    except InputError as error:
        assert "No space left" in str(error) and stop_at < 4
    assert all(told == what for what, told in state(tmp_path).items())
    assert volume.exists() == (stop_at >= 4) and not list(tmp_path.glob(".*"))


def test_an_error_leaves_the_folder_as_it_was(tmp_path):
    volume = tmp_path / "a_interp.nii"
    with Staged([volume]) as staged:
        put(staged, volume, "old")
    with pytest.raises(RuntimeError), Staged([volume]) as staged:
        put(staged, volume, "new")
        raise RuntimeError("broken")
    assert state(tmp_path) == {"old": "old"} and not list(tmp_path.glob(".*"))


def test_two_processes_do_not_meet(tmp_path, monkeypatch):
    volume, stale = tmp_path / "a_interp.nii", tmp_path / "a_std.nii"
    with Staged([volume, stale]) as first:
        put(first, volume, "first")
        put(first, stale, "first std")
        monkeypatch.setattr(os, "getpid", lambda: 1)  # another process that lives
        with Staged([volume], [stale]) as second:
            put(second, volume, "second")
            assert first.place(volume).read_text() == "first"
        monkeypatch.undo()
        assert state(tmp_path) == {"second": "second"}
    assert state(tmp_path) == {"first": "first", "first std": "first std"}


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_a_killed_process_left_half_written_goes_with_the_next_writing(tmp_path, is_folder):
    def be_killed():
        half = hidden_beside(tmp_path / "a.nii")
        half.mkdir() if is_folder else half.write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=be_killed)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL and len(list(tmp_path.glob(".a.nii.*.part"))) == 1
    others = tmp_path / ".b.nii.elsewhere-1.part", tmp_path / ".notes.part", hidden_beside(tmp_path / "c.nii")
    for path in others:
        path.write_text("of somebody who may be at work")
    image = nib.Nifti1Image(np.zeros((3, 3, 2), np.uint8), np.eye(4))
    with NiftiWriter(tmp_path / "d.nii", image.header, 2, "slice") as writer:
        for _ in range(2):
            writer.write(np.zeros((3, 3), np.uint8))
    assert {path.name for path in tmp_path.iterdir()} == {"d.nii", *(path.name for path in others)}
