# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A strip along a scan: how far off each synthetic slice is expected to be, and which gaps are doubtful."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from custom.pictures.plotting import ACQUIRED, SYNTHETIC
from custom.scans.provenance import CONFIDENCE_KEYS, read_sidecar

STRIP = 1.3  # inches of its height
DOUBTFUL = "#cc79a7"  # of the same palette as the borders


def confidence_of(path_nii: str | Path) -> dict[str, Any]:
    """What a densified scan's sidecar says of its confidence; empty where it says nothing."""
    said = read_sidecar(path_nii)
    return {key: said[key] for key in CONFIDENCE_KEYS if key in said}


def draw_confidence(
    axes: Axes, confidence: Mapping[str, Any], synthetic: np.ndarray, x: np.ndarray, image: str = "slice"
) -> None:
    """Draw the strip.

    Args:
        axes: where.
        confidence: of the sidecar, see `custom.scans.provenance.CONFIDENCE_KEYS`.
        synthetic: `(n,)`, True where a slice is synthetic.
        x: `(n,)`, places of the slices on the axis.
        image: "slice" or "frame", for the heading.
    """
    known, step = np.flatnonzero(~synthetic), (x[-1] - x[0]) / max(len(x) - 1, 1) or 1.0
    errors = confidence.get("expected_error")
    if errors is not None and len(errors) == len(x):
        heights = 100 * np.array(errors)
        axes.bar(x[synthetic], heights[synthetic], 0.9 * step, color=SYNTHETIC)
        axes.set_ylabel("expected error\n(% of range)", fontsize=7)
        name = f"expected mean error of each synthetic {image}"
    else:
        alike = np.array(confidence["gap_likeness"], dtype=float)
        axes.stairs(alike, x[known], color=SYNTHETIC, linewidth=1.2)
        axes.set_ylim(0, 1)
        axes.set_ylabel("likeness", fontsize=7)
        name = "how alike the two ends of each gap are"
    axes.scatter(x[known], np.zeros(len(known)), marker="|", s=30, color=ACQUIRED, clip_on=False)
    doubtful = [gap for gap in confidence.get("doubtful_gaps", []) if gap + 1 < len(known)]
    for gap in doubtful:
        axes.axvspan(x[known[gap]], x[known[gap + 1]], color=DOUBTFUL, alpha=0.35, linewidth=0)
    told = f"; shaded: {len(doubtful)} doubtful gaps, ends too unlike or displaced" if doubtful else ""
    axes.set_title(f"{name}{told}", fontsize=8, loc="left")
    axes.set_xlim(x[0] - step / 2, x[-1] + step / 2)
    axes.tick_params(labelsize=7)
