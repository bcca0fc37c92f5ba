# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What an interpolated pullback looks like: one picture, and a flight through it.

python -m custom.pictures.pullback --volume X_interp.nii.gz --picture out.png [--movie out.gif]
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fire
import nibabel as nib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from custom.errors import InputError, report_input_errors
from custom.geometry import spacing_from_affine
from custom.pictures.confidence import STRIP, confidence_of, draw_confidence
from custom.pictures.movie import Shot, thinned, write_gif
from custom.pictures.plotting import ACQUIRED, BORDERS, SYNTHETIC, label_axes, one_gap, save, show_frame
from custom.scans.coordinates import polar_to_cartesian
from custom.scans.provenance import read_synthetic_frames
from custom.scans.pullbacks import inspect_pullback

CUT_WIDTH, CUT_HEIGHT = 480, 120  # pixels of the longitudinal cut in a movie


def save_pullback_picture(
    volume: np.ndarray,
    synthetic_mask: np.ndarray,
    path: str | Path,
    *,
    coordinates: str = "polar",
    frame_pitch_mm: float | None = None,
    title: str = "Interpolated pullback",
    confidence: Mapping[str, Any] | None = None,
) -> None:
    """Draw one gap frame by frame, and the pullback in longitudinal cuts before (blocks, linear) and after.

    Args:
        volume: interpolated pullback, `(H, W, frames)`, any real dtype; polar is `(A-lines, depths, frames)`.
        synthetic_mask: `(frames,)`, True where the frame is synthetic.
        path: PNG, PDF or SVG file.
        coordinates: "polar" (frames are shown scan-converted as well) or "cartesian".
        frame_pitch_mm: distance of neighbouring frames of `volume`, for the axis of the cut; frames if None.
        title: heading.
        confidence: what the sidecar says of it, drawn as a strip below the cut.
    """
    synthetic_mask = _checked(synthetic_mask, volume)
    white = _white(volume)
    known = np.flatnonzero(~synthetic_mask)
    shown = one_gap(known, max((len(known) - 1) // 2, 0))
    frames = volume[..., shown]
    rows = [frames, polar_to_cartesian(frames)] if coordinates == "polar" else [frames]

    width = 11.0
    heights = [width / len(shown) * stack.shape[0] / stack.shape[1] for stack in rows]
    cuts = [1.6, 1.6, 2.0, *([STRIP] if confidence else [])]
    figure = Figure(figsize=(width, sum(heights) + sum(cuts) + 1.4), layout="constrained")
    figure.suptitle(f"{title}\n", fontsize=11)
    figure.text(0.5, 1 - 0.32 / figure.get_figheight(), BORDERS, ha="center", va="top", fontsize=8, color="0.3")
    places = figure.subfigures(len(rows) + len(cuts), 1, height_ratios=[*(h + 0.35 for h in heights), *cuts])
    strips, (before, between, after) = places[: len(rows)], places[len(rows) :][:3]
    for strip, stack, view in zip(strips, rows, (coordinates, "cartesian"), strict=False):
        axes = strip.subplots(1, len(shown), squeeze=False)[0]
        for k, index in enumerate(shown):
            synthetic = bool(synthetic_mask[index])
            show_frame(axes[k], stack[..., k], synthetic, vmax=white)
            kind, colour = ("synthetic", SYNTHETIC) if synthetic else ("acquired", ACQUIRED)
            axes[k].set_title(f"{kind}\nframe {index}", fontsize=7, color=colour)
        label_axes(axes[0], view)
    cut, depth_label = _longitudinal_cut(volume, coordinates)
    pitch, unit = (frame_pitch_mm, "mm") if frame_pitch_mm else (1.0, "frame")
    upper, middle, panel = before.subplots(), between.subplots(), after.subplots()
    x = np.arange(len(synthetic_mask)) * pitch
    _draw_cut(upper, cut[:, known], known * pitch, white, "before: acquired frames, as blocks", depth_label)
    _draw_cut(middle, _linear(cut, known), x, white, "before: acquired frames, linear between them", depth_label)
    _draw_cut(panel, cut, x, white, "after: with synthetic frames", depth_label)
    for other in (upper, middle):
        other.set_xlim(panel.get_xlim())
    panel.set_xlabel(f"position along the pullback ({unit})", fontsize=8)
    _mark_frames(panel, synthetic_mask, pitch)
    if confidence:
        draw_confidence(places[-1].subplots(), confidence, synthetic_mask, x, "frame")
    save(figure, Path(path))


def save_pullback_movie(
    volume: np.ndarray, synthetic_mask: np.ndarray, path: str | Path, *, coordinates: str = "polar"
) -> None:
    """Fly through a pullback: frame by frame, and where in the longitudinal cut each lies.

    Args:
        volume: as for `save_pullback_picture`; polar frames are shown scan-converted.
        synthetic_mask: likewise.
        path: GIF file.
        coordinates: "polar" or "cartesian".
    """
    mask, white = _checked(synthetic_mask, volume), _white(volume)
    cut = np.clip(_longitudinal_cut(volume, coordinates)[0] / white, 0, 1)

    def shots(k: int) -> list[Shot]:
        frame = volume[..., k : k + 1]
        frame = polar_to_cartesian(frame) if coordinates == "polar" else frame
        along = Image.fromarray((cut * 255).astype(np.uint8)).resize((CUT_WIDTH, CUT_HEIGHT))
        cursor = (k + 0.5) / len(mask) * CUT_WIDTH - 0.5
        beside = Shot(np.asarray(along) / 255, None, "along the pullback", cursor, CUT_HEIGHT)
        return [Shot(frame[..., 0] / white, bool(mask[k]), f"frame {k} of {len(mask)}"), beside]

    write_gif((shots(k) for k in thinned(len(mask))), path, stacked=True)


def picture_of(volume: str, picture: str | None = None, movie: str | None = None) -> None:
    """Draw an interpolated pullback from disk; its sidecar says which frames are synthetic.

    Args:
        volume: what `inference.json` wrote, `<stem>_interp.nii.gz`.
        picture: PNG, PDF or SVG file to write.
        movie: GIF file to write, a flight through the pullback.

    Raises:
        InputError: the volume or its sidecar is missing or unreadable, or nothing was asked for.
    """
    if picture is None and movie is None:
        raise InputError(volume, "nothing was asked for", "name a file for --picture (.png) or --movie (.gif)")
    info = inspect_pullback(volume)
    synthetic = read_synthetic_frames(volume, info.shape[2])
    values, coordinates = np.asarray(nib.load(volume).dataobj), "polar"
    if info.coordinates == "cartesian":
        coordinates = "cartesian"
    if picture is not None:
        title = f"{Path(volume).name}: {(~synthetic).sum()} acquired and {synthetic.sum()} synthetic frames"
        pitch = float(spacing_from_affine(info.affine)[2])
        shown = {
            "coordinates": coordinates,
            "frame_pitch_mm": pitch,
            "title": title,
            "confidence": confidence_of(volume),
        }
        save_pullback_picture(values, synthetic, picture, **shown)
        print(f"wrote {picture}")
    if movie is not None:
        save_pullback_movie(values, synthetic, movie, coordinates=coordinates)
        print(f"wrote {movie}")


def _checked(synthetic_mask: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """The mask as booleans, one per frame."""
    mask = np.asarray(synthetic_mask, dtype=bool)
    if mask.shape != volume.shape[-1:]:
        raise ValueError(f"synthetic_mask {mask.shape} does not match {volume.shape[-1]} frames.")
    return mask


def _white(volume: np.ndarray) -> float:
    """Intensity that is shown as white; single specks do not set it."""
    return float(np.percentile(volume, 99.9)) or 1.0


def _linear(cut: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The cut `(depth, frames)` that linear interpolation between the acquired frames makes."""
    return np.stack([np.interp(np.arange(cut.shape[1]), known, row[known]) for row in cut])


def _longitudinal_cut(volume: np.ndarray, coordinates: str) -> tuple[np.ndarray, str]:
    """A plane through the catheter: two opposite A-lines, or the middle row of Cartesian frames: `(depth, frames)`."""
    if coordinates != "polar":
        return volume[volume.shape[0] // 2], "x (px)"
    half = volume.shape[0] // 2
    brightness = volume.mean(axis=(1, 2))
    line = int((brightness[:half] + brightness[half : 2 * half]).argsort()[half // 2])  # neither shadow nor glare
    opposite = line + half
    return np.concatenate([volume[opposite, ::-1], volume[line]]), "depth (px), opposite A-lines"


def _draw_cut(panel: Axes, cut: np.ndarray, x: np.ndarray, white: float, name: str, depth_label: str) -> None:
    """Each frame is a column around its position: nothing is smoothed by the drawing."""
    step = (x[-1] - x[0]) / max(len(x) - 1, 1) or 1.0
    half = cut.shape[0] / 2
    extent = (x[0] - step / 2, x[-1] + step / 2, half, -half)
    panel.imshow(cut, cmap="gray", vmin=0, vmax=white, aspect="auto", interpolation="nearest", extent=extent)
    panel.set_title(name, fontsize=9, loc="left", pad=6)
    panel.set_ylabel(depth_label, fontsize=7)
    panel.tick_params(labelsize=7)


def _mark_frames(panel: Axes, synthetic_mask: np.ndarray, pitch: float) -> None:
    """A strip of ticks along the top of the cut: which columns are acquired, which synthetic."""
    positions = np.arange(len(synthetic_mask)) * pitch
    top = panel.get_ylim()[1]
    for flag, colour, name in ((False, ACQUIRED, "acquired"), (True, SYNTHETIC, "synthetic")):
        x = positions[synthetic_mask == flag]
        panel.scatter(x, np.full(len(x), top), marker="|", s=36, color=colour, label=name, clip_on=False, linewidths=1)
    panel.legend(loc="lower right", bbox_to_anchor=(1, 1.02), ncols=2, fontsize=7, frameon=False, borderaxespad=0)


def main() -> None:
    """Command line."""
    report_input_errors()
    fire.Fire(picture_of)


if __name__ == "__main__":
    main()
