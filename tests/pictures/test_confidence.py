# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The strip that says how far to trust the slices."""

from __future__ import annotations

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from custom.pictures.confidence import confidence_of, draw_confidence

SYNTHETIC = np.array([False, True, False, True, False])


@pytest.mark.parametrize("with_errors", [True, False])
def test_errors_or_likeness_are_drawn_and_doubtful_gaps_shaded(tmp_path, with_errors):
    said = {"gap_likeness": [0.9, 0.3], "doubtful_gaps": [1], "bundle": "motion"}
    said |= {"expected_error": [0, 0.02, 0, 0.07, 0]} if with_errors else {}
    (tmp_path / "P1_interp.json").write_text(json.dumps(said))
    confidence = confidence_of(tmp_path / "P1_interp.nii.gz")
    assert "bundle" not in confidence
    axes = Figure().subplots()
    draw_confidence(axes, confidence, SYNTHETIC, 0.5 * np.arange(5))
    title = axes.get_title(loc="left")
    assert "1 doubtful gap" in title and title.startswith("expected" if with_errors else "how alike")
    bars = [bar for bar in axes.patches if getattr(bar, "get_height", None) and round(bar.get_height(), 6) in (2, 7)]
    assert len(bars) == (2 if with_errors else 0)


def test_a_sidecar_that_says_nothing_draws_nothing(tmp_path):
    assert confidence_of(tmp_path / "absent.nii.gz") == {}
