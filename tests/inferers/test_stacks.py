# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import logging

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from custom.errors import InputError
from custom.inferers.gaps import GapInferer
from custom.inferers.scans import interpolate_scan
from custom.interpolators.classical import LinearFrames
from custom.scans.provenance import sha256_of
from custom.scans.stacks import stack_intensity_range

PHASES = 5


class JitteredSlices(LinearFrames):
    """Linear plus one seeded offset per item; remembers what it was asked."""

    def __init__(self, takes_phases=False):
        super().__init__()
        self.takes_phases = takes_phases
        self.shapes, self.seeds = [], []

    def interpolate(self, neighbours, positions, seeds=None, wrap_rows=False, callback=None):
        self.shapes.append(tuple(neighbours.shape))
        self.seeds.append(list(seeds))
        weights = positions.reshape(1, -1, *(1,) * (neighbours.ndim - 2))
        offsets = torch.tensor([seed % 100 / 1000 for seed in seeds]).reshape(-1, *(1,) * (neighbours.ndim - 1))
        return (1 - weights) * neighbours[:, :1] + weights * neighbours[:, 1:] + offsets


def write(path, dtype=np.int16, axis=2, phases=0, num_slices=3, spacing=9.0, slope=None):
    """An oblique stack of noise on a ramp with a bright spot far outside the percentiles; its array and affine."""
    shape, spacings = [6, 7, 8], np.array([1.4, 1.3, 1.5])
    shape[axis], spacings[axis] = num_slices, spacing
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix() @ np.diag(spacings)
    affine[:3, 3] = [3, -8, 40]
    shape = (*shape, phases) if phases else tuple(shape)
    values = np.random.default_rng(axis).integers(10, 100, shape).astype(dtype)
    values.flat[:3] = 250
    image = nib.Nifti1Image(values, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    if phases:
        image.header.set_zooms((*image.header.get_zooms()[:3], 0.04))
    nib.save(image, path)
    if slope:
        with open(path, "r+b") as file:
            file.seek(112)  # scl_slope and scl_inter of the NIfTI header
            file.write(np.array([slope, 5], "<f4").tobytes())
    return values, affine


@pytest.mark.parametrize("phases", [0, PHASES])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
def test_linear_slices_of_an_oblique_stack_are_those_of_the_stored_values(tmp_path, dtype, axis, phases):
    values, affine = write(tmp_path / "scan.nii.gz", dtype, axis, phases)
    output = interpolate_scan(tmp_path / "scan.nii.gz", tmp_path, LinearFrames(), GapInferer(factor=4, batch_size=3))
    assert output == tmp_path / "scan_interp.nii.gz"
    image = nib.load(output)
    dense = np.moveaxis(np.asanyarray(image.dataobj), axis, 0)
    acquired = np.moveaxis(values, axis, 0)
    assert dense.dtype == dtype and dense.shape == (9, *acquired.shape[1:])
    assert np.array_equal(dense[::4], acquired)
    # Within the range and outside it: what the range cuts off is mixed linearly, too.
    for index, share in ((1, 0.25), (2, 0.5), (3, 0.75)):
        expected = (1 - share) * acquired[0].astype(float) + share * acquired[1]
        assert np.abs(dense[index] - expected).max() <= (1e-3 if dtype == np.float32 else 0.501)

    for form, code in (image.header.get_sform(coded=True), image.header.get_qform(coded=True)):
        assert code == 1
        np.testing.assert_allclose(form[:3, axis], affine[:3, axis] / 4, atol=1e-5)
        ends = np.zeros((2, 4))
        ends[:, axis], ends[:, 3] = (8, 2), 1
        np.testing.assert_allclose(form @ ends[0], affine @ ends[1], atol=1e-4)
    spacings = image.header.get_zooms()
    assert spacings[axis] == pytest.approx(9 / 4) and spacings[3:] == pytest.approx((0.04,) * bool(phases))


def test_the_sidecar_names_synthetic_slices_axis_and_options_but_no_folder(tmp_path):
    write(tmp_path / "scan.nii", axis=1)
    interpolate_scan(tmp_path / "scan.nii", tmp_path, LinearFrames(), GapInferer(factor=3))
    text = (tmp_path / "scan_interp.json").read_text()
    sidecar = json.loads(text)
    assert sidecar["synthetic_slices"] == [1, 2, 4, 5] and sidecar["slice_axis"] == 1
    assert sidecar["options"] == {"factor": 3, "num_samples": 1}
    assert sidecar["input_sha256"] == sha256_of(tmp_path / "scan.nii") and sidecar["output"] == "scan_interp.nii.gz"
    assert str(tmp_path) not in text


def test_a_method_of_single_slices_gets_the_phases_side_by_side_with_the_same_noise(tmp_path):
    write(tmp_path / "scan.nii", phases=PHASES)
    network = JitteredSlices()
    inferer = GapInferer(factor=2, batch_size=2 * PHASES)
    interpolate_scan(tmp_path / "scan.nii", tmp_path, network, inferer)
    assert network.shapes == [(2 * PHASES, 2, 1, 6, 7)]
    first, second = network.seeds[0][::2], network.seeds[0][1::2]
    assert len(set(first)) == len(set(second)) == 1 and first != second


def test_a_cine_method_gets_all_phases_of_a_slice(tmp_path):
    values, _ = write(tmp_path / "scan.nii", phases=PHASES)
    network = JitteredSlices(takes_phases=True)
    output = interpolate_scan(tmp_path / "scan.nii", tmp_path, network, GapInferer(factor=2))
    assert network.shapes == [(2, 2, 1, PHASES, 6, 7)]
    dense = np.asanyarray(nib.load(output).dataobj)
    assert dense.shape == (6, 7, 5, PHASES) and np.array_equal(dense[:, :, ::2], values)


@pytest.mark.parametrize("phases", [0, 1])
def test_one_volume_is_not_for_a_cine_method(tmp_path, phases):
    write(tmp_path / "scan.nii", phases=phases)
    with pytest.raises(InputError, match="holds one phase.*give the 4D cine, or use the 2D bundle"):
        interpolate_scan(tmp_path / "scan.nii", tmp_path, JitteredSlices(True), GapInferer())


@pytest.mark.parametrize("takes_phases", [False, True])
def test_several_samples_write_a_deviation_in_the_units_of_the_image(tmp_path, takes_phases):
    values, _ = write(tmp_path / "scan.nii", phases=PHASES, slope=2)
    low, high = np.percentile(values, (0.5, 99.5))
    network, run = JitteredSlices(takes_phases), (tmp_path / "scan.nii", tmp_path)
    interpolate_scan(*run, network, GapInferer(factor=2, num_samples=4, batch_size=50))
    image = nib.load(tmp_path / "scan_std.nii.gz")
    std = image.get_fdata()
    assert image.get_data_dtype() == np.float32 and std.shape == (6, 7, 5, PHASES)
    assert not std[:, :, ::2].any()
    items_of_gap = 1 if takes_phases else PHASES
    offsets = np.array([[seed % 100 / 1000 for seed in seeds[::items_of_gap]] for seeds in network.seeds])
    expected = 2 * (high - low) * offsets.std(0)  # per gap, over the samples
    np.testing.assert_allclose(std[:, :, 1::2], np.broadcast_to(expected[:, None], (6, 7, 2, PHASES)), rtol=1e-4)
    assert json.loads((tmp_path / "scan_std.json").read_text())["synthetic_slices"] == [1, 3]
    interpolate_scan(*run, network, GapInferer(factor=2))
    assert not list(tmp_path.glob("*_std.*")), "a deviation of other samples stayed behind"


def test_values_outside_zero_and_one_saturate_instead_of_wrapping(tmp_path):
    class Overshooting(LinearFrames):
        def interpolate(self, *args):
            return super().interpolate(*args) * 0 + 3

    values, _ = write(tmp_path / "scan.nii", np.uint8)
    output = interpolate_scan(tmp_path / "scan.nii", tmp_path, Overshooting(), GapInferer(factor=2))
    middle = np.asanyarray(nib.load(output).dataobj)[:, :, 1].astype(float)
    assert middle.min() >= np.floor(stack_intensity_range(values)[1])


def test_two_slices_have_one_gap(tmp_path):
    write(tmp_path / "scan.nii", num_slices=2)
    output = interpolate_scan(tmp_path / "scan.nii", tmp_path, LinearFrames(), GapInferer(factor=5))
    assert nib.load(output).shape == (6, 7, 6)


def test_target_spacing_counts_along_the_interpolated_axis(tmp_path):
    write(tmp_path / "scan.nii", axis=0, spacing=9.0)
    run = (tmp_path / "scan.nii", tmp_path, LinearFrames())
    assert nib.load(interpolate_scan(*run, GapInferer(target_spacing=2.5))).shape[0] == 9
    with pytest.raises(InputError, match="9 mm, already meets the target of 9 mm; ask for a smaller"):
        interpolate_scan(*run, GapInferer(target_spacing=9.0))
    # Another axis is another question, though the output has the same name.
    output = interpolate_scan(*run, GapInferer(target_spacing=1.0), axis=1)
    assert nib.load(output).shape == (3, 13, 8)


def test_done_work_is_kept_and_other_options_redo_it(tmp_path, caplog):
    write(tmp_path / "scan.nii")

    def run(axis=None, strength=1, **options):
        network = JitteredSlices()
        network.strength = strength
        with caplog.at_level(logging.INFO):
            interpolate_scan(tmp_path / "scan.nii", tmp_path, network, GapInferer(**options), axis=axis)
        return bool(network.shapes)

    assert run(factor=2)
    assert not run(factor=2) and "already done" in caplog.text
    assert not run(factor=2, axis=2, batch_size=1), "the same axis by name, and the batch size changes nothing"
    assert run(factor=2, axis=1) and run(factor=3) and run(factor=3, seed=1)
    assert run(strength=2, factor=3) and "made with other strength, seed; made anew" in caplog.text
    write(tmp_path / "scan.nii", num_slices=4)
    assert run(strength=2, factor=3)


def test_an_interpolated_stack_is_not_taken_for_an_acquired_one(tmp_path):
    write(tmp_path / "scan.nii")
    output = interpolate_scan(tmp_path / "scan.nii", tmp_path, LinearFrames(), GapInferer(factor=2))
    with pytest.raises(InputError, match="holds synthetic slices; give the acquired scan"):
        interpolate_scan(output, tmp_path, LinearFrames(), GapInferer(factor=2))
