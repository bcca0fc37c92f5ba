# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""One picture of a densified short-axis stack: what the demonstration ends with.

python -m custom.pictures.stack --volume X_interp.nii.gz --picture out.png [--phase k]
"""

from __future__ import annotations

import json
from pathlib import Path

import fire
import numpy as np
from matplotlib.figure import Figure, SubFigure

from custom.errors import InputError
from custom.geometry import spacing_from_affine
from custom.pictures.planes import Plane, Volume, cut, long_axis_planes, read_volume
from custom.pictures.plotting import ACQUIRED, SYNTHETIC, label_row, one_gap, save, show_frame
from custom.pictures.temporal import CUT
from custom.scans.provenance import read_synthetic_frames, sidecar_path

MAX_GAPS = 3
FIELD_MM = 170.0  # of the slices shown: the heart and what is near it
VIEWS = {"4ch": "long axis", "3ch": "long axis, turned by 120°"}


def save_stack_picture(
    volume: Volume, synthetic_mask: np.ndarray, path: str | Path, *, phase: int = 0, title: str = "Densified stack"
) -> None:
    """Draw gaps slice by slice, two long-axis cuts before and after, and of a cine a slice's motion.

    Args:
        volume: the dense stack, `(X, Y, Z, T)`.
        synthetic_mask: bool, one per slice along `volume.axis`, True where it is synthetic.
        path: PNG, PDF or SVG file.
        phase: of the heart cycle that is shown.
        title: heading.

    Raises:
        ValueError: the mask does not fit, or there is no such phase.
    """
    mask = np.asarray(synthetic_mask, dtype=bool)
    count, phases = volume.values.shape[volume.axis], volume.values.shape[3]
    if mask.shape != (count,) or not 0 <= phase < phases:
        raise ValueError(f"A mask {mask.shape} and phase {phase} do not fit {count} slices in {phases} phases.")
    known = np.flatnonzero(~mask)
    acquired = _acquired(volume, known)
    planes = long_axis_planes(acquired)
    slices = _around(volume, next(iter(planes.values())).centre)
    low, high = (float(v) for v in np.percentile(slices[known], (0.5, 98)))
    slices = (slices - low) / ((high - low) or 1.0)
    gaps = np.unique(np.linspace(0, max(len(known) - 2, 0), MAX_GAPS + 2).round().astype(int)[1:-1])
    rows = [one_gap(known, int(gap)) for gap in gaps]
    h, w = slices.shape[2:]
    panel = 9.0 / max(map(len, rows))
    montage = len(rows) * (panel * h / w + 0.28)
    cuts = _cuts(volume, acquired, planes, phase, (low, high))
    length, across = next(iter(cuts.values())).shape
    parts = {"montage": montage, "cuts": 2 * (4.5 * length / across + 0.3)}
    if phases > 1:
        parts["time"] = 2.4
    figure = Figure(figsize=(9.0, sum(parts.values()) + 0.5), layout="constrained")
    figure.suptitle(title, fontsize=11)
    strips = figure.subfigures(len(parts), 1, height_ratios=list(parts.values()))
    places = dict(zip(parts, strips, strict=True))
    _draw_montage(places["montage"], slices[:, phase], mask, rows)
    _draw_cuts(places["cuts"], cuts)
    if "time" in places:
        gap = rows[len(rows) // 2]
        _draw_motion(places["time"], slices[[gap[0], gap[len(gap) // 2], gap[-1]]], gap, mask)
    save(figure, Path(path))


def picture_of(volume: str, picture: str, phase: int = 0) -> None:
    """Draw a densified stack from disk; its sidecar says which slices are synthetic.

    Args:
        volume: what `inference.json` wrote, `<stem>_interp.nii.gz`.
        picture: PNG, PDF or SVG file to write.
        phase: of the heart cycle that is shown.

    Raises:
        InputError: the volume or its sidecar is missing or unreadable, or there is no such phase.
    """
    dense = read_volume(volume, _slice_axis(volume))
    count, phases = dense.values.shape[dense.axis], dense.values.shape[3]
    synthetic = read_synthetic_frames(volume, count)
    if not 0 <= phase < phases:
        raise InputError(volume, f"has no phase {phase}", f"choose --phase from 0 to {phases - 1}")
    spacing = spacing_from_affine(dense.affine)[dense.axis]
    title = f"{Path(volume).name}: {(~synthetic).sum()} acquired and {synthetic.sum()} synthetic slices, "
    title += f"{spacing:.2f} mm apart" + (f", phase {phase} of {phases}" if phases > 1 else "")
    save_stack_picture(dense, synthetic, picture, phase=phase, title=title)
    print(f"wrote {picture}")


def _slice_axis(volume: str) -> int | None:
    """Of a densified stack, whose slices may lie closer together than its pixels; None if the sidecar does not say."""
    try:
        return json.loads(sidecar_path(volume).read_text()).get("slice_axis")
    except (OSError, ValueError, AttributeError):
        return None  # read_synthetic_frames tells what is wrong with the sidecar


def _acquired(volume: Volume, known: np.ndarray) -> Volume:
    """The stack that was densified. Its slices are evenly spaced, as those of our inference are."""
    affine = volume.affine.copy()
    affine[:3, 3] += known[0] * affine[:3, volume.axis]
    affine[:3, volume.axis] *= known[1] - known[0] if len(known) > 1 else 1
    return Volume(np.take(volume.values, known, axis=volume.axis), affine, volume.axis)


def _around(volume: Volume, centre: np.ndarray) -> np.ndarray:
    """Slices `(N, T, h, w)`, only what lies within `FIELD_MM` / 2 of a point in mm."""
    window, spacing = [slice(None)] * 4, spacing_from_affine(volume.affine)
    middle = volume.voxels(centre[None])[0]
    for axis in (axis for axis in range(3) if axis != volume.axis):
        half, length = FIELD_MM / 2 / spacing[axis], volume.values.shape[axis]
        start = round(min(max(middle[axis] - half, 0), max(length - 2 * half, 0)))
        window[axis] = slice(start, round(min(start + 2 * half, length)))
    return np.moveaxis(volume.values[tuple(window)], (volume.axis, 3), (0, 1))


def _cuts(
    volume: Volume, acquired: Volume, planes: dict[str, Plane], phase: int, value_range: tuple[float, float]
) -> dict[str, np.ndarray]:
    """ "view: acquired" and "view: densified" -> picture in [0, 1], at 1 mm."""
    low, high = value_range
    cuts = {}
    for view, name in VIEWS.items():
        for label, stack, through in (("acquired slices", acquired, "nearest"), ("densified", volume, "linear")):
            picture = (cut(stack, planes[view], phase, through) - low) / ((high - low) or 1.0)
            cuts[f"{name}: {label}"] = np.nan_to_num(picture, nan=0.0)
    return cuts


def _draw_montage(figure: SubFigure, slices: np.ndarray, mask: np.ndarray, rows: list[list[int]]) -> None:
    """Gaps of the stack, a row each, synthetic slices framed."""
    axes = figure.subplots(len(rows), max(map(len, rows)), squeeze=False)
    for row, shown in zip(axes, rows, strict=True):
        for panel in row[len(shown) :]:
            panel.set_axis_off()
        for panel, index in zip(row, shown, strict=False):
            show_frame(panel, slices[index], bool(mask[index]))
            kind, colour = ("synthetic", SYNTHETIC) if mask[index] else ("acquired", ACQUIRED)
            panel.set_title(f"{kind}, slice {index}", fontsize=7, color=colour)


def _draw_cuts(figure: SubFigure, cuts: dict[str, np.ndarray]) -> None:
    """A row per plane, acquired beside densified, millimetres alike in both directions."""
    axes = figure.subplots(len(VIEWS), 2)
    for panel, (name, picture) in zip(axes.flat, cuts.items(), strict=True):
        show_frame(panel, picture)
        panel.set_title(name, fontsize=8)


def _draw_motion(figure: SubFigure, cines: np.ndarray, gap: list[int], mask: np.ndarray) -> None:
    """One row of three slices `(3, T, H, W)` along time, two cycles: a synthetic one between two acquired."""
    row = cines.shape[2] // 2  # the slices are cut out around the heart
    axes = figure.subplots(1, 4)
    middle = gap[len(gap) // 2]
    show_frame(axes[0], cines[1, 0], bool(mask[middle]))
    axes[0].axhline(row, color=CUT, linewidth=0.8)
    axes[0].set_title(f"slice {middle}, phase 0", fontsize=7)
    for panel, cine, index in zip(axes[1:], cines, (gap[0], middle, gap[-1]), strict=True):
        profile = np.concatenate([cine[:, row], cine[:, row]])
        show_frame(panel, profile, bool(mask[index]))
        panel.set_aspect(profile.shape[1] / profile.shape[0])
        panel.set_title(f"slice {index}: row {row}, time ↓ (two cycles)", fontsize=7)
    label_row(axes[0], "motion", right_of=-0.05)


def main() -> None:
    """Command line."""
    try:
        fire.Fire(picture_of)
    except InputError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
