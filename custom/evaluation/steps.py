# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What each measure costs in steps (CaLID, Figure 2): one network, sampled in more and more steps."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch.utils.data import Dataset

from custom.evaluation.modality import Modality
from custom.evaluation.protocol import InterpolationBenchmark
from custom.evaluation.scoring import NOT_AVAILABLE
from custom.files import atomic
from custom.interpolators.base import Interpolator
from custom.pictures.figures import MARKERS
from custom.pictures.plotting import panels, save
from custom.report.tables import Line


class StepsSweep(InterpolationBenchmark):
    """The benchmark of methods at several numbers of steps: writes `steps.csv` and `figures/steps.png` besides.

    Finished cells are kept, as in every benchmark, so more steps can be added later.

    Args:
        windows: factor -> test windows, as for the benchmark; one factor (2 in the paper).
        methods: name -> {number of steps -> the method sampled in so many}, such as "CaLID" and "CaLID+" at 1, 2, 4, 8,
            16, 64 and 128. Rows of the tables are named "CaLID, 8 steps".
        output_dir: folder of the results.
        baselines: name -> methods without steps: level lines in the figure. One of them named `baseline` is what the
            paired differences are with.
        options: further arguments of `InterpolationBenchmark`.

    Raises:
        ValueError: several factors, or what the benchmark says.
    """

    def __init__(
        self,
        windows: Mapping[int | str, Dataset],
        methods: Mapping[str, Mapping[int | str, Interpolator]],
        output_dir: str | Path,
        baselines: Mapping[str, Interpolator] | None = None,
        **options: Any,
    ) -> None:
        if len(windows) != 1:
            raise ValueError(f"A sweep over steps is at one factor, got windows of {len(windows)}.")
        self.rows = {f"{name}, {steps} steps": (name, int(steps)) for name, at in methods.items() for steps in at}
        self.levels = list(baselines or {})
        flat = {f"{name}, {steps} steps": method for name, at in methods.items() for steps, method in at.items()}
        options = {"modality": "cmr", "coordinates": "cartesian"} | options
        super().__init__(windows, dict(baselines or {}) | flat, output_dir, **options)

    def _draw(self, rows: list[dict[str, str]]) -> None:
        super()._draw(rows)
        by_row = {line["method"]: line for line in self.summary}
        curves: dict[str, dict[int, Line]] = {}
        for row, (name, steps) in sorted(self.rows.items(), key=lambda entry: entry[1]):
            curves.setdefault(name, {})[steps] = by_row[row]
        levels = {name: by_row[name] for name in self.levels}
        _write(self.output_dir / "steps.csv", curves, levels, self.modality)
        save(steps_figure(curves, levels, self.modality), self.output_dir / "figures" / "steps.png")


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
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def _band(panel: Axes, at: Mapping[int, Line], key: str, scale: float, colour: str) -> None:
    """The 95 % interval over patients, where there are several."""
    ends = [(line.get(f"{key}_low"), line.get(f"{key}_high")) for line in at.values()]
    if None not in ends[0]:
        low, high = ([end * scale for end in side] for side in zip(*ends, strict=True))
        panel.fill_between(list(at), low, high, color=colour, alpha=0.15, linewidth=0)


def _write(
    path: Path, curves: Mapping[str, Mapping[int, Line]], levels: Mapping[str, Line], modality: Modality
) -> None:
    """`steps.csv`: one line per method and number of steps; methods without steps have none."""
    keys = [f"{metric.key}{end}" for metric in modality.metrics for end in ("", "_low", "_high")]
    keys += (["rfid", "rfid_images"] if modality.has_rfid else []) + ["seconds", "patients", "images"]
    table: Sequence[tuple[str, int | str, Line]] = [
        *((name, steps, line) for name, at in curves.items() for steps, line in at.items()),
        *((name, "", line) for name, line in levels.items()),
    ]
    with atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "steps", *keys])
        for name, steps, line in table:
            writer.writerow([name, steps, *(_text(line.get(key)) for key in keys)])


def _text(value: float | int | None) -> str:
    if value is None:
        return NOT_AVAILABLE
    return f"{value:.6g}" if isinstance(value, float) else str(value)
