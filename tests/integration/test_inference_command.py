# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The inference command on OCT pullbacks."""

from __future__ import annotations

import json
import logging

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from custom.scans.provenance import sha256_of

pytestmark = pytest.mark.parametrize("bundle", ["cardiointerp"], indirect=True)
NUM_FRAMES, PITCH = 3, 0.2


def save(path, volume):
    rotation = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([1.0, 0.0075, PITCH])
    image = nib.Nifti1Image(volume, affine)
    image.header["descrip"] = b"OCT polar"
    nib.save(image, path)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """One good pullback, and every kind of bad one."""
    folder = tmp_path_factory.mktemp("scans")
    rng = np.random.default_rng(0)
    save(folder / "good.nii.gz", rng.integers(0, 200, (40, 48, NUM_FRAMES), dtype=np.uint8))
    (folder / "text.nii.gz").write_text("not an image\n")
    save(folder / "single.nii.gz", np.ones((8, 8, 1), np.uint8))
    hole = rng.random((8, 8, 4), dtype=np.float32)
    hole[3, 2, 1] = np.nan
    save(folder / "hole.nii.gz", hole)
    save(folder / "colour.nii.gz", np.zeros((8, 8, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]))
    save(folder / "five.nii.gz", np.ones((8, 8, 4, 2, 2), np.uint8))
    return folder


BAD = {
    "text.nii.gz": "is not a NIfTI image",
    "single.nii.gz": "has one frame only",
    "hole.nii.gz": "has NaN or Inf in frame 1",
    "colour.nii.gz": "holds colour",
    "five.nii.gz": "is a 5D array",
}


@pytest.fixture(scope="module")
def interpolate(bundle, trained):
    def run(cwd, **overrides):
        overrides = {**bundle.network, "checkpoint": trained / "models" / "model.pt", **overrides}
        return bundle.run("inference.json", cwd, **overrides)

    return run


@pytest.fixture(scope="module")
def sixfold(interpolate, scans, tmp_path_factory):
    """The whole folder at the default factor: the finished command and its outputs."""
    outputs = tmp_path_factory.mktemp("sixfold")
    return interpolate(outputs, dataset_dir=scans, output_dir=outputs), outputs


def check_dense(scans, output, factor):
    """Count, acquired frames, dtype, header and sidecar of the good pullback's output."""
    source, dense = nib.load(scans / "good.nii.gz"), nib.load(output)
    volume, acquired = np.asarray(dense.dataobj), np.asarray(source.dataobj)
    assert volume.shape == (40, 48, (NUM_FRAMES - 1) * factor + 1) and volume.dtype == acquired.dtype
    np.testing.assert_array_equal(volume[..., ::factor], acquired)
    assert volume[..., 1].std() > 0
    expected = source.affine.copy()
    expected[:, 2] /= factor
    np.testing.assert_allclose(dense.affine, expected, atol=1e-6)
    assert dense.header.get_zooms()[2] == pytest.approx(PITCH / factor)
    sidecar = json.loads(output.with_name("good_interp.json").read_text())
    assert sidecar["synthetic_slices"] == [i for i in range(volume.shape[2]) if i % factor]
    return sidecar


def test_bad_files_cost_one_line_each_and_the_good_one_is_done(sixfold, scans, trained):
    done, outputs = sixfold
    assert done.returncode == 1 and "Traceback" not in done.stdout
    lines = [line for line in done.stdout.splitlines() if " ERROR " in line]
    for name, fault in BAD.items():
        (line,) = (line for line in lines if name in line)
        assert fault in line and "; " in line
    assert len(lines) == len(BAD)
    summary = f"error: {len(BAD)} of {len(BAD) + 1} scans failed: {', '.join(sorted(BAD))}"
    assert done.stdout.rstrip().splitlines()[-1] == summary

    written = ["failures.csv", "good_interp.json", "good_interp.nii.gz"]
    assert sorted(path.name for path in outputs.iterdir()) == written
    sidecar = check_dense(scans, outputs / "good_interp.nii.gz", 6)
    assert sidecar["weights_sha256"] == sha256_of(trained / "models" / "model.pt")
    assert sidecar["bundle"] == "cardiointerp" and sidecar["options"]["num_inference_steps"] == 1


def test_running_again_keeps_what_is_done(bundle, sixfold, scans, trained, caplog):
    _, outputs = sixfold
    times = {path.name: path.stat().st_mtime_ns for path in outputs.glob("good*")}
    given = {"checkpoint": str(trained / "models" / "model.pt"), "dataset_dir": str(scans / "good.nii.gz")}
    with caplog.at_level(logging.INFO):
        bundle.run_here("inference.json", **bundle.network, **given, output_dir=str(outputs))
    assert "already done with these options, kept" in caplog.text
    assert {path.name: path.stat().st_mtime_ns for path in outputs.glob("good*")} == times


def test_samples_and_a_factor_that_takes_recursion(interpolate, scans, tmp_path):
    good = scans / "good.nii.gz"
    done = interpolate(tmp_path, dataset_dir=good, output_dir=tmp_path, factor=7, num_samples=2, realism=1.0)
    assert done.returncode == 0, done.stdout
    sidecar = check_dense(scans, tmp_path / "good_interp.nii.gz", 7)
    assert sidecar["options"]["factor"] == 7 and sidecar["options"]["num_samples"] == 2
    deviation = nib.load(tmp_path / "good_std.nii.gz").get_fdata()
    assert deviation.shape == (40, 48, 15)
    assert not deviation[..., ::7].any() and all(deviation[..., k].any() for k in range(15) if k % 7)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"factor": 0}, "factor must be an integer of at least 2"),
        ({"num_inference_steps": 0}, "num_inference_steps must be from 1 to 1000"),
        ({"checkpoint": "nowhere.pt"}, "nowhere.pt: no trained weights; train first"),
        ({"output_dir": "file/out"}, "file/out: cannot be written"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_options_are_one_line_and_write_nothing(bundle, trained, scans, tmp_path, monkeypatch, wrong, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("a file, not a folder")
    given = {"checkpoint": str(trained / "models" / "model.pt"), "dataset_dir": str(scans / "good.nii.gz")}
    with pytest.raises(SystemExit) as stopped:
        bundle.run_here("inference.json", **{**bundle.network, **given, "output_dir": "out", **wrong})
    line = str(stopped.value)
    assert line.startswith("error: ") and message in line and "\n" not in line
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "file"]
