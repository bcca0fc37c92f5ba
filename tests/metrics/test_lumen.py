# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from custom.evaluation.oct_sampling import SAMPLINGS, read_frames
from custom.metrics.lumen import catheter_end, contour_error, contour_jumps, lumen_contours
from custom.phantoms.oct import Label, OctPhantomConfig, simulate_pullback

ALINES, DEPTHS = 240, 200


def drawn(phases=(0.0,), shadow=True):
    """Frames with catheter rings, an eccentric lumen, a layer behind its border, a guidewire; and the true border."""
    rng = np.random.default_rng(0)
    angle, depth = 2 * np.pi * np.arange(ALINES) / ALINES, np.arange(DEPTHS)
    border = np.stack([90 + 25 * np.cos(angle + phase) for phase in phases])
    behind = depth - border[:, :, None]
    gray = np.where(behind > 0, 0.4 * np.exp(-behind / 60), 0.01)
    gray[(behind > 12) & (behind < 18)] *= 0.4  # a layer: the step behind it is no border
    gray[:, :, 18:22] = 0.25
    gray[:, :, 34:40] = 0.2
    if shadow:
        gray[:, 30:45, 48:] = 0.01
        gray[:, 30:45, 48:54] = 0.9
    return (gray * rng.gamma(8, 1 / 8, gray.shape)).clip(0, 1), border


def test_the_border_of_drawn_frames_is_found_and_the_wire_is_not_tissue():
    frames, border = drawn(phases=(0.0, 1.0, 2.5))
    found = lumen_contours(frames)
    assert found.catheter == pytest.approx(40, abs=3)
    assert found.depths.shape == border.shape and contour_error(found, border).max() < 1.5
    wire = np.zeros(ALINES, bool)
    wire[31:44] = True
    assert not found.seen[:, wire].any() and found.seen[:, ~wire].mean() > 0.9
    assert abs(np.diff(found.depths, axis=1, append=found.depths[:, :1])).max() <= 2 * 0.02 * DEPTHS * 500 / ALINES


def test_the_turn_has_no_beginning():
    frames, _ = drawn()
    found = lumen_contours(frames, catheter=40)
    for rows in (1, ALINES // 2, 150):
        turned = lumen_contours(np.roll(frames, rows, 1), catheter=40)
        assert np.abs(turned.depths - np.roll(found.depths, rows, 1)).max() <= 1


def test_errors_and_jumps_are_mean_distances_in_pixels():
    frames, border = drawn(phases=(0.0, 0.0, 0.0), shadow=False)
    moved = np.concatenate([frames[:2], np.roll(frames[2:], 6, axis=2)])
    moved[2, :, :40] = frames[2, :, :40]
    found = lumen_contours(moved, catheter=40)
    assert contour_error(found, border)[2] == pytest.approx(6, abs=1)
    assert contour_jumps(found)[0] < 1 and contour_jumps(found)[1] == pytest.approx(6, abs=0.5)
    nowhere = np.zeros_like(found.seen)
    assert np.isnan(contour_error(found, border, nowhere)).all()
    with pytest.raises(ValueError, match="F, A, D"):
        lumen_contours(frames[0])


def test_frames_without_a_catheter_have_none():
    frames, _ = drawn()
    frames[:, :, :40] = 0.01
    assert catheter_end(frames) == 0


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_the_phantoms_border_is_found(seed):
    pullback = simulate_pullback(OctPhantomConfig(num_frames=4, stent=False), seed)
    frames, labels = (array.transpose(2, 0, 1) for array in (pullback.polar / 255, pullback.labels))
    true = ~np.isin(labels, (Label.LUMEN, Label.CATHETER, Label.GUIDEWIRE))
    found = lumen_contours(frames)
    distance = np.abs(found.depths - true.argmax(2))[found.seen]
    assert found.seen.mean() > 0.5
    assert np.median(distance) <= 3 and (distance <= 6).mean() > 0.9, "its surface rises over five pixels"


def test_in_real_frames_it_is_a_step_from_dark_to_bright_that_follows_the_vessel(real_pullback):
    frames = SAMPLINGS["polar_497x375"](read_frames(real_pullback, 1, 100)[..., 40:52]).transpose(2, 0, 1) / 255
    found = lumen_contours(frames)
    assert 60 <= found.catheter <= 80
    assert found.seen.mean() > 0.8
    depth = np.arange(375) - found.depths[:, :, None]
    tissue, lumen = (depth >= 3) & (depth < 20), (depth < -3) & (depth > -20)
    step = [np.where(where, frames, np.nan) for where in (tissue, lumen)]
    inside, outside = (np.nanmean(x, axis=2) for x in step)
    assert (inside > 2 * outside)[found.seen].mean() > 0.95
    # Half a turn away from where the search began as elsewhere: no A-line is special.
    turned = lumen_contours(np.roll(frames, 200, 1), found.catheter)
    same = np.abs(turned.depths - np.roll(found.depths, 200, 1))[np.roll(found.seen, 200, 1)]
    assert (same <= 1).mean() > 0.98
    assert np.median(contour_jumps(found)) < 15
