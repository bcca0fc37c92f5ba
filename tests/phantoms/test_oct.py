# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The OCT phantom against what a pullback must be: repeatable, nested in pitch, and speckled as light is."""

from __future__ import annotations

import json
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from custom.errors import InputError
from custom.phantoms.oct import Label, OctPhantomConfig, OctPullback, simulate_pullback, write_phantom_dataset
from custom.phantoms.oct_physics import detect, scatterers

SMALL = OctPhantomConfig(num_frames=4, num_alines=96, num_depths=128, depth_spacing_mm=0.0204, stent=False)


@pytest.fixture(scope="module")
def pullback() -> OctPullback:
    return simulate_pullback(OctPhantomConfig(num_frames=13, stent=True), seed=1)


def residual(frames: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Speckle: the frames less their local mean over 7 x 7 pixels, zero elsewhere."""
    frames = frames.astype(np.float32)
    return np.where(where, frames - uniform_filter(frames, (7, 7, 1)), 0)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation where both are defined (not zero)."""
    both = (a != 0) & (b != 0)
    return float(np.corrcoef(a[both], b[both])[0, 1])


def test_seed_decides_everything() -> None:
    first, again, other = (simulate_pullback(SMALL, seed) for seed in (3, 3, 4))
    assert np.array_equal(first.polar, again.polar) and np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.labels, other.labels)
    assert first.polar.dtype == first.labels.dtype == np.uint8
    assert first.polar.shape == first.labels.shape == (96, 128, 4)


def test_dense_pullback_holds_the_coarse_one_bit_for_bit() -> None:
    coarse, dense = simulate_pullback(SMALL, 5), simulate_pullback(SMALL, 5, pitch_divisor=6)
    assert dense.polar.shape[-1] == 19
    assert np.array_equal(dense.polar[..., ::6], coarse.polar)
    assert np.array_equal(dense.labels[..., ::6], coarse.labels)
    assert dense.spacing_mm == pytest.approx((1.0, 0.0204, 0.2 / 6))
    assert not np.array_equal(dense.polar[..., 1], dense.polar[..., 0])


def test_anatomy_stays_while_speckle_is_renewed() -> None:
    dense = simulate_pullback(OctPhantomConfig(num_frames=2, stent=False), seed=1, pitch_divisor=6)
    tissue = np.isin(dense.labels, [Label.INTIMA, Label.MEDIA, Label.ADVENTITIA, Label.FIBROUS]) & (dense.polar > 60)
    speckle = residual(dense.polar, tissue)
    assert correlation(speckle[..., :-1], speckle[..., 1:]) < 0.3
    for label in (Label.LUMEN, Label.ADVENTITIA):
        a, b = dense.labels[..., :-1] == label, dense.labels[..., 1:] == label
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.97


def test_raw_speckle_is_fully_developed() -> None:
    rng = np.random.default_rng(0)
    shape = (1, 256, 256)
    still = np.zeros(shape, np.complex64)
    phasors = scatterers(7, 2.3, shape)
    intensity = detect(np.ones(shape[1:], np.float32), phasors, (0.49, 0.98), still, np.zeros(shape[1:])) ** 2
    assert intensity.mean() == pytest.approx(1.0, abs=0.03)
    assert intensity.std() / intensity.mean() == pytest.approx(1.0, abs=0.03)
    # The whole distribution is exponential, not only its first two moments.
    quantiles = np.array([0.1, 0.25, 0.5, 0.75, 0.9, 0.99])
    expected = np.quantile(rng.exponential(1.0, 1_000_000), quantiles)
    assert np.quantile(intensity, quantiles) == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize(("shift", "expected"), [(0.0, 1.0), (0.5, np.cos(np.pi / 4)), (1.0, 0.0), (2.5, 0.0)])
def test_speckle_decorrelates_with_distance(shift: float, expected: float) -> None:
    a, b = scatterers(7, 4.0, (64, 1024)), scatterers(7, 4.0 + shift, (64, 1024))
    assert abs(np.vdot(a, b)) / a.size == pytest.approx(expected, abs=0.02)
    assert np.mean(np.abs(b) ** 2) == pytest.approx(1.0, abs=0.02)


def test_gray_levels_lie_where_real_ones_do() -> None:
    """Measured on the real frames at this sampling: see the table in `oct_physics`."""
    gray, deviation, frame_correlation, floor = [], [], [], []
    for seed in range(40, 46):
        pullback = simulate_pullback(OctPhantomConfig(num_frames=7, stent=False), seed)
        frames = pullback.polar.astype(np.float32)
        gray.append((np.median(frames[pullback.labels == Label.LUMEN]), frames.mean(), frames.std()))
        speckle = residual(frames, (pullback.labels == Label.INTIMA) & (frames > 60))
        deviation.append(speckle[speckle != 0].std())
        frame_correlation += [np.corrcoef(frames[..., i].ravel(), frames[..., i + 1].ravel())[0, 1] for i in range(6)]
        middle = (frames[..., :-2] + frames[..., 2:]) / 2
        floor.append(-10 * np.log10(np.mean((middle - frames[..., 1:-1]) ** 2, axis=(0, 1)) / 255**2).mean())
    lumen, mean, spread = np.mean(gray, axis=0)
    assert 3 <= lumen <= 6
    assert 22 < mean < 36 and 26 < spread < 40
    assert 10 < np.mean(deviation) < 16
    assert 0.8 < np.mean(frame_correlation) < 0.95
    assert 25.9 - 1.5 < np.mean(floor) < 26.9 + 1.5


def test_guidewire_blocks_the_light(pullback: OctPullback) -> None:
    wire = pullback.labels == Label.GUIDEWIRE
    deep = np.arange(pullback.polar.shape[1])[None, :, None] > 90
    tissue = np.isin(pullback.labels, [Label.INTIMA, Label.MEDIA]) & deep
    # A-lines through the core of the wire: at its flanks the path in metal is short.
    shadow = (wire.sum(axis=1, keepdims=True) > 20) & tissue
    assert shadow.any()
    assert pullback.polar[shadow].mean() < 8 < 40 < pullback.polar[tissue & ~wire.any(axis=1, keepdims=True)].mean()
    assert np.percentile(pullback.polar[wire], 90) > 120


def test_every_tissue_occurs_and_plaques_look_their_kind() -> None:
    gray: dict[int, list[float]] = {label: [] for label in Label}
    for seed in range(6):
        pullback = simulate_pullback(OctPhantomConfig(num_frames=10, num_alines=128, frame_pitch_mm=1.0), seed)
        for label in np.unique(pullback.labels):
            gray[label].append(float(pullback.polar[pullback.labels == label].mean()))
    mean = {label: np.mean(values) for label, values in gray.items()}
    assert all(gray.values())
    assert mean[Label.CALCIUM] < mean[Label.FIBROUS] > mean[Label.LIPID]
    assert mean[Label.MEDIA] < mean[Label.INTIMA]


def test_sixty_frames_take_seconds() -> None:
    start = time.process_time()
    simulate_pullback(OctPhantomConfig(num_frames=6), seed=0)
    assert 10 * (time.process_time() - start) < 60


def test_dataset_is_split_marked_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datalist = write_phantom_dataset(tmp_path, 4, SMALL, seed=2)
    content = json.loads(datalist.read_text())
    assert [len(content[part]) for part in ("training", "validation", "test")] == [1, 1, 2]
    patients = [entry["patient"] for part in content.values() for entry in part]
    assert len(set(patients)) == 4
    image = nib.load(tmp_path / content["training"][0]["image"])
    assert image.shape == (96, 128, 4) and image.get_data_dtype() == np.uint8
    assert image.header["descrip"].item() == b"OCT polar"
    assert image.header.get_zooms() == pytest.approx((1.0, 0.0204, 0.2))
    assert not list(tmp_path.rglob(".part*"))

    stamps = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nii.gz")}
    kept = np.array(nib.load(tmp_path / "OCT02.nii.gz").dataobj)
    (tmp_path / "OCT02.json").unlink()  # a run that was killed before the sidecar vouched for the image
    (tmp_path / "OCT02.nii.gz").write_bytes(b"half")
    write_phantom_dataset(tmp_path, 4, SMALL, seed=2)
    assert {p.name for p, stamp in stamps.items() if p.stat().st_mtime_ns != stamp} == {"OCT02.nii.gz"}
    assert np.array_equal(np.asanyarray(nib.load(tmp_path / "OCT02.nii.gz").dataobj), kept)

    monkeypatch.setattr("custom.phantoms.oct.simulate_pullback", lambda *_: pytest.fail("nothing was left to make"))
    write_phantom_dataset(tmp_path, 4, SMALL, seed=2)


def test_dataset_needs_patients_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none for training"):
        write_phantom_dataset(tmp_path / "set", 3)


def test_test_patients_do_not_depend_on_the_size_of_the_set_and_are_never_trained_on(tmp_path: Path) -> None:
    tiny = OctPhantomConfig(num_frames=2, num_alines=32, num_depths=32)
    seeds = []
    for size in (4, 6):
        datalist = json.loads(write_phantom_dataset(tmp_path / str(size), size, tiny).read_text())
        seeds.append(
            {
                section: [
                    json.loads((tmp_path / str(size) / f"{entry['patient']}.json").read_text())["seed"]
                    for entry in entries
                ]
                for section, entries in datalist.items()
            }
        )
    assert seeds[0]["test"] == seeds[1]["test"] and seeds[0]["validation"] == seeds[1]["validation"]
    assert not set(seeds[0]["test"]) & set(seeds[1]["training"])
