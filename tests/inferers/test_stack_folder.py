# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The inference command on a folder of stacks: what goes wrong costs one line, and leaves nothing behind."""

from __future__ import annotations

import json
import logging
import resource
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from custom.errors import InputError, input_error_in
from custom.inferers.folder import ScanFolder
from custom.inferers.gaps import GapInferer
from custom.inferers.scans import ScanInterpolator, interpolate_scan, scan_transforms
from custom.interpolators.base import Interpolator
from custom.interpolators.classical import LinearFrames

AFFINE = np.diag([1.4, 1.4, 9.0, 1.0])


class ScaledSlices(LinearFrames):
    """Linear, and a weight to load."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))


class CineSlices(LinearFrames):
    takes_phases = True

    def interpolate(self, neighbours, positions, seeds=None, wrap_rows=False):
        return neighbours[:, :1].expand(-1, len(positions), *neighbours.shape[2:])


def write(path, shape=(6, 5, 3), dtype=np.int16, seed=0):
    values = np.random.default_rng(seed).integers(0, 1000, shape).astype(dtype)
    nib.save(nib.Nifti1Image(values, AFFINE), path)


def evaluator(tmp_path, network=None, dataset=None, output_dir=None, axis=None, **options):
    inferer = GapInferer(factor=options.pop("factor", 2), num_samples=options.pop("num_samples", 1))
    dataset = ScanFolder(tmp_path / "in") if dataset is None else dataset
    output_dir = output_dir or tmp_path / "out"
    before, after = scan_transforms(output_dir, axis=axis)
    return ScanInterpolator("cpu", dataset, network or LinearFrames(), before, inferer, after, **options)


def errors_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


@contextmanager
def no_file_larger_than(size):
    """What a full disk does to a file as it grows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_stacks_and_cines_of_a_folder(tmp_path):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "cine.nii.gz", (6, 5, 3, 4))
    write(tmp_path / "in" / "stack.nii")
    network = ScaledSlices()
    torch.save({"scale": torch.zeros(1)}, tmp_path / "model.pt")
    evaluator(tmp_path, network, checkpoint=tmp_path / "model.pt", bundle_root=tmp_path / "calid").run()
    assert network.scale.item() == 0 and not network.training
    assert nib.load(tmp_path / "out" / "cine_interp.nii.gz").shape == (6, 5, 5, 4)
    assert nib.load(tmp_path / "out" / "stack_interp.nii.gz").shape == (6, 5, 5)
    sidecar = json.loads((tmp_path / "out" / "stack_interp.json").read_text())
    assert sidecar["bundle"] == "calid" and len(sidecar["weights_sha256"]) == 64


def test_the_axis_can_be_named(tmp_path):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "stack.nii")
    evaluator(tmp_path, axis=0).run()
    assert nib.load(tmp_path / "out" / "stack_interp.nii.gz").shape == (11, 5, 3)


def test_a_batch_goes_on_after_bad_cases(tmp_path, caplog):
    (folder := tmp_path / "in").mkdir()
    write(folder / "a.nii.gz")
    write(folder / "a.nii")
    (folder / "b.nii.gz").write_text("not an image")
    write(folder / "c.nii.gz", (6, 5, 1))
    nan = np.ones((3, 3, 3), np.float32)
    nan[1, 1, 1] = np.nan
    nib.save(nib.Nifti1Image(nan, AFFINE), folder / "d.nii.gz")
    write(folder / "e.nii.gz", (3, 3, 3, 2, 2))
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]), AFFINE), folder / "f.nii")
    write(tmp_path / "whole.nii.gz", (32, 32, 4))
    (folder / "g.nii.gz").write_bytes((tmp_path / "whole.nii.gz").read_bytes()[:-1000])
    write(folder / "h_interp.nii.gz")
    (folder / "h_interp.json").write_text('{"synthetic_slices": [1]}')
    write(folder / "old_interp.nii.gz")
    (folder / "old_interp.json").write_text('{"synthetic_frames": [1]}')
    write(folder / "z.nii.gz", (6, 5, 2))
    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit, match="9 of 11 scans failed: a.nii.gz, b"):
        evaluator(tmp_path).run()
    errors = errors_of(caplog)
    assert len(errors) == 9 and all("\n" not in line and str(folder) in line and "; " in line for line in errors)
    for line, fault in zip(
        errors,
        ("overwrite", "not a NIfTI", "one slice", "NaN", "5D", "colour", "end", "synthetic", "synthetic"),
        strict=True,
    ):
        assert fault in line
    outputs = {f"{stem}_interp.{suffix}" for stem in "az" for suffix in ("json", "nii.gz")} | {"failures.csv"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == outputs


def test_a_cine_method_does_the_cines_of_a_mixed_folder(tmp_path, caplog):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "cine.nii", (6, 5, 3, 4))
    write(tmp_path / "in" / "stack.nii")
    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit, match="1 of 2 scans failed: stack.nii"):
        evaluator(tmp_path, CineSlices()).run()
    (line,) = errors_of(caplog)
    assert "give the 4D cine, or use the 2D bundle" in line
    assert (tmp_path / "out" / "cine_interp.nii.gz").exists()


def test_a_target_spacing_that_one_stack_meets(tmp_path, caplog):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "coarse.nii")
    nib.save(nib.Nifti1Image(np.arange(64, dtype=np.int16).reshape(4, 4, 4), np.eye(4)), tmp_path / "in" / "fine.nii")
    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit, match="1 of 2 scans failed: fine.nii"):
        spaced = evaluator(tmp_path)
        spaced.inferer = GapInferer(target_spacing=1.5)
        spaced.run()
    assert "already meets the target of 1.5 mm; ask for a smaller --target_spacing" in errors_of(caplog)[0]
    assert nib.load(tmp_path / "out" / "coarse_interp.nii.gz").shape == (6, 5, 13)


def test_a_full_disk_costs_the_large_case_only(tmp_path, caplog):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "large.nii", (64, 64, 5))
    write(tmp_path / "in" / "small.nii")
    with no_file_larger_than(20_000), caplog.at_level(logging.ERROR):
        with pytest.raises(SystemExit, match="1 of 2 scans failed: large.nii"):
            evaluator(tmp_path, num_samples=2).run()
    (line,) = errors_of(caplog)
    assert f"{tmp_path / 'out' / 'large_interp.nii.gz'}: cannot be written (File too large); free some space" in line
    assert {path.name.split("_")[0] for path in (tmp_path / "out").iterdir()} == {"small", "failures.csv"}


def test_a_disk_that_is_full_at_the_deviation_leaves_the_folder_as_it_was(tmp_path):
    write(tmp_path / "scan.nii", (32, 32, 3))
    (tmp_path / "out").mkdir()
    run = (tmp_path / "scan.nii", tmp_path / "out", LinearFrames())
    interpolate_scan(*run, GapInferer(factor=2))
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    class Noisy(LinearFrames):
        def interpolate(self, neighbours, positions, seeds=None, wrap_rows=False):
            shape = len(positions), *neighbours.shape[2:]
            return torch.stack([torch.rand(shape, generator=torch.Generator().manual_seed(s)) for s in seeds])

    def interpolate(output_dir):
        inferer = GapInferer(factor=3, num_samples=3)
        return interpolate_scan(tmp_path / "scan.nii", output_dir, Noisy(), inferer)

    (tmp_path / "roomy").mkdir()
    volume = interpolate(tmp_path / "roomy")
    fits, fits_not = (path.stat().st_size for path in (volume, tmp_path / "roomy" / "scan_std.nii.gz"))
    assert fits < fits_not, "float32 takes more room than int16"
    with no_file_larger_than((fits + fits_not) // 2), pytest.raises(RuntimeError) as stopped:
        interpolate(tmp_path / "out")
    assert "_std.nii.gz: cannot be written" in str(input_error_in(stopped.value))
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_failure_of_the_method_leaves_the_folder_as_it_was(tmp_path):
    write(tmp_path / "scan.nii")
    (tmp_path / "out").mkdir()

    class Breaking(LinearFrames):
        def interpolate(self, *args):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        interpolate_scan(tmp_path / "scan.nii", tmp_path / "out", Breaking(), GapInferer())
    assert not list((tmp_path / "out").iterdir())


def test_what_a_killed_run_left_is_cleared_away(tmp_path):
    write(tmp_path / "scan.nii")
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = tmp_path / "out" / f".scan_interp.nii.gz.{socket.gethostname()}-{gone.pid}.part"
    left.mkdir(parents=True)
    (left / "scan_interp.nii.gz").write_text("half")
    interpolate_scan(tmp_path / "scan.nii", tmp_path / "out", LinearFrames(), GapInferer())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"scan_interp.json", "scan_interp.nii.gz"}


def test_what_stops_everything_is_told_in_one_line_before_any_work(tmp_path, monkeypatch):
    class Untouched(Interpolator):
        def to(self, *args):
            raise AssertionError("the network was touched before the folders were checked")

    (tmp_path / "file").write_text("")
    for folder in ("in", "secret"):
        (tmp_path / folder).mkdir()
    write(tmp_path / "in" / "a.nii")
    write(tmp_path / "secret" / "a.nii")

    def stop(**options):
        with pytest.raises(SystemExit) as stopped:
            evaluator(tmp_path, Untouched(), **options).run()
        assert isinstance(stopped.value.code, str) and "\n" not in stopped.value.code
        return stopped.value.code

    assert "factor must be an integer of at least 2, got 0" in stop(factor=0)
    assert "factor must be an integer of at least 2, got 1" in stop(factor=1)
    assert str(tmp_path / "file" / "out") in stop(output_dir=tmp_path / "file" / "out")
    assert "no such folder" in stop(dataset=ScanFolder(tmp_path / "nowhere"))
    assert "model.pt" in stop(checkpoint=tmp_path / "model.pt")

    listed = Path.iterdir

    def guarded(path):
        if path.name == "secret":  # root, as in containers, may read what others may not
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", guarded)
    assert f"{tmp_path / 'secret'}: cannot be read (Permission denied); " in stop(
        dataset=ScanFolder(tmp_path / "secret")
    )
    assert not list((tmp_path / "out").iterdir())


def test_a_dicom_file_that_holds_nothing_is_told(tmp_path):
    (tmp_path / "1.dcm").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(SystemExit, match="1.dcm: cannot be read .* export it again, or leave it out"):
        evaluator(tmp_path, dataset=ScanFolder(tmp_path / "1.dcm")).run()


@pytest.mark.parametrize("step", ["place", "add_sidecar"])
def test_a_disk_that_is_full_from_the_start_of_a_scan_leaves_nothing(tmp_path, monkeypatch, step):
    write(tmp_path / "scan.nii")
    (tmp_path / "out").mkdir()

    def full(*_):
        raise InputError(tmp_path / "out", "cannot be written (No space left on device)", "free some space")

    monkeypatch.setattr(f"custom.scans.publish.Staged.{step}", full)
    with pytest.raises((RuntimeError, InputError)):
        interpolate_scan(tmp_path / "scan.nii", tmp_path / "out", LinearFrames(), GapInferer(factor=2))
    assert not list((tmp_path / "out").iterdir())
