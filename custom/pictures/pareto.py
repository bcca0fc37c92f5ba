# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Quality against seconds: which methods no other beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from custom.evaluation.scoring import Metric
from custom.pictures.figures import MARKERS
from custom.pictures.plotting import panels


@dataclass(frozen=True)
class Point:
    """A method: seconds per slice, a measure with its interval (None for one patient), parameters in millions."""

    name: str
    seconds: float
    value: float
    low: float | None
    high: float | None
    parameters: float


def front(points: Sequence[Point], metric: Metric) -> list[Point]:
    """The points that no other is at least as fast and as good as, quickest first."""
    best, kept = -np.inf, []
    for point in sorted(points, key=lambda p: (p.seconds, -metric.goodness(p.value))):
        if metric.goodness(point.value) > best:
            best = metric.goodness(point.value)
            kept.append(point)
    return kept


def pareto_figure(points: dict[Metric, Sequence[Point]], image: str) -> Figure:
    """A panel per measure, seconds on a logarithmic axis, marker area by parameters, the front as a line.

    Args:
        points: measure -> methods.
        image: "slice" or "frame".
    """
    figure, axes = panels(1, len(points), 4.6 * len(points), 4.4)
    for panel, (metric, methods) in zip(axes[0], points.items(), strict=True):
        line = front(methods, metric)
        x, y = [p.seconds for p in line], [p.value * metric.scale for p in line]
        panel.plot(x, y, color="0.6", linewidth=1.2, zorder=1, label="front")
        for k, point in enumerate(methods):
            value = point.value * metric.scale
            if point.low is not None:
                ends = [[value - point.low * metric.scale], [point.high * metric.scale - value]]
                panel.errorbar(point.seconds, value, np.abs(ends), color=_colour(k), linewidth=0.8, alpha=0.5, zorder=2)
            # Marker and colour go round at different paces: no two of many methods share both.
            marker = MARKERS[(k + k // len(MARKERS)) % len(MARKERS)][0]
            size = 25 + 30 * np.sqrt(point.parameters)
            panel.scatter(point.seconds, value, size, marker=marker, color=_colour(k), label=point.name, zorder=3)
        panel.set_xscale("log")
        panel.set_xlabel(f"seconds per {image}, alone", fontsize=9)
        panel.set_ylabel(metric.label, fontsize=9)
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.3, linewidth=0.5)
        panel.spines[["top", "right"]].set_visible(False)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    for handle in legend.legend_handles:
        if hasattr(handle, "set_sizes"):
            handle.set_sizes([30])  # their areas in the panels are their parameters
    return figure


def _colour(place: int) -> tuple[float, ...]:
    """Ten strong colours, then their ten lighter shades."""
    return colormaps["tab20"](2 * (place % 10) + place // 10 % 2)
