# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The inference command on short-axis stacks and cines, for the bundles that interpolate them."""

from __future__ import annotations

import json
import logging

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from custom.scans.provenance import sha256_of, sidecar_path, synthetic_record, write_json

both_bundles = pytest.mark.parametrize("bundle", ["calid", "calid_cine"], indirect=True)
NUM_SLICES, NUM_PHASES, PITCH, PHASE_MS = 3, 6, 9.0, 35.0


def save(path, values, axis=2):
    """A file whose slices lie obliquely in the world, on an array axis of choice."""
    rotation = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([PITCH if k == axis else 1.4 + 0.1 * k for k in range(3)])
    affine[:3, 3] = [-31, 12, 70]
    image = nib.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm", "msec")
    if values.ndim == 4:
        image.header.set_zooms((*image.header.get_zooms()[:3], PHASE_MS))
    nib.save(image, path)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Good stacks and cines, and every kind of bad file."""
    folder = tmp_path_factory.mktemp("scans")
    rng = np.random.default_rng(0)

    def gray(*shape):
        return rng.integers(0, 1500, shape, dtype=np.int16)

    save(folder / "cine.nii.gz", gray(40, 36, NUM_SLICES, NUM_PHASES))
    save(folder / "stack.nii.gz", gray(40, NUM_SLICES, 36), axis=1)
    save(folder / "two.nii.gz", gray(24, 20, 2, NUM_PHASES))
    (folder / "text.nii.gz").write_text("not an image\n")
    save(folder / "single.nii.gz", gray(8, 8, 1, 4))
    hole = rng.random((8, 8, 4, 2), dtype=np.float32)
    hole[3, 2, 1, 1] = np.nan
    save(folder / "hole.nii.gz", hole)
    save(folder / "colour.nii.gz", np.zeros((8, 8, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]))
    save(folder / "five.nii.gz", gray(8, 8, 4, 2, 2))
    save(folder / "dense.nii.gz", gray(8, 8, 5, 4))
    dense = folder / "dense.nii.gz"
    record = synthetic_record({"bundle": "calid"}, "sparse.nii.gz", dense, [False, True, False, True, False])
    write_json(sidecar_path(dense), record)
    return folder


@pytest.fixture(scope="module")
def bad(bundle):
    """The files that cannot be done, and why."""
    faults = {
        "text.nii.gz": "is not a NIfTI image",
        "single.nii.gz": "has one slice only",
        "hole.nii.gz": "has NaN or Inf",
        "colour.nii.gz": "holds colour",
        "five.nii.gz": "is a 5D array",
        "dense.nii.gz": "holds synthetic slices",
    }
    return faults | ({"stack.nii.gz": "holds one phase"} if bundle.takes_phases else {})


@pytest.fixture(scope="module")
def options(bundle, trained):
    return {**bundle.network, "checkpoint": str(trained / "models" / "model.pt")}


@pytest.fixture(scope="module")
def fourfold(bundle, options, scans, tmp_path_factory):
    """The whole folder at the default factor: the finished command and its outputs."""
    outputs = tmp_path_factory.mktemp("fourfold")
    return bundle.run("inference.json", outputs, **options, dataset_dir=scans, output_dir=outputs), outputs


def voxels(path, axis=2):
    """The stored values with the slices first."""
    return np.moveaxis(np.asanyarray(nib.load(path).dataobj), axis, 0)


def check_dense(scan, output, factor, axis=2):
    """Everything that must hold of an output whatever the network says; returns its sidecar."""
    source, dense = nib.load(scan), nib.load(output)
    acquired, values = voxels(scan, axis), voxels(output, axis)
    assert values.shape == ((len(acquired) - 1) * factor + 1, *acquired.shape[1:]) and values.dtype == acquired.dtype
    np.testing.assert_array_equal(values[::factor], acquired)
    assert values[1].std() > 0

    expected = source.affine.copy()
    expected[:, axis] /= factor
    np.testing.assert_allclose(dense.affine, expected, atol=1e-5)
    last = [source.affine @ np.eye(4)[3] + source.affine[:, axis] * (source.shape[axis] - 1)]
    last += [dense.affine @ np.eye(4)[3] + dense.affine[:, axis] * (dense.shape[axis] - 1)]
    np.testing.assert_allclose(*last, atol=1e-4)
    zooms = [*source.header.get_zooms()]
    zooms[axis] /= factor
    assert dense.header.get_zooms() == pytest.approx(zooms)
    assert dense.header.get_xyzt_units() == ("mm", "msec")

    sidecar = json.loads(output.with_name(f"{output.name.removesuffix('.nii.gz')}.json").read_text())
    assert sidecar["slice_axis"] == axis
    assert sidecar["synthetic_slices"] == [i for i in range(len(values)) if i % factor]
    return sidecar


@both_bundles
def test_bad_files_cost_one_line_each_and_the_good_ones_are_done(bundle, fourfold, scans, bad, trained):
    done, outputs = fourfold
    assert done.returncode == 1 and "Traceback" not in done.stdout, done.stdout
    lines = [line for line in done.stdout.splitlines() if " ERROR " in line]
    for name, fault in bad.items():
        (line,) = (line for line in lines if f"/{name}:" in line)
        assert fault in line and "; " in line
    assert len(lines) == len(bad)
    summary = f"error: {len(bad)} of 9 scans failed: {', '.join(sorted(bad))}"
    assert done.stdout.rstrip().splitlines()[-1] == summary

    good = {"cine": 2, "two": 2} | ({} if bundle.takes_phases else {"stack": 1})
    made = {f"{name}_interp.{suffix}" for name in good for suffix in ("nii.gz", "json")}
    assert {path.name for path in outputs.iterdir()} == made | {"failures.csv"}
    for name, axis in good.items():
        sidecar = check_dense(scans / f"{name}.nii.gz", outputs / f"{name}_interp.nii.gz", 4, axis)
        assert sidecar["weights_sha256"] == sha256_of(trained / "models" / "model.pt")
        assert sidecar["bundle"] == bundle.name
        assert sidecar["options"]["num_inference_steps"] == 2 and sidecar["options"]["refine"] is False


@both_bundles
def test_running_again_keeps_what_is_done(bundle, options, fourfold, scans, caplog):
    _, outputs = fourfold
    times = {path.name: path.stat().st_mtime_ns for path in outputs.glob("*interp*")}
    with caplog.at_level(logging.INFO):
        bundle.run_here("inference.json", **options, dataset_dir=str(scans / "cine.nii.gz"), output_dir=str(outputs))
    assert "already done with these options, kept" in caplog.text
    assert {path.name: path.stat().st_mtime_ns for path in outputs.glob("*interp*")} == times


@both_bundles
def test_refined_samples_at_a_factor_that_bisection_misses(bundle, options, fourfold, scans, tmp_path):
    """CaLID+ starts from the neighbours, not from noise: its samples differ by nothing, those of CaLID do."""
    cine = scans / "cine.nii.gz"
    done = bundle.run(
        "inference.json", tmp_path, **options, dataset_dir=cine, output_dir=tmp_path, factor=3, num_samples=2,
        refine=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    sidecar = check_dense(cine, tmp_path / "cine_interp.nii.gz", 3)
    told = {name: sidecar["options"][name] for name in ("factor", "num_samples", "refine")}
    assert told == {"factor": 3, "num_samples": 2, "refine": True}
    assert not voxels(tmp_path / "cine_std.nii.gz").any()

    refined, plain = tmp_path / "refined", tmp_path / "plain"
    given = {**options, "dataset_dir": str(cine), "factor": 2}
    bundle.run_here("inference.json", **given, output_dir=str(plain), num_samples=2, realism=1.0)
    bundle.run_here("inference.json", **given, output_dir=str(refined), refine=True)
    deviation = voxels(plain / "cine_std.nii.gz")
    assert deviation.dtype == np.float32 and deviation.shape == (5, 40, 36, NUM_PHASES)
    assert not deviation[::2].any() and all(deviation[k].any() for k in (1, 3))
    assert (voxels(plain / "cine_interp.nii.gz")[1] != voxels(refined / "cine_interp.nii.gz")[1]).mean() > 0.5


@both_bundles
def test_a_target_spacing_takes_the_smallest_factor_that_meets_it(bundle, options, scans, tmp_path):
    cine = scans / "cine.nii.gz"
    given = {**options, "dataset_dir": str(cine), "output_dir": str(tmp_path)}
    bundle.run_here("inference.json", **given, target_spacing=3.3)
    sidecar = check_dense(cine, tmp_path / "cine_interp.nii.gz", 3)
    assert sidecar["options"]["target_spacing"] == 3.3 and "factor" not in sidecar["options"]


@pytest.mark.parametrize("bundle", ["calid"], indirect=True)
def test_a_cine_is_done_phase_by_phase(bundle, options, tmp_path):
    rng = np.random.default_rng(1)
    cine = rng.integers(100, 900, (24, 20, NUM_SLICES, 4), dtype=np.int16)
    # One intensity range for the cine and for each of its phases: over 0.5 % of their voxels lie at its ends.
    cine[0], cine[1] = 0, 1000
    (tmp_path / "in").mkdir()
    save(tmp_path / "in" / "cine.nii.gz", cine)
    for phase in range(4):
        save(tmp_path / "in" / f"phase{phase}.nii.gz", cine[..., phase])
    outputs = tmp_path / "out"
    bundle.run_here("inference.json", **options, dataset_dir=str(tmp_path / "in"), output_dir=str(outputs))
    whole = voxels(outputs / "cine_interp.nii.gz")
    parts = np.stack([voxels(outputs / f"phase{phase}_interp.nii.gz") for phase in range(4)], axis=-1)
    # Batches of other sizes round otherwise, in the last digit of a float.
    difference = np.abs(whole.astype(int) - parts)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01
    assert np.abs(np.diff(whole[1].astype(int), axis=-1)).mean() > 20, "the phases differ"


@both_bundles
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"factor": 0}, "factor must be an integer of at least 2"),
        ({"target_spacing": -1}, "target_spacing must be above 0 mm"),
        ({"num_samples": 0}, "num_samples must be an integer of at least 1"),
        ({"checkpoint": "nowhere.pt"}, "nowhere.pt: no trained weights; train first"),
        ({"output_dir": "file/out"}, "file/out: cannot be written"),
        ({"dataset_dir": "nowhere"}, "nowhere: no such folder"),
        ({"num_inference_steps": 0}, "num_inference_steps"),
        ({"resampling": "cubic"}, "resampling is"),
        ({"inversion_condition": "outer", "refine": True}, "inversion_condition is"),
    ],
    ids=lambda value: "-".join(map(str, next(iter(value.items())))) if isinstance(value, dict) else "",
)  # fmt: skip
def test_wrong_options_are_one_line_and_write_nothing(bundle, options, scans, tmp_path, monkeypatch, wrong, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("a file, not a folder")
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "image.dcm").write_bytes(bytes(128) + b"DICM")
    given = {**options, "dataset_dir": str(scans / "cine.nii.gz"), "output_dir": "out", **wrong}
    with pytest.raises(SystemExit) as stopped:
        bundle.run_here("inference.json", **given)
    line = str(stopped.value)
    assert line.startswith("error: ") and message in line and "\n" not in line
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["file", "image.dcm"]
