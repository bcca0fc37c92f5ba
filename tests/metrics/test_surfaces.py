# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from monai.metrics import HausdorffDistanceMetric

from custom.metrics.surfaces import class_scores, summarise_scores, surface_scores


def disc(radius_mm, spacing, shape=(80, 64), centre=(40, 32)):
    """Pixels of an ellipsoid's grid that lie within `radius_mm` of the centre (pixels)."""
    grid = np.meshgrid(*map(np.arange, shape), indexing="ij")
    squares = [((g - c) * s) ** 2 for g, c, s in zip(grid, centre, spacing, strict=True)]
    return sum(squares) <= radius_mm**2


@pytest.mark.parametrize("spacing", [(0.5, 1.0), (1.0, 1.0)])
def test_concentric_discs(spacing):
    small, large = disc(12, spacing), disc(15, spacing)
    scores = surface_scores(small, large, spacing)
    assert scores.dice == pytest.approx(2 * 12**2 / (12**2 + 15**2), abs=0.02)
    pixel = math.hypot(*spacing)
    for value in (scores.hd, scores.hd95, scores.asd, scores.assd):
        assert value == pytest.approx(3, abs=pixel)
    assert not scores.missed and scores.hd >= scores.hd95 >= scores.assd


def test_shifted_spheres_with_thick_slices():
    spacing, shape = (1.5, 1.5, 8.0), (48, 48, 14)
    truth = disc(30, spacing, shape, (24, 24, 6))
    along, across = disc(30, spacing, shape, (24, 24, 7)), disc(30, spacing, shape, (26, 24, 6))
    # One slice further is 8 mm at the poles, two pixels further 3 mm on the sides.
    assert surface_scores(along, truth, spacing).hd == pytest.approx(8, abs=1.5)
    assert surface_scores(across, truth, spacing).hd == pytest.approx(3, abs=1e-6)
    assert surface_scores(across, truth, (1, 1, 1)).hd == pytest.approx(2)
    assert surface_scores(truth, truth, spacing).assd == 0


def test_asd_looks_from_the_prediction_and_assd_from_both():
    truth = np.zeros((40, 40), bool)
    truth[5:9, 5:9] = True
    pred = truth.copy()
    truth[30:34, 30:34] = True  # a part that the prediction lacks
    scores = surface_scores(pred, truth, (1, 1))
    assert scores.asd == 0 and scores.assd > 5 and scores.hd > 20
    assert surface_scores(truth, pred, (1, 1)).asd == pytest.approx(scores.assd * 36 / 24)  # points of the surfaces


@pytest.mark.parametrize("swap", [False, True])
def test_a_structure_that_one_side_lacks_is_a_miss_and_no_distance(swap):
    pair = np.zeros((16, 16), bool), disc(4, (1, 1), (16, 16), (8, 8))
    scores = surface_scores(*(pair[::-1] if swap else pair), (1.0, 1.0))
    assert scores.missed and scores.dice == 0
    assert scores.hd is scores.hd95 is scores.asd is scores.assd is None
    assert surface_scores(pair[0], pair[0], (1, 1)) is None


def test_misses_do_not_improve_the_summary_as_in_monai_9095():
    truth = disc(6, (1, 1), (32, 32), (16, 16))
    pred = np.roll(truth, 4, axis=0)
    found, missed = surface_scores(pred, truth, (1, 1)), surface_scores(np.zeros_like(truth), truth, (1, 1))
    summary = summarise_scores([found, missed, None, missed, None])
    assert (summary["cases"], summary["misses"]) == (3, 2)
    assert summary["miss_rate"] == pytest.approx(2 / 3) and summary["dice"] == pytest.approx(found.dice / 3)
    assert summary["hd95"] == found.hd95 == pytest.approx(4)
    # The trap: MONAI's own metric forgets the misses, and a set of nothing but misses is perfect.
    metric = HausdorffDistanceMetric(include_background=True, percentile=95)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric(torch.zeros(1, 1, 32, 32), torch.from_numpy(truth)[None, None].float())
    assert metric.aggregate().item() == 0
    alone = summarise_scores([missed])
    assert alone["hd95"] is None and alone["miss_rate"] == 1 and alone["dice"] == 0


def test_classes_and_bad_input():
    truth = np.zeros((12, 12), np.uint8)
    truth[2:6, 2:6], truth[7:10, 7:10] = 1, 2
    scores = class_scores(np.where(truth == 2, 0, truth), truth, (1, 1), (1, 2, 3))
    assert scores[1].dice == 1 and scores[2].missed and scores[3] is None
    with pytest.raises(ValueError, match="spacing per axis"):
        surface_scores(truth == 1, truth == 1, (1, 1, 1))
    assert summarise_scores([None])["dice"] is None
