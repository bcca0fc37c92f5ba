# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hashlib
import os
import shutil

import pytest

from custom.data import fingerprint
from custom.data.fingerprint import datalist_fingerprint, file_fingerprint
from custom.errors import InputError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "cardiac_slice_interpolation"


@pytest.fixture
def hashed(monkeypatch):
    """The files that are really read."""
    read = []
    real = fingerprint.sha256_of
    monkeypatch.setattr(fingerprint, "sha256_of", lambda path: read.append(str(path)) or real(path))
    return read


@pytest.fixture
def write(tmp_path, monkeypatch):
    # As if the files had been there for an hour.
    monkeypatch.setattr(fingerprint.time, "time_ns", lambda: 2**63)

    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return str(path)

    return write


def test_files_are_told_apart_by_content_and_read_once(write, hashed, cache):
    a, b = write("a.nii", b"one"), write("b.nii", b"two")  # of one size
    assert file_fingerprint(a) == hashlib.sha256(b"one").hexdigest() != file_fingerprint(b)
    for _ in range(2):
        file_fingerprint(a), file_fingerprint(b)
    assert hashed == [a, b]
    assert all("nii" not in path.name + path.read_text() for path in cache.iterdir()), "paths can name patients"


def test_a_changed_file_is_read_again_though_its_size_and_its_time_are_the_old_ones(write, hashed):
    path = write("a.nii", b"one")
    before, state = file_fingerprint(path), os.stat(path)
    write("a.nii", b"two")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert file_fingerprint(path) != before and len(hashed) == 2


def test_a_file_that_was_changed_just_now_is_not_taken_from_the_cache(tmp_path, hashed, cache):
    (tmp_path / "a").write_bytes(b"one")
    file_fingerprint(tmp_path / "a"), file_fingerprint(tmp_path / "a")
    assert len(hashed) == 2 and not cache.exists()


def test_a_cache_that_cannot_be_used_only_costs_time(write, hashed, cache):
    path = write("a.nii", b"one")
    digest = file_fingerprint(path)
    for kept in cache.iterdir():
        kept.write_text("cut sho")
    assert file_fingerprint(path) == digest
    shutil.rmtree(cache)
    cache.write_text("a file where the folder should be")
    assert file_fingerprint(path) == digest and len(hashed) == 3


def test_a_missing_file_is_named(write, tmp_path):
    with pytest.raises(InputError, match="gone.nii: cannot be read"):
        file_fingerprint(tmp_path / "gone.nii")
    with pytest.raises(InputError, match="gone.nii: cannot be read"):
        datalist_fingerprint([{"image": str(tmp_path / "gone.nii"), "patient": "P"}])


def test_a_datalist_is_its_content_not_its_place(write):
    def entries(folder, **fields):
        images = [write(f"{folder}/{name}", name.encode()) for name in ("a.nii", "b.nii")]
        return [{"image": path, "patient": "P", **fields} for path in images]

    here = entries("here")
    first = datalist_fingerprint(here)
    assert first["scans"] == 2 and first["patients"] == 1
    assert datalist_fingerprint(entries("there")) == first
    masked = [{**entry, "label": write("mask", b"1")} for entry in here]
    others = (
        here[:1],
        here[::-1],
        entries("here", frames=[0, 5]),
        [here[0], {**here[1], "patient": "Q"}],
        [here[0], {**here[1], "image": write("c.nii", b"c")}],
        masked,
        [{**entry, "label": write("other", b"2")} for entry in here],
    )
    digests = [datalist_fingerprint(other)["sha256"] for other in others]
    assert len({first["sha256"], *digests}) == len(others) + 1
