# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Quality against seconds: which methods no other beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from custom.evaluation.scoring import Metric
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

    Every point is named at the right of its panel, in the order of the values, with a line to it.

    Args:
        points: measure -> methods.
        image: "slice" or "frame".
    """
    most = max(map(len, points.values()))
    figure, axes = panels(1, len(points), 5.4 * len(points), max(4.0, 0.21 * most + 1.2))
    for panel, (metric, methods) in zip(axes[0], points.items(), strict=True):
        line = front(methods, metric)
        x, y = [p.seconds for p in line], [p.value * metric.scale for p in line]
        panel.plot(x, y, color="0.6", linewidth=1.2, zorder=1)
        for k, point in enumerate(methods):
            value = point.value * metric.scale
            if point.low is not None:
                ends = [[value - point.low * metric.scale], [point.high * metric.scale - value]]
                panel.errorbar(point.seconds, value, np.abs(ends), color=_colour(k), linewidth=0.8, alpha=0.5, zorder=2)
            size = 25 + 30 * np.sqrt(point.parameters)
            panel.scatter(point.seconds, value, size, color=_colour(k), edgecolors="white", linewidths=0.6, zorder=3)
        panel.set_xscale("log")
        panel.set_xlabel(f"seconds per {image}, alone", fontsize=9)
        panel.set_ylabel(metric.label, fontsize=9)
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.3, linewidth=0.5)
        panel.spines[["top", "right"]].set_visible(False)
        _name(panel, metric, methods, {point.name for point in line})
    interval = next(iter(points.values()))[0].low is not None
    note = "grey line, bold names: no other method beats these in both; area: parameters"
    figure.supxlabel(note + ("; bars: 95 % bootstrap interval over patients" if interval else ""), fontsize=8)
    return figure


def _name(panel: Axes, metric: Metric, methods: Sequence[Point], best: set[str]) -> None:
    """Names in a column beside the panel, the highest value first, none over another."""
    low, high = panel.get_ylim()
    order = sorted(range(len(methods)), key=lambda k: methods[k].value)
    heights = _spread([(methods[k].value * metric.scale - low) / (high - low) for k in order])
    for k, height in zip(order, heights, strict=True):
        point = methods[k]
        panel.annotate(
            point.name, (point.seconds, point.value * metric.scale), xycoords="data", xytext=(1.04, height),
            textcoords="axes fraction", fontsize=8, va="center", color=_colour(k),
            fontweight="bold" if point.name in best else "normal", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": _colour(k), "linewidth": 0.5, "alpha": 0.6, "shrinkB": 4},
        )  # fmt: skip


def _spread(wanted: Sequence[float]) -> list[float]:
    """Heights as near to those wanted, ascending, as a least distance allows; fractions of the panel."""
    distance = min(0.05, 1 / max(len(wanted), 1))
    heights = list(wanted)
    for k in range(1, len(heights)):
        heights[k] = max(heights[k], heights[k - 1] + distance)
    top = 1.0
    for k in reversed(range(len(heights))):
        heights[k] = min(heights[k], top)
        top = heights[k] - distance
    return heights


def _colour(place: int) -> tuple[float, ...]:
    """Ten strong colours, then the same darker."""
    strong = np.array(to_rgb(f"C{place % 10}"))
    return tuple(strong * (0.85 if place < 10 else 0.55))
