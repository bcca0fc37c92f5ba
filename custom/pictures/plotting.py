# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The hand that all figures share: panels, frames' borders, labels, saving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke

from custom.files import atomic

ACQUIRED, SYNTHETIC = "#0072b2", "#d55e00"  # Okabe-Ito: distinguishable with any colour vision
BORDERS = "solid blue border: acquired; dashed orange border: synthetic, not a measurement"
BAND = "bands: 95 % bootstrap interval over patients"
DPI = 160
TALLEST, NARROWEST = 2 * 1080 / DPI, 6.0
"""Inches: two screens, and what a row of text needs."""
ERROR_MAP = "inferno"
MAX_COLUMNS = 7  # frames in a row of a picture
AXIS_NAMES = {"polar": ("A-line", "depth (px)"), "cartesian": ("y (px)", "x (px)"), "unknown": ("row", "column")}
_OUTLINE = [withStroke(linewidth=2, foreground="black")]


def panels(rows: int, columns: int, width: float, height: float, **gridspec: object) -> tuple[Figure, np.ndarray]:
    """A figure with `rows` x `columns` bare axes, and those axes. No global state: safe in any thread.

    One of many rows becomes smaller, as a whole, so that it is looked at as one: `TALLEST`.
    """
    shrunk = min(1.0, TALLEST / height)
    figure = Figure(figsize=(max(width * shrunk, min(width, NARROWEST)), height * shrunk), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.04, h_pad=0.04, wspace=0, hspace=0)
    return figure, figure.subplots(rows, columns, squeeze=False, **gridspec)


def show_frame(axes: Axes, frame: np.ndarray, synthetic: bool | None = None, note: str = "", vmax: float = 1.0) -> None:
    """A gray frame `(h, w)`.

    Args:
        axes: where.
        frame: intensities, 0 is black and `vmax` white.
        synthetic: True draws the dashed border of synthetic frames, False the solid one of acquired frames.
        note: text in the upper left corner.
        vmax: intensity of white.
    """
    axes.imshow(frame, cmap="gray", vmin=0, vmax=vmax, interpolation="nearest", aspect="equal")
    _bare(axes)
    if synthetic is not None:
        for spine in axes.spines.values():
            spine.set(visible=True, color=SYNTHETIC if synthetic else ACQUIRED, linewidth=1.8)
            spine.set_linestyle((0, (3, 1.5)) if synthetic else "solid")
    _note(axes, note)


def show_error(axes: Axes, error: np.ndarray, vmax: float, note: str = "") -> AxesImage:
    """An absolute error map `(h, w)`; returns the mappable for the shared colour bar."""
    image = axes.imshow(error, cmap=ERROR_MAP, vmin=0, vmax=vmax, interpolation="nearest", aspect="equal")
    _bare(axes)
    _note(axes, note)
    return image


def _note(axes: Axes, note: str) -> None:
    outlined(axes, 0.04, 0.95, note, va="top")


def outlined(axes: Axes, x: float, y: float, text: str, **aligned: str) -> None:
    """White text on a picture, readable on bright tissue too; `x` and `y` are fractions of the panel."""
    axes.text(x, y, text, transform=axes.transAxes, fontsize=7, color="w", path_effects=_OUTLINE, **aligned)


def label_axes(axes: Axes, coordinates: str) -> None:
    """Name the two directions of one frame; one panel of a grid carries the names for all."""
    rows, columns = AXIS_NAMES[coordinates]
    axes.annotate(f"{columns} →", (0, 0), xycoords="axes fraction", xytext=(0, -3), textcoords="offset points",
                  va="top", fontsize=7)  # fmt: skip
    axes.annotate(f"← {rows}", (0, 0), xycoords="axes fraction", xytext=(-3, 0), textcoords="offset points",
                  ha="right", va="bottom", rotation=90, fontsize=7)  # fmt: skip


def label_row(axes: Axes, name: str, right_of: float = -0.14) -> None:
    """Name a row of panels at its left."""
    axes.text(right_of, 0.5, _wrap(name), transform=axes.transAxes, ha="right", va="center", fontsize=8)


def _wrap(name: str, width: int = 13) -> str:
    lines = [""]
    for word in name.split():
        if lines[-1] and len(lines[-1]) + len(word) + 1 > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def one_gap(known: np.ndarray, gap: int) -> list[int]:
    """Frames of one gap with both its acquired ends, at most `MAX_COLUMNS`; of a long gap an even selection.

    Args:
        known: indices of the acquired frames, ascending.
        gap: which; the last acquired frame begins a gap of its own only.
    """
    frames = np.arange(known[gap], known[min(gap + 1, len(known) - 1)] + 1)
    return [int(k) for k in np.unique(np.linspace(frames[0], frames[-1], min(len(frames), MAX_COLUMNS)).round())]


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def save(figure: Figure, path: Path) -> None:
    """Write the figure, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=DPI, format=path.suffix[1:])
