# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import os

import pytest

from custom.errors import InputError
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
