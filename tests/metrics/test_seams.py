# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from custom.metrics.seams import seam_ratios, step_ratios


@pytest.fixture
def frames():
    """Smooth frames without a beginning along the rows, with a wall across all rows."""
    noise = np.random.default_rng(0).standard_normal((3, 120, 90))
    smooth = gaussian_filter(noise, (0, 2, 2), mode="wrap")
    wall = 1 / (1 + np.exp(-(np.arange(90) - 45 - 10 * np.sin(2 * np.pi * np.arange(120)[:, None] / 120)) / 2))
    return smooth / smooth.std() * 0.1 + wall


def test_frames_without_seams_step_alike_everywhere(frames):
    for axis, circular in ((1, True), (2, False)):
        ratios = step_ratios(frames, axis, circular)
        assert len(ratios) == frames.shape[axis]
        assert np.nanmax(ratios) < 1.35 and np.nanmedian(ratios) == pytest.approx(1, abs=0.05)
    assert np.isnan(step_ratios(frames, 1)[0]) and np.isnan(step_ratios(frames, 2)[0])


def test_a_step_at_a_tile_border_is_found_there_and_nowhere_else(frames):
    tiled = frames.copy()
    tiled[:, 64:] += 0.06
    ratios = step_ratios(tiled, 1)
    assert ratios[64] > 1.5 and int(np.nanargmax(ratios)) == 64
    seams = seam_ratios(tiled, ([64], [30]))
    assert seams["largest"] == ratios[64] and seams["elsewhere"] < 1.4
    assert seams["borders"] == pytest.approx((ratios[64] + step_ratios(tiled, 2)[30]) / 2)
    assert np.isnan(seams["first_aline"])
    assert np.isnan(seam_ratios(tiled, ([], []))["borders"])


def test_the_first_a_line_follows_the_last(frames):
    assert seam_ratios(frames, ([], []), circular_rows=True)["first_aline"] < 1.35
    drifting = frames + 0.2 * np.linspace(0, 1, 120)[:, None]
    assert seam_ratios(drifting, ([], []), circular_rows=True)["first_aline"] > 2
    with pytest.raises(ValueError, match="axis is 1 or 2"):
        step_ratios(frames[0], 1)
