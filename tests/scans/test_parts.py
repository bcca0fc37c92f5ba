# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A scan that is read in parts: what each part costs, and that it is scaled as the whole."""

from __future__ import annotations

import builtins
import threading

import nibabel as nib
import numpy as np
import pytest

from custom.scans import pullback_reader
from custom.scans.scans import inspect_scan, percentile_range, read_scan_slices
from custom.transforms.intensity import UnitIntensityd
from custom.transforms.load import SLICES, LoadScand


def save(path, frames=24, seed=0, dtype=np.uint8):
    """A pullback whose frames become brighter, so that parts have ranges of their own."""
    noise = np.random.default_rng(seed).integers(0, 60, (40, 60, frames))
    data = (noise + 7 * np.arange(frames)).astype(dtype)
    nib.save(nib.Nifti1Image(data, np.diag([0.05, 0.05, 0.2, 1])), path)
    return data


def parts(count, step):
    return [(first, min(first + step, count - 1) + 1) for first in range(0, count - 1, step)]


@pytest.fixture
def bytes_read(monkeypatch):
    """How many compressed bytes have been read so far, of all files that the reader opens."""
    total = [0]

    class Counting:
        def __init__(self, path):
            self.file = builtins.open(path, "rb")

        def read(self, size=-1):
            data = self.file.read(size)
            total[0] += len(data)
            return data

        def __getattr__(self, name):
            return getattr(self.file, name)

    real = pullback_reader.gzip.open
    monkeypatch.setattr(pullback_reader.gzip, "open", lambda path: real(Counting(path)))
    return total


def test_a_compressed_pullback_is_unpacked_once_for_all_parts(tmp_path, bytes_read):
    data = save(tmp_path / "p.nii.gz", 96)
    scan = inspect_scan(tmp_path / "p.nii.gz", "pullback")
    size = (tmp_path / "p.nii.gz").stat().st_size
    bytes_read[0] = 0
    for first, stop in parts(96, 5):
        found = read_scan_slices(scan, first, stop)
        np.testing.assert_array_equal(found[:, 0], data[..., first:stop].transpose(2, 0, 1))
    assert size <= bytes_read[0] < 1.1 * size


def test_a_file_that_is_replaced_between_parts_is_read_anew(tmp_path):
    save(tmp_path / "p.nii.gz")
    read_scan_slices(inspect_scan(tmp_path / "p.nii.gz", "pullback"), 0, 4)
    data = save(tmp_path / "p.nii.gz", seed=5, frames=25)
    found = read_scan_slices(inspect_scan(tmp_path / "p.nii.gz", "pullback"), 3, 7)
    np.testing.assert_array_equal(found[:, 0], data[..., 3:7].transpose(2, 0, 1))


def test_threads_do_not_share_a_reader(tmp_path):
    data = save(tmp_path / "p.nii.gz")
    scan = inspect_scan(tmp_path / "p.nii.gz", "pullback")
    faults = []

    def read():
        for first, stop in parts(24, 3) * 5:
            if not np.array_equal(read_scan_slices(scan, first, stop)[:, 0], data[..., first:stop].transpose(2, 0, 1)):
                faults.append((first, stop))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


@pytest.mark.parametrize("percentiles", [None, (2, 98)])
@pytest.mark.parametrize(("kind", "dtype"), [("pullback", np.uint8), ("pullback", np.int16), ("stack", np.int16)])
def test_every_part_is_scaled_by_the_range_of_the_whole_file(tmp_path, percentiles, kind, dtype):
    save(tmp_path / "p.nii.gz", dtype=dtype)
    load, scale = LoadScand(kind=kind, axis=2), UnitIntensityd("image", percentiles)
    ranges = [scale(load({"image": str(tmp_path / "p.nii.gz"), SLICES: part}))["image_range"] for part in parts(24, 6)]
    assert len(set(ranges)) == 1
    whole = scale(load({"image": str(tmp_path / "p.nii.gz")}))["image_range"]
    np.testing.assert_allclose(ranges[0], whole, atol=3)


def test_percentiles_of_a_file_are_of_its_tissue(tmp_path):
    data = save(tmp_path / "p.nii.gz", dtype=np.int16)
    low, high = percentile_range(inspect_scan(tmp_path / "p.nii.gz", "pullback"), (2, 98))
    np.testing.assert_allclose((low, high), np.percentile(data, (2, 98)), atol=3)
