# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""One picture of an interpolated pullback: what the demonstration ends with."""

from __future__ import annotations

from pathlib import Path

import fire
import nibabel as nib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from custom.geometry import spacing_from_affine
from custom.pictures.plotting import ACQUIRED, SYNTHETIC, label_axes, one_gap, save, show_frame
from custom.scans.coordinates import polar_to_cartesian
from custom.scans.provenance import read_synthetic_frames
from custom.scans.pullbacks import inspect_pullback


def save_pullback_picture(
    volume: np.ndarray,
    synthetic_mask: np.ndarray,
    path: str | Path,
    *,
    coordinates: str = "polar",
    frame_pitch_mm: float | None = None,
    title: str = "Interpolated pullback",
) -> None:
    """Draw one gap frame by frame, and the whole pullback in a longitudinal cut before and after.

    Args:
        volume: interpolated pullback, `(H, W, frames)`, any real dtype; polar is `(A-lines, depths, frames)`.
        synthetic_mask: `(frames,)`, True where the frame is synthetic.
        path: PNG, PDF or SVG file.
        coordinates: "polar" (frames are shown scan-converted as well) or "cartesian".
        frame_pitch_mm: distance of neighbouring frames of `volume`, for the axis of the cut; frames if None.
        title: heading.
    """
    synthetic_mask = np.asarray(synthetic_mask, dtype=bool)
    if synthetic_mask.shape != volume.shape[-1:]:
        raise ValueError(f"synthetic_mask {synthetic_mask.shape} does not match {volume.shape[-1]} frames.")
    white = float(np.percentile(volume, 99.9)) or 1.0
    known = np.flatnonzero(~synthetic_mask)
    shown = one_gap(known, max((len(known) - 1) // 2, 0))
    frames = volume[..., shown]
    rows = [frames, polar_to_cartesian(frames)] if coordinates == "polar" else [frames]

    width = 9.0
    heights = [width / len(shown) * stack.shape[0] / stack.shape[1] for stack in rows]
    figure = Figure(figsize=(width, sum(heights) + 5.0), layout="constrained")
    figure.suptitle(title, fontsize=11)
    *strips, before, after = figure.subfigures(len(rows) + 2, 1, height_ratios=[*(h + 0.35 for h in heights), 1.9, 2.2])
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
    upper, panel = before.subplots(), after.subplots()
    _draw_cut(upper, cut[:, known], known * pitch, white, "before: acquired frames only", depth_label)
    _draw_cut(panel, cut, np.arange(len(synthetic_mask)) * pitch, white, "after: with synthetic frames", depth_label)
    upper.set_xlim(panel.get_xlim())
    panel.set_xlabel(f"position along the pullback ({unit})", fontsize=8)
    _mark_frames(panel, synthetic_mask, pitch)
    save(figure, Path(path))


def picture_of(volume: str, picture: str) -> None:
    """Draw an interpolated pullback from disk; its sidecar says which frames are synthetic.

    Args:
        volume: what `inference.json` wrote, `<stem>_interp.nii.gz`.
        picture: PNG, PDF or SVG file to write.

    Raises:
        InputError: the volume or its sidecar is missing or unreadable.
    """
    info = inspect_pullback(volume)
    synthetic = read_synthetic_frames(volume, info.shape[2])
    save_pullback_picture(
        np.asarray(nib.load(volume).dataobj),
        synthetic,
        picture,
        coordinates="cartesian" if info.coordinates == "cartesian" else "polar",
        frame_pitch_mm=float(spacing_from_affine(info.affine)[2]),
        title=f"{Path(volume).name}: {(~synthetic).sum()} acquired and {synthetic.sum()} synthetic frames",
    )
    print(f"wrote {picture}")


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


if __name__ == "__main__":
    fire.Fire(picture_of)
