# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Verdicts, the Pareto front and the speed table say what the numbers say."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from custom.evaluation.modality import MODALITIES
from custom.evaluation.scoring import NOT_AVAILABLE, Metric
from custom.evaluation.speed import count_parameters
from custom.interpolators.base import Interpolator
from custom.interpolators.classical import LinearFrames
from custom.pictures.pareto import Point, front, pareto_figure
from custom.pictures.plotting import save
from custom.report.speed import speed_ratio, speed_table
from custom.report.verdict import sentence, verdicts

CMR = MODALITIES["cmr"]


def rows(method, psnr, kind="method", ssim=0.5, lpips=NOT_AVAILABLE):
    """A row per patient and value."""
    common = {
        "method": method,
        "kind": kind,
        "factor": "2",
        "ssim": str(ssim),
        "ssim_legacy": "0.5",
        "detail": "0.5",
        "lpips": lpips,
        "st_lpips": lpips,
    }
    return [{**common, "patient": f"P{k}", "psnr": str(value)} for k, value in enumerate(psnr)]


def psnr_verdict(table):
    return next(v for v in verdicts(table, CMR) if v.metric.key == "psnr")


def test_the_best_is_told_from_what_is_worse_in_every_patient_and_not_from_its_equal():
    rng = np.random.default_rng(0)
    base = 20 + rng.random(12)
    table = rows("Good", base + 1) + rows("Same", base + 1 + 0.2 * rng.standard_normal(12)) + rows("Bad", base)
    verdict = psnr_verdict(table + rows("Codec", base + 9, kind="oracle"))
    assert verdict.best in ("Good", "Same") and verdict.tested and verdict.beaten == ("Bad",)
    assert "Significantly better than Bad (Wilcoxon over 12" in sentence(verdict) and "Not told apart from" in sentence(
        verdict
    )


def test_few_patients_are_not_tested_and_one_decides_nothing():
    few = psnr_verdict(rows("A", [21, 22, 23]) + rows("B", [20, 21, 22]))
    assert not few.tested and few.beaten == ("B",) and "too few for a test" in sentence(few)
    one = psnr_verdict(rows("A", [21]) + rows("B", [20]))
    assert one.patients == 1 and not one.beaten and "One patient" in sentence(one)


def test_holm_asks_more_of_several_comparisons_than_of_one():
    # p = 0.03125 for six patients that all agree: enough for one test, too little for two.
    base = np.arange(6.0)
    assert psnr_verdict(rows("A", base + 1) + rows("B", base)).beaten == ("B",)
    assert psnr_verdict(rows("A", base + 1) + rows("B", base) + rows("C", base - 1)).beaten == ()


def test_lower_is_better_where_it_is():
    table = rows("Near", [20, 20], lpips="0.1") + rows("Far", [21, 21], lpips="0.2")
    best = {v.metric.key: v.best for v in verdicts(table, CMR)}
    assert best["lpips"] == "Near" and best["psnr"] == "Far"
    roughness = Metric("roughness", "", better="one")
    assert roughness.goodness(1.1) > roughness.goodness(0.8) > roughness.goodness(1.3)


def test_the_front_is_what_no_other_beats_in_time_and_quality(tmp_path):
    psnr = Metric("psnr", "PSNR (dB)")
    points = [
        Point(name, seconds, value, value - 1, value + 1, 1.0)
        for name, seconds, value in (("slow", 9, 24), ("fast", 1, 20), ("beaten", 5, 19), ("middle", 3, 22))
    ]
    assert [p.name for p in front(points, psnr)] == ["fast", "middle", "slow"]
    lower = Metric("lpips", "LPIPS", better="lower")
    assert [p.name for p in front(points, lower)] == ["fast", "beaten"]
    figure = pareto_figure({psnr: points}, "slice")
    named = {text.get_text(): text for text in figure.axes[0].texts}
    assert named.keys() == {"slow", "fast", "beaten", "middle"}  # beside the points, not in a legend
    assert {name for name, text in named.items() if text.get_fontweight() == "bold"} == {"fast", "middle", "slow"}
    heights = sorted(text.xyann[1] for text in named.values())
    assert min(np.diff(heights)) >= 0.05 - 1e-9 and "bootstrap" in figure.get_supxlabel()
    save(figure, tmp_path / "pareto.png")
    assert (tmp_path / "pareto.png").stat().st_size > 5000


def speed_row(name, alone, paper):
    row = {"method": name, "inputs": "2", "parameters": 4.5, "steps": 8, "alone": alone, "batched": alone}
    return row | {"alone_equal": alone, "batched_equal": alone, "memory": None, "batch": 4, "paper": paper}


def test_the_ratio_of_speeds_is_at_the_papers_steps():
    text = speed_ratio([speed_row("CaLID", 2.0, 2.0), speed_row("DMCVR", 9.0, 50.0), speed_row("Linear", 0.1, None)])
    assert len(text) == 1 and "DMCVR at 128 steps takes 25.0 times as long as CaLID at 8" in text[0]
    assert speed_ratio([speed_row("DMCVR", 9.0, 50.0)]) == []
    header, body = speed_table([speed_row("CaLID", 0.5, None)], "slice")
    assert len(header) == len(body[0]) and "Seconds per slice, batch of 4" in header and body[0][-1] == "-"


@pytest.mark.parametrize(("size", "count"), [(None, 0), (3, 12)])
def test_parameters_are_counted(size, count):
    method: Interpolator = LinearFrames()
    if size is not None:
        method.layer = nn.Linear(size, size)
    assert count_parameters(method) == count
