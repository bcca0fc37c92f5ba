# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What each measure costs in steps (CaLID, Figure 2)."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from custom.evaluation.modality import Modality
from custom.evaluation.summary import Line
from custom.pictures.figures import MARKERS
from custom.pictures.plotting import BAND, panels


def steps_figure(curves: Mapping[str, Mapping[int, Line]], levels: Mapping[str, Line], modality: Modality) -> Figure:
    """Each measure, and the seconds per slice, against the number of steps; methods without steps are level lines.

    Args:
        curves: name -> steps -> summary line.
        levels: name -> summary line.
        modality: which measures; those that are not available are left out.
    """
    measures = {metric.key: (metric.label, metric.scale) for metric in modality.metrics}
    measures |= {"rfid": ("rFID", 1.0)} if modality.has_rfid else {}
    first = next(iter(next(iter(curves.values())).values()))
    measures = {key: value for key, value in measures.items() if first.get(key) is not None}
    measures["seconds"] = (f"Seconds per {modality.image}", 1.0)
    columns = min(3, len(measures))
    rows = -(-len(measures) // columns)
    figure, axes = panels(rows, columns, 3.2 * columns, 2.6 * rows + 0.5)
    for panel, (key, (label, scale)) in zip(axes.flat, measures.items(), strict=False):
        for k, (name, at) in enumerate(curves.items()):
            x, y = list(at), [line[key] * scale for line in at.values()]
            (curve,) = panel.plot(x, y, MARKERS[k % len(MARKERS)], label=name, markersize=4, linewidth=1.3)
            _band(panel, at, key, scale, curve.get_color())
        for k, (name, line) in enumerate(levels.items()):
            style = {"color": "0.35", "linestyle": ("--", ":", "-.")[k % 3], "linewidth": 1.2}
            panel.axhline(line[key] * scale, label=name, **style)
        panel.set_xscale("log", base=2)
        ticks = sorted({steps for at in curves.values() for steps in at})
        panel.set_xticks(ticks, [str(step) for step in ticks])
        panel.minorticks_off()
        if key == "seconds":
            panel.set_yscale("log")
        panel.set_xlabel("steps", fontsize=9)
        panel.set_ylabel(label, fontsize=9)
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.3, linewidth=0.5)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in axes.flat[len(measures) :]:
        panel.set_axis_off()
    handles, labels = axes[0, 0].get_legend_handles_labels()
    title = BAND if axes[0, 0].collections else None
    place = {"loc": "outside lower center", "ncols": 4, "fontsize": 8, "frameon": False}
    figure.legend(handles, labels, title=title, title_fontsize=8, **place)
    return figure


def _band(panel: Axes, at: Mapping[int, Line], key: str, scale: float, colour: str) -> None:
    """The 95 % interval over patients, where there are several."""
    ends = [(line.get(f"{key}_low"), line.get(f"{key}_high")) for line in at.values()]
    if None not in ends[0]:
        low, high = ([end * scale for end in side] for side in zip(*ends, strict=True))
        panel.fill_between(list(at), low, high, color=colour, alpha=0.15, linewidth=0)
