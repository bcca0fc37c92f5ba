# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from custom.scans.tissue import tissue_mask, tissue_range

RANGE = (0.5, 99.5)


def disc(background, dtype=np.int16, size=60):
    """Tissue of 200 to 1000 in a disc, a constant around it."""
    values = np.random.default_rng(0).integers(200, 1000, (size, size, 4)).astype(dtype)
    x, y = np.indices((size, size)) - size / 2
    values[np.hypot(x, y) > size / 2 - 1] = background
    return values


@pytest.mark.parametrize("background", [-1, -1024, -2000, -8192, -32768, 32767])
def test_a_constant_far_from_tissue_does_not_count(background):
    low, high = tissue_range(disc(background), RANGE)
    assert 200 <= low < 210 and 990 < high < 1000


def test_nan_infinity_and_stated_padding_do_not_count():
    for value in (np.nan, np.inf, -np.inf):
        assert tissue_range(disc(value, np.float32), RANGE)[0] >= 200
    values = disc(195)  # nobody could tell this one without the header
    assert tissue_range(values, RANGE)[0] == 195 and tissue_range(values, RANGE, (195, 195))[0] >= 200
    assert not tissue_mask(values, (195, 195))[0, 0].any()


def test_two_backgrounds_are_both_left_out():
    values = disc(-1024)
    values[:3] = -32768
    assert tissue_range(values, RANGE)[0] >= 200


def test_an_ordinary_background_counts():
    assert tissue_mask(disc(0)) is None and tissue_range(disc(0), RANGE)[0] == 0
    assert tissue_mask(np.random.default_rng(0).normal(0, 50, (40, 40, 5))) is None
    # Values that an offset lifts: the background is as far below as it is for negative ones.
    assert tissue_range(disc(0).astype(np.int32) + 9000 * (disc(0) > 0), RANGE)[0] > 9000


def test_nothing_left_is_told():
    for values in (np.full((4, 4, 4), np.nan), np.zeros((4, 4, 4), np.int16), np.full((3, 3), -1024.0)):
        with pytest.raises(ValueError, match="no tissue|constant"):
            tissue_range(values, RANGE)
    # Two values only: a mask or an almost empty scan, whose extremes are the range.
    values = np.zeros((40, 40, 4), np.int16)
    values[20, 20, 2] = 7
    assert tissue_range(values, RANGE) == (0, 7)


@pytest.mark.parametrize("inner", [-1024, -2000])
def test_backgrounds_that_are_near_each_other_are_both_left_out(inner):
    values = disc(inner)
    values[:6] = -2048
    low, high = tissue_range(values, RANGE)
    assert 200 <= low < 210 and 990 < high < 1000
    # A few negative values that noise has are no backgrounds.
    noise = np.random.default_rng(0).integers(-3, 40, (60, 60, 4)).astype(np.int16)
    assert tissue_mask(noise) is None
