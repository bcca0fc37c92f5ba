# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a densified short-axis stack looks like: one picture, and a movie.

python -m custom.pictures.stack --volume X_interp.nii.gz --picture out.png [--movie out.gif] [--phase k]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fire
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from custom.errors import InputError, report_input_errors
from custom.geometry import spacing_from_affine
from custom.pictures.confidence import STRIP, confidence_of, draw_confidence
from custom.pictures.movie import Shot, write_gif
from custom.pictures.planes import Plane, Volume, cut, read_volume
from custom.pictures.plotting import (
    ACQUIRED,
    BORDERS,
    MAX_COLUMNS,
    SYNTHETIC,
    label_row,
    one_gap,
    outlined,
    save,
    show_frame,
)
from custom.pictures.stack_views import acquired_in, ends_of, normalised, upright_planes
from custom.pictures.temporal import CUT, moving_lines
from custom.scans.provenance import read_sidecar, read_synthetic_frames

#: Inches, and pixels per inch of `save`: about a screen and a half at most, whatever the stack.
WIDTH, MOTION = 11.0, 2.1
MAX_GAPS = 2
CUT_MM = 140.0
VIEWS = {"4ch": "long axis", "3ch": "long axis, turned by 120°"}
BLOCKS, LINEAR, DENSE = "acquired slices, as blocks", "acquired, linear between them", "densified"


def save_stack_picture(
    volume: Volume,
    synthetic_mask: np.ndarray,
    path: str | Path,
    *,
    phase: int = 0,
    title: str = "Densified stack",
    confidence: Mapping[str, Any] | None = None,
) -> None:
    """Draw gaps slice by slice, two long-axis cuts before (blocks, linear) and after, and of a cine a slice's motion.

    Args:
        volume: the dense stack, `(X, Y, Z, T)`.
        synthetic_mask: bool, one per slice along `volume.axis`, True where it is synthetic.
        path: PNG, PDF or SVG file.
        phase: of the heart cycle that is shown.
        title: heading.
        confidence: what the sidecar says of it, drawn as a strip along the slices.

    Raises:
        ValueError: the mask does not fit, or there is no such phase.
    """
    mask = np.asarray(synthetic_mask, dtype=bool)
    phases = volume.values.shape[3]
    if mask.shape != (volume.count,) or not 0 <= phase < phases:
        raise ValueError(f"A mask {mask.shape} and phase {phase} do not fit {volume.count} slices in {phases} phases.")
    known = np.flatnonzero(~mask)
    acquired = acquired_in(volume, known)
    planes = upright_planes(acquired)
    slices, black_white = normalised(volume, known, planes)
    rows = _gaps(known)
    h, w = slices.shape[2:]
    montage = len(rows) * (WIDTH / MAX_COLUMNS * h / w + 0.25)
    cuts = _cuts(volume, acquired, planes, phase, black_white)
    length, across = next(iter(cuts.values())).shape
    # The cuts of a long stack give way, so that the picture stays one that is looked at as a whole.
    height = min(len(VIEWS) * (WIDTH / 3 * length / across + 0.25), 6.5)
    parts = {"montage": montage, "cuts": height} | ({"time": MOTION} if phases > 1 else {})
    parts |= {"confidence": STRIP} if confidence else {}
    figure = Figure(figsize=(WIDTH, sum(parts.values()) + 0.7), layout="constrained")
    figure.suptitle(f"{title}\n", fontsize=11)
    figure.text(0.5, 1 - 0.32 / figure.get_figheight(), BORDERS, ha="center", va="top", fontsize=8, color="0.3")
    strips = figure.subfigures(len(parts), 1, height_ratios=list(parts.values()))
    places = dict(zip(parts, np.atleast_1d(strips), strict=True))
    _draw_montage(places["montage"], slices[:, phase], mask, rows)
    _draw_cuts(places["cuts"], cuts, ends_of(acquired))
    if "time" in places:
        gap = one_gap(known, max((len(known) - 1) // 2, 0))
        _draw_motion(places["time"], slices[[gap[0], gap[len(gap) // 2], gap[-1]]], gap, mask)
    if "confidence" in places:
        strip = places["confidence"].subplots()
        draw_confidence(strip, confidence, mask, np.arange(len(mask)))
        strip.set_xlabel("slice", fontsize=7)
    save(figure, Path(path))


def save_stack_movie(volume: Volume, synthetic_mask: np.ndarray, path: str | Path) -> None:
    """A cine beats: an acquired slice, a synthetic one and the long axis. One phase is flown through, slice by slice.

    Args:
        volume: the dense stack, `(X, Y, Z, T)`.
        synthetic_mask: bool, one per slice along `volume.axis`, True where it is synthetic.
        path: GIF file.
    """
    mask = np.asarray(synthetic_mask, dtype=bool)
    known, phases = np.flatnonzero(~mask), volume.values.shape[3]
    acquired = acquired_in(volume, known)
    planes = upright_planes(acquired)
    slices, (low, high) = normalised(volume, known, planes)
    if phases == 1:
        write_gif(([Shot(slices[k, 0], bool(mask[k]), f"slice {k}")] for k in range(len(mask))), path)
        return
    gap = one_gap(known, max((len(known) - 1) // 2, 0))
    chosen = [gap[0], gap[len(gap) // 2]]
    view, name = next(iter(VIEWS.items()))

    def shots(phase: int) -> list[Shot]:
        here = [Shot(slices[k, phase], bool(mask[k]), f"slice {k}, phase {phase}") for k in chosen]
        picture = np.nan_to_num((cut(volume, planes[view], phase, width_mm=CUT_MM) - low) / ((high - low) or 1.0))
        return [*here, Shot(picture, None, f"{name}, densified")]

    write_gif((shots(phase) for phase in range(phases)), path)


def picture_of(volume: str, picture: str | None = None, movie: str | None = None, phase: int = 0) -> None:
    """Draw a densified stack from disk; its sidecar says which slices are synthetic.

    Args:
        volume: what `inference.json` wrote, `<stem>_interp.nii.gz`.
        picture: PNG, PDF or SVG file to write.
        movie: GIF file to write: the beating heart, or of one phase a flight through the slices.
        phase: of the heart cycle that the picture shows.

    Raises:
        InputError: the volume or its sidecar is missing or unreadable, there is no such phase, or nothing to write.
    """
    if picture is None and movie is None:
        raise InputError(volume, "nothing was asked for", "name a file for --picture (.png) or --movie (.gif)")
    # By the sidecar: slices may lie closer together than pixels. read_synthetic_frames tells what is wrong with it.
    dense = read_volume(volume, read_sidecar(volume).get("slice_axis"))
    phases = dense.values.shape[3]
    synthetic = read_synthetic_frames(volume, dense.count)
    if not 0 <= phase < phases:
        raise InputError(volume, f"has no phase {phase}", f"choose --phase from 0 to {phases - 1}")
    if picture is not None:
        spacing = spacing_from_affine(dense.affine)[dense.axis]
        title = f"{Path(volume).name}: {(~synthetic).sum()} acquired and {synthetic.sum()} synthetic slices, "
        title += f"{spacing:.2f} mm apart" + (f", phase {phase} of {phases}" if phases > 1 else "")
        save_stack_picture(dense, synthetic, picture, phase=phase, title=title, confidence=confidence_of(volume))
        print(f"wrote {picture}")
    if movie is not None:
        save_stack_movie(dense, synthetic, movie)
        print(f"wrote {movie}")


def _gaps(known: np.ndarray) -> list[list[int]]:
    """Slices of gaps spread over the stack, a row each; short gaps are followed by the next."""
    gaps = np.unique(np.linspace(0, max(len(known) - 2, 0), MAX_GAPS + 2).round().astype(int)[1:-1])
    if len(known) < 2 or known[1] - known[0] >= MAX_COLUMNS:
        return [one_gap(known, int(gap)) for gap in gaps]
    starts = [min(int(known[gap]), max(known[-1] - MAX_COLUMNS + 1, 0)) for gap in gaps]
    return [list(range(start, min(start + MAX_COLUMNS, known[-1] + 1))) for start in starts]


def _cuts(
    volume: Volume, acquired: Volume, planes: dict[str, Plane], phase: int, black_white: tuple[float, float]
) -> dict[str, np.ndarray]:
    """ "view: what" -> picture in [0, 1], at 1 mm."""
    low, high = black_white
    kinds = {BLOCKS: (acquired, "nearest"), LINEAR: (acquired, "linear"), DENSE: (volume, "linear")}
    cuts = {}
    for view, name in VIEWS.items():
        for label, (stack, through) in kinds.items():
            picture = (cut(stack, planes[view], phase, through, CUT_MM) - low) / ((high - low) or 1.0)
            cuts[f"{name}: {label}"] = np.nan_to_num(picture, nan=0.0)
    return cuts


def _draw_montage(figure: SubFigure, slices: np.ndarray, mask: np.ndarray, rows: list[list[int]]) -> None:
    """Gaps of the stack, a row each, synthetic slices framed."""
    axes = figure.subplots(len(rows), MAX_COLUMNS, squeeze=False)
    for row, shown in zip(axes, rows, strict=True):
        for panel in row[len(shown) :]:
            panel.set_axis_off()
        for panel, index in zip(row, shown, strict=False):
            show_frame(panel, slices[index], bool(mask[index]))
            kind, colour = ("synthetic", SYNTHETIC) if mask[index] else ("acquired", ACQUIRED)
            panel.set_title(f"{kind}, slice {index}", fontsize=7, color=colour)


def _draw_cuts(figure: SubFigure, cuts: dict[str, np.ndarray], ends: Sequence[str]) -> None:
    """A row per plane, before and after, millimetres alike in both directions, both ends named."""
    axes: Sequence[Axes] = figure.subplots(len(VIEWS), 3).flat
    for panel, (name, picture) in zip(axes, cuts.items(), strict=True):
        show_frame(panel, picture)
        panel.set_title(name, fontsize=8)
        for text, place, align in zip(ends, (0.97, 0.03), ("top", "bottom"), strict=True):
            outlined(panel, 0.5, place, text, ha="center", va=align)


def _draw_motion(figure: SubFigure, cines: np.ndarray, gap: list[int], mask: np.ndarray) -> None:
    """A row through the ventricle of three slices `(3, T, H, W)` along time: a synthetic one between two acquired."""
    row, _ = moving_lines(cines[1])
    axes = figure.subplots(1, 4)
    middle = gap[len(gap) // 2]
    show_frame(axes[0], cines[1, 0], bool(mask[middle]))
    axes[0].axhline(row, color=CUT, linewidth=0.8)
    axes[0].set_title(f"slice {middle}, phase 0", fontsize=7)
    for panel, cine, index in zip(axes[1:], cines, (gap[0], middle, gap[-1]), strict=True):
        profile = np.concatenate([cine[:, row], cine[:, row]])
        show_frame(panel, profile, bool(mask[index]))
        panel.set_aspect(profile.shape[1] / profile.shape[0])
        panel.set_title(f"slice {index}: the yellow row, time ↓ (two cycles)", fontsize=7)
    label_row(axes[0], "motion", right_of=-0.05)


def main() -> None:
    """Command line."""
    report_input_errors()
    fire.Fire(picture_of)


if __name__ == "__main__":
    main()
