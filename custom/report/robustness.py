# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The robustness table: every sampling and factor, every method, and how far it is from linear interpolation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from custom.evaluation.scenes import Scene

WALL = "error", "jump", "largest_jump"
Cells = Mapping[tuple[str, int, str], Mapping[str, Any]]


def robustness_page(cells: Cells, scenes: Mapping[str, Scene], baseline: str, source: str) -> str:
    """Markdown.

    Args:
        cells: (scene, factor, method) -> `custom.evaluation.robustness.measure`.
        scenes: by name, in order.
        baseline: the method that the others are compared with.
        source: the frames, in words.
    """
    labels = list(dict.fromkeys(label for _, _, label in cells))
    factors = sorted({factor for _, factor, _ in cells})
    real = [name for name, scene in scenes.items() if not scene.phantom]
    phantom = [name for name, scene in scenes.items() if scene.phantom]
    lines = ["# Robustness to sampling", "", f"{source}. Whole frames, consecutive gaps, every unknown frame. "]
    lines[-1] += "PSNR (dB) / SSIM (%), in brackets the difference to " + baseline + "; **bold**: below it."
    for title, suffix in (("Against the acquired frames", ""), ("Against speckle-reduced truth", "_clean")):
        lines += ["", f"## {title}", ""]
        if suffix:
            lines += ["The truth after non-local means (5x5 patches within 13x13 pixels, h 0.8 times its speckle).", ""]
        lines += _table(
            ("Frames", "Factor", *labels), _fidelity_rows(cells, scenes, real, factors, labels, baseline, suffix)
        )
        if phantom:
            lines += [""]
            rows = _fidelity_rows(cells, scenes, phantom, factors, labels, baseline, suffix)
            lines += _table(("Frames", "Factor", *labels), rows)
        if not suffix and real:
            lines += ["", *_verdicts(cells, real, factors, labels, baseline)]
    lines += ["", "## Speckle", ""]
    lines += [
        "Synthetic frames over key frames: contrast / correlation length along depth / across A-lines. 1 is like "
    ]
    lines[-1] += "an acquired frame; the likeliest frame has less contrast."
    lines += ["", *_table(("Frames", "Factor", *labels), _rows(cells, scenes, factors, labels, "speckle", _speckle))]
    walled = {name: scene for name, scene in scenes.items() if cells[name, factors[0], labels[0]]["wall"]}
    if walled:
        lines += ["", "## Wall", ""]
        lines += ["Lumen contour: error / mean jump from frame to frame / largest jump, pixels of depth. Truth: the "]
        lines[-1] += "acquired frames by the same edge method; errors of the phantom are from its labels."
        rows = _rows(cells, walled, factors, labels, "wall", _wall)
        for row, (name, factor) in zip(rows, ((n, f) for n in walled for f in factors), strict=True):
            row.append(
                _wall(
                    {
                        k.removeprefix("true_"): v
                        for k, v in cells[name, factor, labels[0]]["wall"].items()
                        if "true" in k
                    }
                )
            )
        lines += ["", *_table(("Frames", "Factor", *labels, "Truth"), rows)]
    lines += ["", "## Time", "", "Seconds of processor time per synthetic frame, largest factor.", ""]
    last = factors[-1]
    rows = [
        [scene.label, *(f"{cells[n, last, label]['seconds']:.2f}" for label in labels)] for n, scene in scenes.items()
    ]
    return "\n".join([*lines, *_table(("Frames", *labels), rows)]) + "\n"


def _fidelity_rows(
    cells: Cells,
    scenes: Mapping[str, Scene],
    names: Sequence[str],
    factors: Sequence[int],
    labels: Sequence[str],
    baseline: str,
    suffix: str,
) -> list[list[str]]:
    """One row per scene and factor, and their mean."""
    keys = f"psnr{suffix}", f"ssim{suffix}"
    values = {
        (name, factor): {label: [cells[name, factor, label][key] for key in keys] for label in labels}
        for name in names
        for factor in factors
    }
    rows = [[scenes[n].label, f"x{f}", *_compared(row, baseline)] for (n, f), row in values.items()]
    for factor in factors if values else ():
        mean = {label: np.mean([values[name, factor][label] for name in names], axis=0) for label in labels}
        rows.append(["mean", f"x{factor}", *_compared(mean, baseline)])
    if values:
        mean = {label: np.mean([row[label] for row in values.values()], axis=0) for label in labels}
        rows.append(["mean", "all", *_compared(mean, baseline)])
    return rows


def _compared(row: Mapping[str, Sequence[float]], baseline: str) -> list[str]:
    texts = []
    for label, (decibel, similarity) in row.items():
        if label == baseline or baseline not in row:
            texts.append(f"{decibel:.2f} / {100 * similarity:.1f}")
            continue
        more, alike = decibel - row[baseline][0], 100 * (similarity - row[baseline][1])
        parts = f"{decibel:.2f} ({more:+.2f})", f"{100 * similarity:.1f} ({alike:+.1f})"
        texts.append(" / ".join(f"**{p}**" if gain < 0 else p for p, gain in zip(parts, (more, alike), strict=True)))
    return texts


def _verdicts(
    cells: Cells, names: Sequence[str], factors: Sequence[int], labels: Sequence[str], baseline: str
) -> list[str]:
    """One sentence per method: in how many cells it is at or above the baseline, and by how much on average."""
    if baseline not in labels:
        return []
    lines = []
    for label in labels:
        if label == baseline:
            continue
        gains = {
            (n, f): [cells[n, f, label][key] - cells[n, f, baseline][key] for key in ("psnr", "ssim")]
            for n in names
            for f in factors
        }
        above = sum(gain[0] >= 0 for gain in gains.values())
        last = np.mean([100 * gain[1] for (_, f), gain in gains.items() if f == factors[-1]])
        mean = np.mean([gain[0] for gain in gains.values()])
        lines.append(
            f"- {label}: at or above {baseline} in PSNR in {above} of {len(gains)} cells, {mean:+.2f} dB on average, "
            f"SSIM {last:+.1f} points at x{factors[-1]}."
        )
    return lines


def _rows(
    cells: Cells,
    scenes: Mapping[str, Scene],
    factors: Iterable[int],
    labels: Sequence[str],
    part: str,
    show: Callable[[Mapping[str, float | None]], str],
) -> list[list[str]]:
    return [
        [scene.label, f"x{factor}", *(show(cells[name, factor, label][part]) for label in labels)]
        for name, scene in scenes.items()
        for factor in factors
    ]


def _speckle(ratios: Mapping[str, float | None]) -> str:
    return " / ".join("-" if value is None else f"{value:.2f}" for value in ratios.values())


def _wall(pixels: Mapping[str, float]) -> str:
    return " / ".join(f"{pixels[key]:.2f}" for key in WALL)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
