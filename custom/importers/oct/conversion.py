# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""From a pullback as exported to the product's convention: gray `(H, W, frames)`, polar or Cartesian, spacing in mm."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path

import numpy as np

from custom.errors import InputError
from custom.importers.notes import Doubt
from custom.importers.oct.display import coloured_overlay, estimate_colour_map, undo_colour_map
from custom.importers.oct.layout import find_layout, parse_crop
from custom.importers.oct.marks import fill_marks, too_few_frames
from custom.importers.oct.source import SourcePullback
from custom.scans.coordinates import GEOMETRIES, cartesian_to_polar, polar_to_cartesian

DEFAULT_NUM_ALINES = 497
DEFAULT_FRAME_PITCH_MM = 0.2
COLOUR_MAP_FRAMES = 4
RADIUS_MM = (0.5, 20.0)
"""Of the disc that intravascular OCT shows; others are told."""


@dataclass(frozen=True)
class ConversionOptions:
    """How pullbacks are converted; `data_scripts/prepare_oct.py` explains each to its users.

    Raises:
        InputError: an unknown layout, target or geometry; a size that is no number above 0.
    """

    layout: str = "auto"
    to: str = "polar"
    geometry: str = "none"
    num_alines: int | None = None
    num_depths: int | None = None
    frame_pitch_mm: float | None = None
    depth_spacing_mm: float | None = None
    transpose: bool = False
    fill_overlay: bool = True
    crop: str | None = None

    def __post_init__(self) -> None:
        parse_crop(self.crop)
        choices = {
            "layout": ("auto", "cartesian", "polar"),
            "to": ("polar", "cartesian", "keep"),
            "geometry": (*GEOMETRIES, "none"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"--{name}", f"is {getattr(self, name)}", f"choose from {', '.join(allowed)}")
        for name in ("num_alines", "num_depths", "frame_pitch_mm", "depth_spacing_mm"):
            value = getattr(self, name)
            kind, what = (Integral, "a whole number") if name.startswith("num") else (Real, "a number")
            if value is not None and not (type(value) is not bool and isinstance(value, kind) and 0 < value < np.inf):
                raise InputError(f"--{name}", f"is {value}", f"give {what} above 0")


@dataclass(frozen=True)
class ConvertedPullback:
    """A pullback in the product's convention.

    Args:
        frames: gray `(H, W, F)`.
        spacing_mm: along the axes; 1.0 for A-lines.
        coordinates: "polar" or "cartesian".
        overlay: mask of the pixels that were filled in all frames, on the part of the source's frame that counts.
        labels: frame to pixels that were filled in it besides.
        window: (top, bottom, left, right) of that part; None for the whole frame.
        notes: what was guessed and why, `Doubt`s where it may be wrong.
    """

    frames: np.ndarray
    spacing_mm: tuple[float, float, float]
    coordinates: str
    overlay: np.ndarray
    labels: dict[int, int]
    window: tuple[int, int, int, int] | None
    notes: tuple[str, ...]


def convert(
    path: Path, source: SourcePullback, options: ConversionOptions, overlay: np.ndarray | None = None
) -> ConvertedPullback:
    """Undo the colour map, fill burnt-in marks, change the coordinates.

    Args:
        path: where `source` comes from, for messages.
        source: the pullback as exported.
        options: see :class:`ConversionOptions`.
        overlay: mask `(H, W)` of marks, besides those the source brings and those found.

    Raises:
        InputError: colours that are no map from dark to bright; Cartesian frames that are not square.
    """
    notes: list[str] = list(source.notes)
    notes += [] if options.depth_spacing_mm else source.spacing_notes
    notes += [] if options.frame_pitch_mm else source.pitch_notes
    frames, marks = _to_gray(path, source)
    is_given = overlay is not None or source.overlay is not None
    for given in (overlay, source.overlay):
        if given is not None:
            marks = marks | given
    window = parse_crop(options.crop)
    frames, marks = _cropped(path, frames, window), _cropped(path, marks, window)
    layout = find_layout(frames, source.layout, options.layout, options.transpose)
    notes += [layout.note] if layout.note else []
    frames, marks = _cropped(path, frames, layout.window), _cropped(path, marks, layout.window)
    if layout.name == "polar" and options.transpose:
        frames, marks = np.ascontiguousarray(frames.swapaxes(0, 1)), marks.T
    if layout.name == "cartesian" and frames.shape[0] != frames.shape[1]:
        fault = f"has Cartesian frames {frames.shape[:2]} that are not square"
        raise InputError(
            path, fault, "crop them to the scan disc with --crop top:bottom,left:right, or say --layout polar"
        )
    labels: dict[int, int] = {}
    if options.fill_overlay:
        is_display = layout.name == "cartesian"
        if is_display and not is_given and too_few_frames(frames):
            told = "in so few frames, gray marks that stand still are not told from anatomy and stay"
            notes.append(Doubt(f"{told}; --overlay_mask fills them"))
        frames, marks, labels = fill_marks(frames, marks, is_display)
        if labels:
            told = ", ".join(f"{k} ({count} pixels)" for k, count in list(labels.items())[:5])
            told += f" and {len(labels) - 5} more" if len(labels) > 5 else ""
            notes.append(Doubt(f"white labels are filled in frame {told}; --nofill_overlay keeps all marks"))
    else:
        marks = np.zeros_like(marks)
    frames, spacing, coordinates = _to_coordinates(frames, layout.name, source, options, notes)
    return ConvertedPullback(
        frames, spacing, coordinates, marks, labels, _both(window, layout.window), tuple(dict.fromkeys(notes))
    )


def _cropped(path: Path, frames: np.ndarray, window: tuple[int, int, int, int] | None) -> np.ndarray:
    """Frames `(H, W[, F])` cut to a window."""
    if window is None:
        return frames
    top, bottom, left, right = window
    if bottom > frames.shape[0] or right > frames.shape[1]:
        fault = f"has frames {frames.shape[:2]}, --crop asks for {bottom} rows and {right} columns"
        raise InputError(path, fault, "choose a window inside the frame")
    return np.ascontiguousarray(frames[top:bottom, left:right])


def _both(
    outer: tuple[int, int, int, int] | None, inner: tuple[int, int, int, int] | None
) -> tuple[int, int, int, int] | None:
    """A window in a window, on the frame that the first lies in."""
    if outer is None or inner is None:
        return outer or inner
    top, _, left, _ = outer
    return top + inner[0], top + inner[1], left + inner[2], left + inner[3]


def _to_gray(path: Path, source: SourcePullback) -> tuple[np.ndarray, np.ndarray]:
    """Gray frames `(H, W, F)` and the mask of coloured marks `(H, W)`."""
    frames, marks = source.frames, np.zeros(source.frames.shape[1:3], bool)
    if frames.ndim == 3:
        gray = frames.astype(np.float32) if frames.dtype.kind == "f" else frames
        return np.ascontiguousarray(gray.transpose(1, 2, 0)), marks
    if not np.ptp(frames, axis=3).any():
        return np.ascontiguousarray(frames[..., 0].transpose(1, 2, 0)), marks
    picked = np.linspace(0, len(frames) - 1, min(len(frames), COLOUR_MAP_FRAMES)).round().astype(int)
    try:
        colours = estimate_colour_map(frames[picked])
    except ValueError as error:
        raise InputError(path, str(error), "export the pullback in gray") from error
    gray = np.stack([undo_colour_map(frame) for frame in frames], axis=-1)
    return gray, coloured_overlay(frames, colours)


def _to_coordinates(
    frames: np.ndarray, layout: str, source: SourcePullback, options: ConversionOptions, notes: list[str]
) -> tuple[np.ndarray, tuple[float, float, float], str]:
    """Frames in the coordinates asked for, their spacing, and which coordinates these are."""
    geometry = GEOMETRIES.get(options.geometry)
    coordinates = layout if options.to == "keep" else options.to
    pixels_on_radius = frames.shape[1] / (1 if layout == "polar" else 2)
    if (layout, coordinates) == ("cartesian", "polar"):
        num_alines = options.num_alines or (geometry.num_alines if geometry else DEFAULT_NUM_ALINES)
        # Not the geometry's number of depths: an export holds no more than its pixels, which the shipped weights know.
        frames = cartesian_to_polar(frames, num_alines, options.num_depths)
    elif (layout, coordinates) == ("polar", "cartesian"):
        frames = polar_to_cartesian(frames)
    is_known = bool(options.depth_spacing_mm or source.pixel_spacing_mm or geometry)
    if options.depth_spacing_mm:
        spacing = options.depth_spacing_mm
    elif source.pixel_spacing_mm or geometry:
        depth = source.pixel_spacing_mm and source.pixel_spacing_mm * pixels_on_radius
        depth = depth or geometry.num_depths * geometry.depth_spacing_mm
        spacing = depth / (frames.shape[1] / (1 if coordinates == "polar" else 2))
    else:
        notes.append(Doubt("states no pixel spacing, 1 mm is written; give --depth_spacing_mm or --geometry"))
        spacing = 1.0
    radius = spacing * frames.shape[1] / (1 if coordinates == "polar" else 2)
    if is_known and not RADIUS_MM[0] <= radius <= RADIUS_MM[1]:
        told = f"a pixel of {spacing:.4g} mm makes a disc of {radius:.3g} mm radius, which is no vessel's"
        notes.append(Doubt(f"{told}; --depth_spacing_mm sets it"))
    pitches = (options.frame_pitch_mm, source.frame_pitch_mm, geometry and geometry.frame_pitch_mm)
    pitch = next((value for value in pitches if value), None)
    if pitch is None:
        pitch = DEFAULT_FRAME_PITCH_MM
        notes.append(Doubt(f"no frame pitch is stated, {pitch:g} mm is assumed; --frame_pitch_mm sets it"))
    elif pitch == (geometry and geometry.frame_pitch_mm) and not (options.frame_pitch_mm or source.frame_pitch_mm):
        notes.append(f"frame pitch {pitch:g} mm, by --geometry {options.geometry}; --frame_pitch_mm sets it")
    return frames, (1.0 if coordinates == "polar" else spacing, spacing, pitch), coordinates
