# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The acquired cardiac phantom: one heart whatever the acquisition, labels that fit the image, data sets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import label as connected
from skimage.metrics import structural_similarity

from custom.errors import InputError
from custom.phantoms.cmr import (
    CmrLabel,
    CmrPhantomConfig,
    CmrStack,
    cut_long_axis,
    simulate_heart,
    write_cmr_dataset,
)
from custom.phantoms.cmr_acquisition import thin_slices
from custom.phantoms.cmr_scanner import Scanner

SMALL = CmrPhantomConfig(num_phases=2, matrix=40, pixel_mm=4.0, pitch_mm=16.0, thickness_mm=2.0)


@pytest.fixture(scope="module")
def cine() -> CmrStack:
    """Thin slices: what a label says of their middle holds for all of them."""
    return simulate_heart(
        CmrPhantomConfig(num_phases=8, matrix=60, pixel_mm=3.0, pitch_mm=4.0, thickness_mm=1.0), seed=2
    )


def voxel_ml(stack: CmrStack) -> float:
    return abs(np.linalg.det(stack.affine[:3, :3])) / 1000


def test_seed_decides_everything() -> None:
    first, again, other = (simulate_heart(SMALL, seed) for seed in (3, 3, 4))
    assert np.array_equal(first.image, again.image) and np.array_equal(first.labels, again.labels)
    assert np.array_equal(first.affine, again.affine)
    assert first.image.dtype == np.int16 and first.labels.dtype == np.uint8
    assert first.image.shape == first.labels.shape and first.image.shape[3] == 2
    assert not np.allclose(first.affine, other.affine)


def test_another_pitch_or_number_of_phases_shows_the_same_heart() -> None:
    sparse = simulate_heart(SMALL, 3)
    dense = simulate_heart(replace(SMALL, pitch_mm=8.0, num_phases=4), 3)
    shown, truth = dense.image[:, :, ::2, ::2].astype(int), sparse.image.astype(int)
    assert shown.shape == truth.shape
    assert np.abs(shown - truth).max() <= 1  # sums in another order round differently
    assert np.array_equal(dense.labels[:, :, ::2, ::2], sparse.labels)
    assert dense.affine[:, [0, 1, 3]] == pytest.approx(sparse.affine[:, [0, 1, 3]])
    assert dense.affine[:3, 2] * 2 == pytest.approx(sparse.affine[:3, 2])
    between = dense.image[:, :, 1::2, ::2][:, :, : truth.shape[2] - 1]
    assert np.abs(between - truth[:, :, :-1]).mean() > 5


def test_breath_holds_shift_whole_slices() -> None:
    base = replace(SMALL, pitch_mm=5.0, num_phases=1, matrix=56, pixel_mm=2.5, thickness_mm=1.0, noise=0.0)
    still, moved, sparse = (
        simulate_heart(config, 6)
        for config in (
            base,
            replace(base, breath_hold_mm=3.0),
            replace(base, breath_hold_mm=3.0, pitch_mm=10.0),
        )
    )
    inside = np.flatnonzero((still.labels == CmrLabel.LV_CAVITY).sum(axis=(0, 1, 3)) > 100)
    centres = [
        np.array([np.argwhere(stack.labels[:, :, z, 0] == CmrLabel.LV_CAVITY).mean(axis=0) for z in inside])
        for stack in (still, moved)
    ]
    shifts = (centres[1] - centres[0]) * 2.5
    assert len(inside) > 9
    assert 3.0 * 0.65 < shifts.std() < 3.0 * 1.4
    assert np.array_equal(moved.labels[:, :, ::2], sparse.labels)
    assert np.array_equal(still.affine, moved.affine)


def test_breath_holds_shift_through_the_plane_too() -> None:
    scanner = Scanner.draw(np.random.default_rng(0), 45.0)
    slices, shifts = np.arange(6) * 8.0 - 8.0, np.array([0.0, 2.3, -4.1, 0.4, -0.6, 9.0])
    thin, weights, middles = thin_slices(slices, shifts, 8.0, scanner)
    assert weights.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    assert weights @ thin == pytest.approx(slices + shifts, abs=0.1)
    assert np.abs(thin[middles] - slices - shifts).max() <= 0.5 and thin[middles[0]] == slices[0]

    # What a shifted slice shows lies elsewhere along the axis: cavities of the lower half of the heart change in size.
    base = replace(SMALL, pitch_mm=6.0, num_phases=1, noise=0.0)
    still, moved = (simulate_heart(replace(base, breath_hold_mm=mm), 6) for mm in (0.0, 5.0))
    sizes = [(stack.labels == CmrLabel.LV_CAVITY).sum(axis=(0, 1, 3)) for stack in (still, moved)]
    assert np.abs(sizes[0][3:8] - sizes[1][3:8]).max() > 0.08 * sizes[0].max()


def test_cavity_empties_and_fills(cine: CmrStack) -> None:
    volume = np.sum(cine.labels == CmrLabel.LV_CAVITY, axis=(0, 1, 2)) * voxel_ml(cine)
    assert 75 < volume[0] < 315
    lowest = volume.argmin()
    assert 2 <= lowest <= 4
    assert np.all(np.diff(volume[: lowest + 1]) < 0) and np.all(np.diff([*volume[lowest:], volume[0]]) > 0)
    assert 0.18 < 1 - volume[lowest] / volume[0] < 0.77
    right = np.sum(cine.labels == CmrLabel.RV_CAVITY, axis=(0, 1, 2))
    assert right[lowest] < 0.9 * right[0]


def test_labels_agree_with_the_image(cine: CmrStack) -> None:
    for t in (0, 3):
        image, labels = cine.image[..., t].astype(float), cine.labels[..., t]
        heights = np.flatnonzero((labels == CmrLabel.LV_CAVITY).any(axis=(0, 1)))
        # Not the trabeculated apex, and not the valve's leaflets, which lie in the cavity too.
        for z in heights[len(heights) // 3 : -3]:
            left, muscle, right = (np.median(image[:, :, z][labels[:, :, z] == label]) for label in (1, 2, 3))
            assert left > 1.6 * muscle and right > 1.4 * muscle
            assert (labels[:, :, z] == CmrLabel.MYOCARDIUM).sum() > 40


def test_stack_is_oblique_and_its_landmarks_lie_in_it(cine: CmrStack) -> None:
    axes = cine.affine[:3, :3] / (3.0, 3.0, 4.0)
    assert axes.T @ axes == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(axes) == pytest.approx(1.0) and np.abs(axes).max() < 0.98

    def at(point: np.ndarray) -> int:
        x, y, z = np.rint(np.linalg.solve(cine.affine, [*point, 1.0])[:3]).astype(int)
        return cine.labels[x, y, z, 0]

    apex, mitral = cine.landmarks["apex"], cine.landmarks["mitral"]
    assert at(0.5 * apex + 0.5 * mitral) == CmrLabel.LV_CAVITY
    assert at(mitral + 0.15 * (mitral - apex)) == CmrLabel.BACKGROUND
    assert at(apex - 0.05 * (mitral - apex)) == CmrLabel.BACKGROUND
    side = cine.landmarks["right"] - mitral
    assert at(0.4 * apex + 0.6 * mitral + 1.2 * side) == CmrLabel.RV_CAVITY

    straight = simulate_heart(replace(SMALL, oblique=False), 2)
    assert straight.affine[:3, :3] == pytest.approx(np.diag([4.0, 4.0, 16.0]))
    assert np.array_equal(straight.image, simulate_heart(SMALL, 2).image)


def test_long_axis_views_show_one_ventricle_that_beats(cine: CmrStack) -> None:
    views = cine.long_axis_views(size=96, spacing=1.5)
    assert set(views) == {"2ch", "3ch", "4ch"}
    for view, image in views.items():
        assert image.shape == (96, 96, 8) and image.dtype == np.float32 and image.max() > 0
        labels = cut_long_axis(cine, view, 96, 1.5, cine.labels)
        assert labels.dtype == np.uint8
        assert connected(labels[..., 0] == CmrLabel.LV_CAVITY)[1] == 1
        heights = np.flatnonzero((labels[..., 0] == CmrLabel.LV_CAVITY).any(axis=1))
        assert np.all(np.diff(heights) == 1) and len(heights) * 1.5 > 55
    four = cut_long_axis(cine, "4ch", 96, 1.5, cine.labels)[..., 0]
    columns = {label: np.argwhere(four == label)[:, 1].mean() for label in (1, 3)}
    assert columns[CmrLabel.RV_CAVITY] < columns[CmrLabel.LV_CAVITY] - 10


def test_a_missing_slice_is_as_hard_to_guess_as_a_real_one() -> None:
    """Average of the neighbours of real slices 16 to 20 mm apart: 18.1 and 18.3 dB, SSIM 0.44 and 0.51."""
    psnr, ssim = [], []
    for seed in (106, 108):
        config = CmrPhantomConfig(num_phases=1, matrix=72, pixel_mm=2.4, pitch_mm=9.0, breath_hold_mm=1.0)
        image = simulate_heart(config, seed).image[..., 0].astype(float)
        low, high = np.percentile(image, [0.5, 99.5])
        image = np.clip((image - low) / (high - low), 0, 1)
        guess = (image[:, :, :-2] + image[:, :, 2:]) / 2
        psnr.append(np.mean(-10 * np.log10(np.mean((guess - image[:, :, 1:-1]) ** 2, axis=(0, 1)))))
        pairs = zip(np.moveaxis(image[:, :, 1:-1], 2, 0), np.moveaxis(guess, 2, 0), strict=True)
        ssim.append(np.mean([structural_similarity(a, b, data_range=1, gaussian_weights=True) for a, b in pairs]))
    assert 17.5 < np.mean(psnr) < 23
    assert 0.25 < np.mean(ssim) < 0.65


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"pitch_mm": 0.0}, "pitch_mm must be positive"),
        ({"noise": -0.1}, "noise must be positive"),
        ({"num_phases": 2.5}, "whole number"),
        ({"matrix": None}, "whole number"),
        ({"thickness_mm": float("nan")}, "thickness_mm must be a number"),
    ],
)
def test_senseless_acquisitions_are_refused(tmp_path: Path, fields: dict, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        simulate_heart(replace(SMALL, **fields), 0)
    with pytest.raises(InputError, match=fault):
        write_cmr_dataset(tmp_path / "set", 4, replace(SMALL, **fields))
    assert not (tmp_path / "set").exists()


def test_dataset_is_split_described_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datalist = write_cmr_dataset(tmp_path, 4, SMALL, seed=2)
    content = json.loads(datalist.read_text())
    assert [len(content[part]) for part in ("training", "validation", "test")] == [1, 1, 2]
    entry = content["training"][0]
    assert entry == {"image": "CMR01.nii.gz", "label": "labels/CMR01.nii.gz", "patient": "CMR01", "axis": 2}
    image, labels = nib.load(tmp_path / entry["image"]), nib.load(tmp_path / entry["label"])
    sidecar = json.loads((tmp_path / "CMR01.json").read_text())
    assert image.shape == labels.shape and image.ndim == 4
    assert image.get_data_dtype() == np.int16 and labels.get_data_dtype() == np.uint8
    assert image.header.get_zooms() == pytest.approx((4.0, 4.0, 16.0, sidecar["interval_ms"] / 2), rel=1e-5)
    assert image.header.get_xyzt_units() == ("mm", "msec")
    stack = simulate_heart(SMALL, sidecar["seed"])
    assert np.array_equal(np.asanyarray(image.dataobj), stack.image)
    assert image.affine == pytest.approx(stack.affine, abs=1e-4)
    assert sidecar["landmarks_mm"]["mitral"] == pytest.approx(stack.landmarks["mitral"].tolist())
    assert sidecar["labels"] == {"background": 0, "lv_cavity": 1, "myocardium": 2, "rv_cavity": 3}
    assert not list(tmp_path.rglob(".part*"))

    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nii.gz")}
    (tmp_path / "CMR02.json").unlink()  # a run that was killed before the sidecar vouched for the image
    (tmp_path / "CMR02.nii.gz").write_bytes(b"half")
    write_cmr_dataset(tmp_path, 4, SMALL, seed=2)
    assert {path.name for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp} == {"CMR02.nii.gz"}
    monkeypatch.setattr("custom.phantoms.cmr.simulate_heart", lambda *_: pytest.fail("nothing was left to make"))
    write_cmr_dataset(tmp_path, 4, SMALL, seed=2)


def test_one_phase_makes_a_3d_file(tmp_path: Path) -> None:
    write_cmr_dataset(tmp_path, 2, replace(SMALL, num_phases=1, matrix=24, pitch_mm=40.0), val=0, test=1)
    image = nib.load(tmp_path / "CMR01.nii.gz")
    assert image.ndim == 3 and image.header.get_zooms() == pytest.approx((4.0, 4.0, 40.0))


def test_dataset_needs_patients_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none for training"):
        write_cmr_dataset(tmp_path / "set", 3)


def test_test_patients_do_not_depend_on_the_size_of_the_set_and_are_never_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: dict[int, dict[str, list[int]]] = {}
    for size in (4, 12):
        folder, made = tmp_path / str(size), {}
        monkeypatch.setattr(
            "custom.phantoms.cmr.write_cmr_patient", lambda _, name, config, seed, made=made: made.update({name: seed})
        )
        split = json.loads(write_cmr_dataset(folder, size, SMALL).read_text())
        seeds[size] = {section: [made[entry["patient"]] for entry in entries] for section, entries in split.items()}
    assert seeds[4]["test"] == seeds[12]["test"] and seeds[4]["validation"] == seeds[12]["validation"]
    held_out = set(seeds[4]["test"]) | set(seeds[4]["validation"])
    assert len(seeds[12]["training"]) == 9 and not held_out & set(seeds[12]["training"])
