# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Segmented hearts in 3D, methods side by side (the form of CaLID's Figure 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from skimage.measure import marching_cubes

from custom.pictures.plotting import save
from custom.scans.labels import CLASS_NAMES

COLOURS: dict[int, tuple[str, float]] = dict(
    zip(CLASS_NAMES, (("tab:green", 1.0), ("gold", 0.3), ("sienna", 0.8)), strict=True)
)
"""Colour and opacity of LV cavity, myocardium and RV cavity: the paper's colours."""
LIGHT = np.array([0.4, -0.7, 0.6]) / np.linalg.norm([0.4, -0.7, 0.6])


def anatomy_figure(
    volumes: Mapping[str, tuple[np.ndarray, Sequence[float]]],
    path: str | Path,
    elevation: float = 15,
    turn: float = -60,
) -> Path:
    """Draw the surfaces of segmented stacks, all at one scale.

    Args:
        volumes: name -> labels `(N, H, W)`, slices from base to apex or the reverse, and their spacing in mm along
            these axes. A dense stack and the sparse one it was made of may stand beside each other.
        path: of the picture, `.png` or `.svg`.
        elevation: of the viewer above the slices, degrees.
        turn: of the viewer around the long axis, degrees.

    Returns:
        The path.

    Raises:
        ValueError: there is no volume, or one without any structure.
    """
    empty = [name for name, (labels, _) in volumes.items() if not np.isin(labels, list(COLOURS)).any()]
    if empty or not volumes:
        raise ValueError(f"No structure to draw in {', '.join(empty) or 'no volumes'}.")
    boxes = [_box(labels, spacing) for labels, spacing in volumes.values()]
    half = max(float(np.ptp(box, axis=0).max()) for box in boxes) / 2
    figure = Figure(figsize=(3 * len(volumes), 3.4), layout="constrained")
    for k, ((name, (labels, spacing)), box) in enumerate(zip(volumes.items(), boxes, strict=True)):
        axes = figure.add_subplot(1, len(volumes), k + 1, projection="3d", computed_zorder=False)
        for order, structure in enumerate(_inside_out(labels)):
            colour, opacity = COLOURS[structure]
            mesh = _surface(labels == structure, spacing, colour, opacity)
            mesh.set_zorder(order)
            axes.add_collection3d(mesh)
        middle = box.mean(axis=0)
        for axis, centre in zip("xyz", (middle[2], middle[1], middle[0]), strict=True):
            getattr(axes, f"set_{axis}lim")(centre - half, centre + half)
        axes.set_box_aspect((1, 1, 1))
        axes.view_init(elevation, turn)
        axes.set_axis_off()
        axes.set_title(name, fontsize=9)
    save(figure, Path(path))
    return Path(path)


def _inside_out(labels: np.ndarray) -> list[int]:
    """Structures that are there, the LV cavity first: what lies around it is drawn over it, translucent."""
    return [structure for structure in COLOURS if (labels == structure).any()]


def _box(labels: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Least and largest coordinates `(2, 3)` in mm of all structures."""
    places = np.argwhere(np.isin(labels, list(COLOURS))) * np.asarray(spacing, float)
    return np.stack([places.min(0), places.max(0)])


def _surface(mask: np.ndarray, spacing: Sequence[float], colour: str, opacity: float) -> Poly3DCollection:
    """The surface of a mask in mm, x and y in the plane of a slice, z through the slices, shaded by its direction."""
    # A rim of background closes the surface where the structure reaches the first or the last slice.
    vertices, faces, *_ = marching_cubes(np.pad(mask, 1).astype(np.float32), 0.5, spacing=tuple(map(float, spacing)))
    vertices = (vertices - np.asarray(spacing, float))[:, ::-1]
    triangles = vertices[faces]
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(min=1e-9)
    shade = 0.55 + 0.45 * np.abs(normals @ LIGHT)
    colours = np.column_stack([shade[:, None] * to_rgb(colour), np.full(len(shade), opacity)])
    return Poly3DCollection(triangles, facecolors=colours, edgecolors="none")
