# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import gzip
import json
import logging

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from custom.errors import InputError
from custom.inferers.failures import read_failures
from custom.inferers.folder import ScanFolder
from custom.inferers.gaps import GapInferer
from custom.inferers.scans import ScanInterpolator, interpolate_scan, scan_transforms
from custom.interpolators.base import Interpolator
from custom.interpolators.classical import LinearFrames
from custom.scans.provenance import sha256_of


class JitteredFrames(LinearFrames):
    """Linear plus one seeded offset per window, and weights to load."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.offsets = []

    def interpolate(self, neighbours, positions, seeds=None, wrap_rows=False, callback=None):
        offsets = torch.tensor([seed % 100 / 1000 for seed in seeds]).reshape(-1, 1, 1, 1, 1)
        self.offsets.append(offsets)
        return super().interpolate(neighbours, positions) + self.scale * offsets


def write(path, num_frames=4, dtype=np.uint8, pitch=0.2):
    rotation = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([1.0, 0.0075, pitch])
    affine[:3, 3] = [3, -8, 40]
    volume = np.random.default_rng(num_frames).integers(0, 200, (6, 5, num_frames)).astype(dtype)
    image = nib.Nifti1Image(volume, affine)
    image.header["descrip"] = b"OCT polar"
    nib.save(image, path)
    return volume, affine


def evaluator(tmp_path, network=None, **options):
    inferer = GapInferer(**{name: options.pop(name) for name in ("factor", "num_samples") if name in options})
    output_dir = options.pop("output_dir", tmp_path / "out")
    dataset = options.pop("dataset", ScanFolder(tmp_path / "in", "pullback"))
    before, after = scan_transforms(output_dir, "pullback")
    return ScanInterpolator("cpu", dataset, network or LinearFrames(), before, inferer, after, **options)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_one_pullback(tmp_path, dtype, suffix):
    volume, affine = write(tmp_path / f"scan{suffix}", dtype=dtype)
    output = interpolate_scan(
        tmp_path / f"scan{suffix}", tmp_path, LinearFrames(), GapInferer(factor=3, batch_size=2), "pullback"
    )
    assert output == tmp_path / "scan_interp.nii.gz"
    image = nib.load(output)
    dense = np.asanyarray(image.dataobj)
    assert dense.shape == (6, 5, 10) and dense.dtype == dtype
    assert np.array_equal(dense[..., ::3], volume)
    expected = (2 * volume[..., 1].astype(float) + volume[..., 2]) / 3
    tolerance = 0.51 if dtype == np.uint8 else 2  # values outside the percentiles are clipped
    assert np.abs(dense[..., 4] - expected).max() <= tolerance
    np.testing.assert_allclose(image.affine[:3, 2], affine[:3, 2] / 3, atol=1e-5)
    np.testing.assert_allclose(image.affine @ [0, 0, 9, 1], affine @ [0, 0, 3, 1], atol=1e-4)
    np.testing.assert_allclose(image.affine[:, [0, 1, 3]], affine[:, [0, 1, 3]], atol=1e-4)
    assert "polar" in str(image.header["descrip"]) and "synthetic" in str(image.header["descrip"])

    sidecar = json.loads((tmp_path / "scan_interp.json").read_text())
    assert sidecar["synthetic_slices"] == [1, 2, 4, 5, 7, 8] and sidecar["slice_axis"] == 2
    assert sidecar["options"] == {"factor": 3, "num_samples": 1}
    assert sidecar["input_sha256"] == sha256_of(tmp_path / f"scan{suffix}") and sidecar["seed"] == 0
    assert str(tmp_path) not in (tmp_path / "scan_interp.json").read_text()


def test_several_samples_write_a_deviation_in_the_units_of_the_image(tmp_path):
    write(tmp_path / "scan.nii")
    with open(tmp_path / "scan.nii", "r+b") as file:
        file.seek(112)  # scl_slope and scl_inter of the NIfTI header
        file.write(np.array([2, 5], "<f4").tobytes())
    network = JitteredFrames()
    run = (tmp_path, network)
    interpolate_scan(tmp_path / "scan.nii", *run, GapInferer(factor=2, num_samples=4, batch_size=8), "pullback")
    std = nib.load(tmp_path / "scan_std.nii.gz")
    values = std.get_fdata()
    assert std.get_data_dtype() == np.float32 and values.shape == (6, 5, 7)
    assert not values[..., ::2].any()
    offsets = torch.stack(network.offsets).reshape(4, 3).numpy()  # samples x gaps, as shares of 255 stored = 510 units
    np.testing.assert_allclose(values[..., 1::2], np.broadcast_to(510 * offsets.std(0), (6, 5, 3)), atol=0.01)
    assert "synthetic_slices" in json.loads((tmp_path / "scan_std.json").read_text())
    interpolate_scan(tmp_path / "scan.nii", *run, GapInferer(factor=2), "pullback")
    assert not list(tmp_path.glob("*_std.*")), "a deviation of other samples stayed behind"


def test_target_spacing(tmp_path):
    write(tmp_path / "scan.nii", pitch=0.2)
    run = (tmp_path / "scan.nii", tmp_path, LinearFrames())
    output = interpolate_scan(*run, GapInferer(target_spacing=0.06), "pullback")
    assert nib.load(output).shape[2] == 13
    with pytest.raises(InputError, match="already meets the target of 0.5 mm; ask for a smaller --target_spacing"):
        interpolate_scan(*run, GapInferer(target_spacing=0.5), "pullback")
    with pytest.raises(InputError, match="at most 1000 times is done; ask for a larger --target_spacing"):
        interpolate_scan(*run, GapInferer(target_spacing=1e-6), "pullback")


def test_done_work_is_kept_and_other_options_redo_it(tmp_path, caplog):
    write(tmp_path / "scan.nii")
    calls = []

    class Counting(LinearFrames):
        def interpolate(self, *args):
            calls.append(1)
            return super().interpolate(*args)

    def run(strength=1, **options):
        calls.clear()
        network = Counting()
        network.strength = strength
        with caplog.at_level(logging.INFO):
            interpolate_scan(tmp_path / "scan.nii", tmp_path, network, GapInferer(**options), "pullback")
        return bool(calls)

    assert run(factor=2)
    assert not run(factor=2) and "already done" in caplog.text
    assert not run(factor=2, batch_size=1), "the batch size changes nothing"
    assert run(factor=3) and run(factor=3, seed=1)
    assert run(2, factor=3)
    write(tmp_path / "scan.nii", num_frames=5)
    assert run(2, factor=3)


def test_a_failure_in_the_middle_leaves_the_folder_as_it_was(tmp_path):
    write(tmp_path / "scan.nii")
    (tmp_path / "out").mkdir()
    run = (tmp_path / "scan.nii", tmp_path / "out")
    interpolate_scan(*run, LinearFrames(), GapInferer(factor=2), "pullback")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    class Breaking(LinearFrames):
        calls = 0

        def interpolate(self, *args):
            self.calls += 1
            if self.calls == 2:
                raise RuntimeError("broken")
            return super().interpolate(*args)

    with pytest.raises(RuntimeError, match="broken"):
        interpolate_scan(*run, Breaking(), GapInferer(factor=3, batch_size=1, num_samples=2), "pullback")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_an_interpolated_pullback_is_not_taken_for_an_acquired_one(tmp_path):
    write(tmp_path / "scan.nii")
    output = interpolate_scan(tmp_path / "scan.nii", tmp_path, LinearFrames(), GapInferer(factor=2), "pullback")
    with pytest.raises(InputError, match="holds synthetic slices"):
        interpolate_scan(output, tmp_path, LinearFrames(), GapInferer(factor=2), "pullback")


def test_a_batch_goes_on_after_bad_cases(tmp_path, caplog):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.nii.gz")
    write(tmp_path / "in" / "a.nii")
    (tmp_path / "in" / "b.nii.gz").write_text("not an image")
    write(tmp_path / "in" / "c.nii.gz", num_frames=1)
    write(tmp_path / "in" / "d.nii.gz")
    nan = np.ones((3, 3, 3), np.float32)
    nan[1, 1, 1] = np.nan
    nib.save(nib.Nifti1Image(nan, np.eye(4)), tmp_path / "in" / "e.nii.gz")
    (tmp_path / "in" / "f.nii.gz").write_bytes((tmp_path / "in" / "d.nii.gz").read_bytes()[:-20])
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3, 2, 2), np.uint8), np.eye(4)), tmp_path / "in" / "g.nii.gz")
    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit, match="6 of 8 scans failed: a.nii.gz, b"):
        evaluator(tmp_path, factor=2).run()
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 6 and all("\n" not in line and str(tmp_path / "in") in line for line in errors)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "a_interp.json",
        "a_interp.nii.gz",
        "d_interp.json",
        "d_interp.nii.gz",
        "failures.csv",
    }
    table = read_failures(tmp_path / "out" / "failures.csv")
    assert list(table) == ["a.nii.gz", "b.nii.gz", "c.nii.gz", "e.nii.gz", "f.nii.gz", "g.nii.gz"]
    assert table["e.nii.gz"].startswith("e.nii.gz: has NaN or Inf in frame 1"), "names, no paths"
    for path in [*(tmp_path / "in").iterdir()]:
        if path.name in table:
            path.unlink()
    evaluator(tmp_path, factor=2).run()
    assert len(read_failures(tmp_path / "out" / "failures.csv")) == 6, "scans of other runs keep their rows"
    write(tmp_path / "in" / "b.nii.gz")
    evaluator(tmp_path, factor=2).run()
    assert "b.nii.gz" not in read_failures(tmp_path / "out" / "failures.csv")


def test_a_batch_without_faults_returns(tmp_path):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.nii.gz")
    network = JitteredFrames()
    torch.save({"scale": torch.zeros(1)}, tmp_path / "model.pt")
    evaluator(tmp_path, network, checkpoint=tmp_path / "model.pt", bundle_root=tmp_path / "b").run()
    assert network.scale.item() == 0 and not network.training
    sidecar = json.loads((tmp_path / "out" / "a_interp.json").read_text())
    assert sidecar["weights_sha256"] == sha256_of(tmp_path / "model.pt")
    assert gzip.open(tmp_path / "out" / "a_interp.nii.gz").read()


def test_what_stops_everything_is_told_in_one_line_before_any_work(tmp_path):
    class Untouched(Interpolator):
        def to(self, *args):
            raise AssertionError("the network was touched before the folders were checked")

    (tmp_path / "file").write_text("")
    (tmp_path / "in").mkdir()

    def stop(**options):
        with pytest.raises(SystemExit) as stopped:
            evaluator(tmp_path, Untouched(), **{"factor": 2, **options}).run()
        assert isinstance(stopped.value.code, str) and "\n" not in stopped.value.code
        return stopped.value.code

    assert "factor must be an integer of at least 2, got 0" in stop(factor=0)
    assert str(tmp_path / "file" / "out") in stop(output_dir=tmp_path / "file" / "out")
    assert "holds no .nii" in stop()
    assert "no such folder" in stop(dataset=ScanFolder(tmp_path / "nowhere"))
    write(tmp_path / "in" / "a.nii")
    assert "model.pt" in stop(checkpoint=tmp_path / "model.pt")
    assert not list((tmp_path / "out").iterdir())
