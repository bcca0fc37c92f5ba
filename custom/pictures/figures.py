# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The benchmark's figures: frames and error maps as in CardioInterp's Figures 3 and 4, longitudinal cuts, curves.

Slices of cardiac MR are drawn like frames; of a cine slice the middle phase is shown, and its motion in `temporal`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from custom.evaluation.modality import MODALITIES, Modality
from custom.evaluation.records import by_patient
from custom.metrics.statistics import bootstrap_interval
from custom.pictures.plotting import ACQUIRED, BAND, label_axes, label_row, panels, save, show_error, show_frame
from custom.pictures.temporal import temporal_profiles

MARKERS = ["o-", "s--", "D-.", "^-", "v--", "P-.", "*-", "X--", "p-.", "h-"]

#: Rows of a comparison at one factor before it goes on in a further block.
MOST_ROWS = 8

#: True windows `(n, factor + 1, h, w)` that follow one another, and method -> unknown frames `(n, factor - 1, h, w)`.
Example = tuple[np.ndarray, Mapping[str, np.ndarray]]


def draw_benchmark(
    examples: Mapping[int, Example],
    rows: Sequence[Mapping[str, str]],
    folder: Path,
    coordinates: str = "polar",
    modality: Modality = MODALITIES["oct"],
) -> None:
    """Draw every figure of the benchmark into `folder`.

    Args:
        examples: factor -> the same place of one scan, true and as each method gives it, `(n, L, h, w)` or
            `(n, L, T, h, w)`.
        rows: of `metrics.csv`, as text.
        folder: where the PNG files go.
        coordinates: "polar" or "cartesian": names of the axes.
        modality: whose words to use.
    """
    largest = max(examples)
    oracles = {row["method"] for row in rows if row["kind"] == "oracle"}
    examples = {
        factor: (truth, {f"{name} (oracle)" if name in oracles else name: stack for name, stack in stacks.items()})
        for factor, (truth, stacks) in examples.items()
    }
    truth, methods = examples[largest]
    if truth.ndim == 5:
        # The middle of the middle gap: as far from the known slices as it gets.
        window, step = len(truth) // 2, largest // 2
        cines = {name: stack[window, step - 1] for name, stack in methods.items()}
        save(temporal_profiles(truth[window, step], cines), folder / "temporal.png")
        examples = {factor: _middle_phase(example) for factor, example in examples.items()}
    save(comparison(examples, coordinates), folder / "comparison.png")
    save(sequence(examples[largest], coordinates), folder / f"sequence_x{largest}.png")
    for factor, example in examples.items():
        save(longitudinal(example, coordinates, modality), folder / f"longitudinal_x{factor}.png")
        if factor > 2:
            here = [row for row in rows if row["factor"] == str(factor)]
            save(position_curve(here, modality), folder / f"position_x{factor}.png")


def comparison(examples: Mapping[int, Example], coordinates: str) -> Figure:
    """As Figure 3: one row per method; for each factor the middle frame of a gap and its absolute error.

    Many methods at a single factor stand in several blocks side by side.
    """
    factors = sorted(examples)
    names = list(examples[factors[0]][1])
    middle = {f: (len(examples[f][0]) // 2, f // 2) for f in factors}
    truths = {f: examples[f][0][middle[f]] for f in factors}
    frames = {(f, name): examples[f][1][name][middle[f][0], middle[f][1] - 1] for f in factors for name in names}
    errors = {key: abs(frame - truths[key[0]]) for key, frame in frames.items()}
    top = _error_scale(errors.values())

    white = _white(truths.values())
    h, w = truths[factors[0]].shape
    blocks = -(-(1 + len(names)) // MOST_ROWS) if len(factors) == 1 else len(factors)
    rows = -(-(1 + len(names)) // blocks) if len(factors) == 1 else 1 + len(names)
    figure, axes = panels(rows, 2 * blocks, 3.0 * blocks + 1.6, (1.5 * h / w) * rows + 0.6)
    for k, factor in enumerate(factors):
        window, frame = middle[factor]
        for place, name in enumerate(["truth (acquired)", *names]):
            block, row = divmod(place, rows)
            left, right = axes[row, 2 * (k + block)], axes[row, 2 * (k + block) + 1]
            if row == 0:
                left.set_title(f"×{factor}: position {frame}/{factor}", fontsize=9)
                right.set_title("|difference|", fontsize=9)
            if k == 0:
                label_row(left, name)
            if place == 0:
                ends = examples[factor][0][window, [0, -1]]
                show_frame(left, truths[factor], synthetic=False, vmax=white)
                show_error(right, abs(ends[1] - ends[0]), top, note="between the given ends")
            else:
                show_frame(left, frames[factor, name], True, _decibels(errors[factor, name]), white)
                image = show_error(right, errors[factor, name], top)
    for panel in axes[:, 2 * (blocks - 1) :].flat if len(factors) == 1 else ():
        if not panel.get_images():
            panel.set_axis_off()
    label_axes(axes[-1, 0], coordinates)
    figure.colorbar(image, ax=axes, shrink=0.5, aspect=40, label="absolute error (intensities in [0, 1])")
    return figure


def sequence(example: Example, coordinates: str) -> Figure:
    """As Figure 4: the frames of one gap in order, acquired ends included, and their error maps."""
    truth, methods = example[0][len(example[0]) // 2], {n: s[len(s) // 2] for n, s in example[1].items()}
    errors = {name: abs(frames - truth[1:-1]) for name, frames in methods.items()}
    top, white = _error_scale(errors.values()), _white([truth])
    steps, (h, w) = len(truth) - 1, truth.shape[1:]
    rows = 1 + 2 * len(methods)
    figure, axes = panels(rows, steps + 1, 1.25 * (steps + 1) + 1.6, (1.25 * h / w) * rows + 0.6)
    for k in range(steps + 1):
        name = "given" if k in (0, steps) else f"{k}/{steps}"
        axes[0, k].set_title(name, fontsize=9)
        show_frame(axes[0, k], truth[k], synthetic=False, vmax=white)
    label_row(axes[0, 0], "truth (acquired)")
    for row, (name, frames) in enumerate(methods.items()):
        upper, lower = axes[1 + 2 * row], axes[2 + 2 * row]
        for k in (0, steps):
            show_frame(upper[k], truth[k], synthetic=False, vmax=white)
            lower[k].set_axis_off()
        for k in range(1, steps):
            show_frame(upper[k], frames[k - 1], True, _decibels(errors[name][k - 1]), white)
            image = show_error(lower[k], errors[name][k - 1], top)
        label_row(upper[0], name)
        label_row(lower[0], "|error|", right_of=0.9)
    label_axes(axes[-2, 0], coordinates)
    figure.colorbar(image, ax=axes, shrink=0.4, aspect=50, label="absolute error (intensities in [0, 1])")
    return figure


def longitudinal(example: Example, coordinates: str, modality: Modality) -> Figure:
    """One A-line (or image row) along the scan: the acquired frames, and each method between every `factor`-th."""
    truth, methods = example
    factor = truth.shape[1] - 1
    if modality.key == "oct":
        brightness = truth.mean(axis=(0, 1, 3))
        line = int(brightness.argsort()[len(brightness) // 2])  # of median brightness: no shadow, and not hand-picked
    else:
        line = truth.shape[2] // 2  # through the middle of the heart
    white = _white([truth])
    stacks = {"truth (acquired)": _join(truth, truth[:, 1:-1])} | {n: _join(truth, s) for n, s in methods.items()}
    figure, axes = panels(len(stacks), 1, 7.0, 1.35 * len(stacks) + 0.6, sharex=True)
    for row, (name, stack) in enumerate(stacks.items()):
        panel = axes[row, 0]
        panel.imshow(stack[:, line].T, cmap="gray", vmin=0, vmax=white, aspect="auto", interpolation="nearest")
        panel.set_yticks([])
        panel.set_ylabel("depth (px) ↓" if coordinates == "polar" else "x (px) ↓", fontsize=7)
        panel.set_title(name, fontsize=9, loc="left", pad=6)
        known = np.arange(0, len(stack), factor)
        panel.scatter(known, np.full(len(known), -0.5), marker="|", s=40, color=ACQUIRED, clip_on=False, linewidths=1.5)
    axes[0, 0].set_title(
        f"blue ticks: the {modality.image}s given at ×{factor}", fontsize=8, loc="right", pad=6, color=ACQUIRED
    )
    where = "A-line" if coordinates == "polar" else "row"
    axes[-1, 0].set_xlabel(f"{modality.image} ({where} {line} of the crop)", fontsize=8)
    axes[-1, 0].tick_params(labelsize=7)
    return figure


def position_curve(rows: Sequence[Mapping[str, str]], modality: Modality) -> Figure:
    """PSNR and SSIM against the position in the gap, with the 95 % interval over patients where there are several."""
    figure, axes = panels(1, 2, 8.0, 3.4)
    names = list(dict.fromkeys(row["method"] for row in rows if row["kind"] == "method"))
    oracles = list(dict.fromkeys(row["method"] for row in rows if row["kind"] == "oracle"))
    positions = sorted({row["position"] for row in rows}, key=float)
    for panel, metric in zip(axes[0], modality.metrics[:2], strict=True):
        for k, name in enumerate(names):
            mine = [row for row in rows if row["method"] == name]
            x = [float(position) for position in positions]
            at = [by_patient((r for r in mine if r["position"] == position), metric.key) for position in positions]
            mean, low, high = zip(*map(bootstrap_interval, at), strict=True)
            style = {"label": name, "markersize": 4, "linewidth": 1.3}
            (curve,) = panel.plot(x, np.multiply(mean, metric.scale), MARKERS[k % len(MARKERS)], **style)
            if low[0] is not None:
                band = np.multiply(low, metric.scale), np.multiply(high, metric.scale)
                panel.fill_between(x, *band, color=curve.get_color(), alpha=0.15, linewidth=0)
        above = []  # as curves, far above the methods, the oracles would flatten theirs
        for name in oracles:
            interval = bootstrap_interval(by_patient((row for row in rows if row["method"] == name), metric.key))
            above.append(f"above the axis: {name} (oracle) {metric.show(interval.mean)}")
        panel.set_title("\n".join(above), fontsize=7, loc="right")
        panel.set_xticks(x, [f"{k}/{len(positions) + 1}" for k in range(1, len(positions) + 1)])
        panel.set_xlabel("position in the gap", fontsize=9)
        panel.set_ylabel(metric.label, fontsize=9)
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.3, linewidth=0.5)
        panel.spines[["top", "right"]].set_visible(False)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    title = BAND if axes[0, 0].collections else None
    place = {"loc": "outside lower center", "ncols": 3, "fontsize": 8, "frameon": False}
    figure.legend(handles, labels, title=title, title_fontsize=8, **place)
    return figure


def _middle_phase(example: Example) -> Example:
    truth, methods = example
    phase = truth.shape[2] // 2
    return truth[:, :, phase], {name: stack[:, :, phase] for name, stack in methods.items()}


def _join(truth: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Windows that share their end frames as one stack `(n factor + 1, h, w)`."""
    pieces = [np.concatenate([truth[k, :1], unknown[k]]) for k in range(len(truth))]
    return np.concatenate([*pieces, truth[-1, -1:]])


def _error_scale(errors: Iterable[np.ndarray]) -> float:
    """White of the shared error scale: nearly all errors are below it, single specks do not set it."""
    return float(max(np.percentile(error, 99.5) for error in errors)) or 1.0


def _white(frames: Iterable[np.ndarray]) -> float:
    """Intensity shown as white, from true frames and shared by all methods."""
    return float(max(np.percentile(stack, 99.8) for stack in frames)) or 1.0


def _decibels(error: np.ndarray) -> str:
    return f"{-10 * np.log10(max(float((error**2).mean()), 1e-10)):.1f} dB"
