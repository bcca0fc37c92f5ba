# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""From a pullback as exported to the product's convention: gray `(H, W, frames)`, polar or Cartesian, spacing in mm."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_dilation

from custom.errors import InputError
from custom.importers.oct.display import (
    coloured_overlay,
    estimate_colour_map,
    fill_overlay,
    static_overlay,
    undo_colour_map,
)
from custom.importers.oct.sources import SourcePullback
from custom.scans.coordinates import GEOMETRIES, cartesian_to_polar, polar_to_cartesian

DEFAULT_NUM_ALINES = 497
DEFAULT_FRAME_PITCH_MM = 0.2
MIN_DARK_CORNERS = 0.9
COLOUR_MAP_FRAMES = 4

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ConversionOptions:
    """How pullbacks are converted; `data_scripts/prepare_oct.py` explains each to its users.

    Raises:
        InputError: an unknown layout, target or geometry.
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

    def __post_init__(self) -> None:
        choices = {
            "layout": ("auto", "cartesian", "polar"),
            "to": ("polar", "cartesian", "keep"),
            "geometry": (*GEOMETRIES, "none"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"--{name}", f"is {getattr(self, name)}", f"choose from {', '.join(allowed)}")


@dataclass(frozen=True)
class ConvertedPullback:
    """A pullback in the product's convention.

    Args:
        frames: gray `(H, W, F)`.
        spacing_mm: along the axes; 1.0 for A-lines.
        coordinates: "polar" or "cartesian".
        overlay: mask of the pixels that were filled, on the source's frame.
    """

    frames: np.ndarray
    spacing_mm: tuple[float, float, float]
    coordinates: str
    overlay: np.ndarray


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
    frames, marks = _to_gray(path, source)
    for given in (overlay, source.overlay):
        if given is not None:
            marks = marks | given
    layout = _layout_of(options.layout, source, frames)
    if layout == "polar" and options.transpose:
        frames, marks = np.ascontiguousarray(frames.swapaxes(0, 1)), marks.T
    if layout == "cartesian" and frames.shape[0] != frames.shape[1]:
        fault = f"has Cartesian frames {frames.shape[:2]} that are not square"
        raise InputError(path, fault, "crop them to the scan disc, or give --layout polar")
    if options.fill_overlay:
        if layout == "cartesian":
            marks = marks | static_overlay(frames)
        marks = binary_dilation(marks)  # scaling and JPEG smear the marks
        frames = fill_overlay(frames, marks)
    else:
        marks = np.zeros_like(marks)
    return ConvertedPullback(*_to_coordinates(path, frames, layout, source, options), marks)


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


def _layout_of(layout: str, source: SourcePullback, frames: np.ndarray) -> str:
    """Layout as asked for, as stated by the source, or by the dark corners around the disc of a Cartesian frame."""
    if layout != "auto":
        return layout
    if source.layout or frames.shape[0] != frames.shape[1]:
        return source.layout or "polar"
    offset = np.arange(frames.shape[0]) - (frames.shape[0] - 1) / 2
    corners = frames[np.hypot(offset[:, None], offset) > frames.shape[0] / 2 + 1]
    dark = corners <= frames.min() + 0.02 * (float(frames.max()) - float(frames.min()))
    return "cartesian" if dark.mean() > MIN_DARK_CORNERS else "polar"


def _to_coordinates(
    path: Path, frames: np.ndarray, layout: str, source: SourcePullback, options: ConversionOptions
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
    if options.depth_spacing_mm:
        spacing = options.depth_spacing_mm
    elif source.pixel_spacing_mm or geometry:
        depth = source.pixel_spacing_mm and source.pixel_spacing_mm * pixels_on_radius
        depth = depth or geometry.num_depths * geometry.depth_spacing_mm
        spacing = depth / (frames.shape[1] / (1 if coordinates == "polar" else 2))
    else:
        logger.warning("%s: states no pixel spacing, 1 mm is written; give --depth_spacing_mm or --geometry", path)
        spacing = 1.0
    pitches = (options.frame_pitch_mm, source.frame_pitch_mm, geometry and geometry.frame_pitch_mm)
    pitch = next((value for value in pitches if value), None)
    if pitch is None:
        pitch = DEFAULT_FRAME_PITCH_MM
        logger.warning("%s: no frame pitch is stated, %g mm is assumed; --frame_pitch_mm sets it", path, pitch)
    return frames, (1.0 if coordinates == "polar" else spacing, spacing, pitch), coordinates
