# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from custom.errors import InputError
from custom.evaluation.methods import Method
from custom.evaluation.oct_sampling import FULL_SIZE, SAMPLINGS, frame_range, read_frames
from custom.evaluation.robustness import measure, measure_cells
from custom.evaluation.scenes import DENSE, Scene, firsts, phantom_scenes, real_scenes
from custom.interpolators.classical import LinearFrames, NearestFrame
from custom.metrics.fidelity import PSNR_CAP_DB
from custom.report.robustness import robustness_page

ROOT = Path(__file__).parents[2]
METHODS = {"Linear": Method(LinearFrames), "Nearest": Method(NearestFrame)}


def vessel(num_frames=7, alines=96, depths=80):
    """Polar frames of a lumen whose centre moves, with speckle of its own in every frame."""
    rng, angle = np.random.default_rng(0), 2 * np.pi * np.arange(alines) / alines
    border = 40 + np.arange(num_frames)[:, None] + 8 * np.cos(angle)
    grain = gaussian_filter(rng.standard_normal((num_frames, alines, depths)), (0, 0.7, 1.0), mode="wrap")
    frames = 0.35 * (np.arange(depths) > border[:, :, None]) * np.exp(0.4 * grain) + 0.01
    return frames.clip(0, 1).astype(np.float32), border


@pytest.fixture
def exported(tmp_path):
    """A pullback as exported: Cartesian, gray."""
    offset = np.arange(96) - 47.5
    radius = np.hypot(offset[:, None], offset)
    frames = np.stack([180 * (radius > 15 + k) * (radius < 47.5) for k in range(8)])
    path = tmp_path / "pullback.npz"
    np.savez(path, frames=frames.astype(np.uint8))
    return path


def test_a_cell_measures_unknown_frames_only():
    frames, border = vessel()
    ends = frames[[0, 6]].astype(np.float64)
    share = np.arange(7)[:, None, None] / 6
    ramp = Scene("ramp", ((1 - share) * ends[0] + share * ends[1]).astype(np.float32))
    cell = measure(LinearFrames(), ramp, 6, [0])
    assert cell["psnr"] == PSNR_CAP_DB and cell["ssim"] == pytest.approx(1) and cell["psnr_clean"] < 50
    assert cell["frames"]["place"] == [1, 2, 3, 4, 5] and len(cell["frames"]["psnr"]) == 5
    scene = Scene("vessel", frames, border=border)
    assert measure(NearestFrame(), scene, 2, [0, 2, 4])["frames"]["place"] == [1, 3, 5]


def test_speckle_and_wall_tell_an_average_from_a_frame():
    scene = Scene("vessel", *(vessel()[0],))
    linear, nearest = (measure(network, scene, 6, [0]) for network in (LinearFrames(), NearestFrame()))
    assert nearest["speckle"]["contrast"] == pytest.approx(1, abs=0.1)
    assert linear["speckle"]["contrast"] < 0.9
    # The lumen grows by a pixel a frame: the nearest frame is 2 of 5 pixels off on average, and jumps by 6 once.
    assert nearest["wall"]["error"] == pytest.approx(9 / 5, abs=0.4) and nearest["wall"]["true_error"] == 0
    assert nearest["wall"]["largest_jump"] == pytest.approx(6, abs=0.7)
    assert nearest["wall"]["true_largest_jump"] == pytest.approx(1, abs=0.6)
    cartesian = Scene("Cartesian", np.random.default_rng(0).random((3, 60, 60), np.float32), polar=False)
    assert measure(LinearFrames(), cartesian, 2, [0])["wall"] is None


def test_phantom_patients_bring_their_true_border():
    scene = phantom_scenes(1, num_frames=2)["phantom_1"]
    assert scene.frames.shape == (DENSE + 1, 256, 256) and scene.phantom
    assert np.median(np.abs(scene.contours.depths - scene.border)[scene.contours.seen]) <= 4


def test_finished_cells_are_kept_and_others_made(tmp_path):
    scenes = {"vessel": Scene("vessel", vessel()[0])}
    first = measure_cells(scenes, METHODS, tmp_path, [2, 6])
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()}
    assert len(files) == 4 and set(first) == {("vessel", f, m) for f in (2, 6) for m in METHODS}
    gone = next(path for path in files if "x6_Linear" in path.name)
    gone.unlink()
    again = measure_cells(scenes, METHODS, tmp_path, [2, 6])
    now = {path: path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()}
    assert now.keys() == files.keys() and [p for p in files if now[p] != files[p]] == [gone]
    assert again["vessel", 2, "Linear"] == first["vessel", 2, "Linear"]
    other = {"vessel": Scene("vessel", vessel()[0] * 0.9)}
    measure_cells(other, {"Linear": METHODS["Linear"]}, tmp_path, [2])
    assert len(list((tmp_path / "cells").iterdir())) == 5, "other frames are other cells"


def test_the_page_says_where_a_method_is_below_the_baseline(tmp_path):
    scenes = {"vessel": Scene("vessel", vessel()[0])}
    cells = measure_cells(scenes, METHODS, tmp_path, [2, 6])
    for key in ("psnr", "ssim"):
        cells["vessel", 2, "Linear"][key], cells["vessel", 2, "Nearest"][key] = 0.5, 0.4
        cells["vessel", 6, "Linear"][key], cells["vessel", 6, "Nearest"][key] = 0.5, 0.7
    page = robustness_page(cells, scenes, "Linear", "made up")
    assert "| vessel | x2 | 0.50 / 50.0 | **0.40 (-0.10)** / **40.0 (-10.0)** |" in page
    assert "| mean | all | 0.50 / 50.0 | 0.55 (+0.05) / 55.0 (+5.0) |" in page
    assert "Nearest: at or above Linear in PSNR in 1 of 2 cells, +0.05 dB on average, SSIM +20.0 points at x6." in page
    for part in ("## Speckle", "## Wall", "## Time", "Against speckle-reduced truth"):
        assert part in page


def test_frames_are_the_same_vessel_in_every_sampling(exported):
    frames = read_frames(exported, 2, 4)
    assert frames.shape == (96, 96, 3) and frames.dtype == np.uint8
    for name, sampling in {**SAMPLINGS, **FULL_SIZE}.items():
        sampled = sampling(frames)
        depths = sampling.depths or (0, sampling.shape[1])
        assert sampled.shape == (sampling.shape[0], depths[1] - depths[0], 3), name
        assert sampled.dtype == np.uint8
        row = sampled[sampled.shape[0] // 2, :, 0] > 90
        if sampling.polar and depths[0] == 0:
            assert row.argmax() == pytest.approx(16 / 48 * sampling.shape[1], abs=0.02 * sampling.shape[1])
    scenes = real_scenes(exported, 1, 8, ["polar_256_near", "polar_256_far"])
    assert [scene.contours is None for scene in scenes.values()] == [False, True]


def test_blood_fills_polar_lumens_and_is_another_scene(exported):
    clear = real_scenes(exported, 1, 8, ["polar_256_near", "cartesian_375"])
    bloody = real_scenes(exported, 1, 8, ["polar_256_near", "cartesian_375"], blood=True)
    assert list(bloody) == ["polar_256_near"] and bloody["polar_256_near"].label.endswith(", blood")
    one, other = (scenes["polar_256_near"] for scenes in (clear, bloody))
    assert one.fingerprint != other.fingerprint and other.frames.dtype == np.float32
    lumen = (slice(None), slice(None), slice(20, 60))  # before the wall, at a third of the radius
    assert other.frames[lumen].mean() > one.frames[lumen].mean() + 0.02


def test_what_is_not_there_is_told(exported, tmp_path):
    with pytest.raises(InputError, match="has frames 1 to 8, not 5 to 9"):
        read_frames(exported, 5, 9)
    with pytest.raises(InputError, match="no such file"):
        read_frames(tmp_path / "absent.npz", 1, 2)
    with pytest.raises(InputError, match="choose from polar_497x375"):
        real_scenes(exported, 1, 3, ["polar"])
    with pytest.raises(InputError, match="--blood: goes into polar samplings, .* add one of .*polar_256_near"):
        real_scenes(exported, 1, 3, ["cartesian_375"], blood=True)
    assert real_scenes(exported, 1, 3, [], blood=True) == {}
    for text in ("9:3", "a:b", "7"):
        with pytest.raises(InputError, match="FIRST:LAST"):
            frame_range(text)
    assert firsts(7, 2) == [0, 2, 4] and firsts(7, 2, 2) == [0, 4] and frame_range("101:130") == (101, 130)
    with pytest.raises(InputError, match="x6 needs 7"):
        firsts(6, 6)


def test_one_command_makes_the_table(exported, tmp_path):
    command = [sys.executable, ROOT / "benchmarks" / "oct_robustness.py", "--frames", exported, "--range", "1:7"]
    command += ["--samplings", "polar_256_near", "--phantoms", "0", "--methods", "Linear=linear,nearest"]
    done = subprocess.run([*command, "--output_dir", tmp_path / "out"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "robustness.md").read_text() in done.stdout
