# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The temporal profile of an interpolated slice (CaLID, Figure 7): one row and one column of the image along time."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops

from custom.metrics.temporal import roughness_ratio
from custom.pictures.plotting import label_row, panels, show_frame
from custom.scans.heart_centre import motion_centre

ROUGHNESS = (
    "roughness: mean absolute second difference along the cycle, over that of the truth; "
    "1 moves as evenly as the truth, above flickers, below is smoothed"
)
CUT = "#f0e442"  # yellow, as in the paper
NEAR_MM, ROUND, CAVITY_PIXELS = 50.0, 0.8, 60  # of a cavity: distance of its middle, share of its convex hull, area
PIXEL_MM = 1.5  # typical: crops come without their spacing, and the size of a heart need not be exact here


def temporal_profiles(truth: np.ndarray, methods: Mapping[str, np.ndarray]) -> Figure:
    """Draw a slice that no method was given, as the truth and each method have it move.

    A column per method: its middle phase with the two cuts; the row along time (x-t), the column along time (y-t), time
    downwards over two heart cycles, so that a jump where the cycle closes is seen as well. Under each name the temporal
    roughness over that of the truth (`custom.metrics.temporal.roughness_ratio`).

    Args:
        truth: the true cine slice, `(T, h, w)` in [0, 1].
        methods: name -> the same slice as the method gives it.
    """
    row, column = moving_lines(truth)
    stacks = {"truth": truth, **methods}
    white = float(np.percentile(truth, 99.8)) or 1.0
    phases, (h, w) = len(truth), truth.shape[1:]
    strip = 0.35 * h  # height of a profile, in pixels of the image
    ratios = [h, strip, strip]
    width = 1.7
    size = (width * len(stacks) + 0.9, width * sum(ratios) / w + 0.7)
    figure, axes = panels(3, len(stacks), *size, height_ratios=ratios)
    for k, (name, cine) in enumerate(stacks.items()):
        synthetic = k > 0
        show_frame(axes[0, k], cine[phases // 2], synthetic, vmax=white)
        axes[0, k].axhline(row, color=CUT, linewidth=0.8)
        axes[0, k].axvline(column, color=CUT, linewidth=0.8)
        axes[0, k].set_title(name if not synthetic else f"{name}\nroughness {_ratio(cine, truth):.2f}", fontsize=8)
        for panel, profile in ((axes[1, k], cine[:, row]), (axes[2, k], cine[:, :, column])):
            twice = np.concatenate([profile, profile])
            show_frame(panel, twice, synthetic, vmax=white)
            panel.set_aspect(strip / w * twice.shape[1] / twice.shape[0])
    label_row(axes[0, 0], f"phase {phases // 2} of {phases}", right_of=-0.04)
    label_row(axes[1, 0], f"row {row}, time ↓", right_of=-0.04)
    label_row(axes[2, 0], f"column {column}, time ↓", right_of=-0.04)
    figure.supxlabel(fill(ROUGHNESS, int(15 * size[0])), fontsize=8)
    return figure


def moving_lines(cine: np.ndarray) -> tuple[int, int]:
    """The row and the column of `(T, h, w)` through the left ventricle, as far as it can be told without labels.

    The middle of the largest round and bright region near the middle of what beats; where there is none, the middle of
    what beats; of a still slice, the middle.
    """
    centre = motion_centre([cine[None]], (PIXEL_MM, PIXEL_MM))
    if centre is not None:
        centre = _cavity(cine.mean(axis=0), centre) or centre
    row, column = (round(place) for place in centre or ((n - 1) / 2 for n in cine.shape[1:]))
    return row, column


def _cavity(image: np.ndarray, near: tuple[float, float]) -> tuple[float, float] | None:
    """The middle of the largest round bright region within `NEAR_MM` of a point; the right ventricle is a crescent."""
    rows, columns = np.indices(image.shape)
    disc = np.hypot(rows - near[0], columns - near[1]) < NEAR_MM / PIXEL_MM
    smooth = gaussian_filter(image, 1.0)
    if np.ptp(smooth[disc]) == 0:
        return None
    regions = regionprops(label(disc & (smooth > threshold_otsu(smooth[disc]))))
    round_ones = [region for region in regions if region.solidity > ROUND and region.area > CAVITY_PIXELS]
    if not round_ones:
        return None
    best = max(round_ones, key=lambda region: region.area * region.axis_minor_length / region.axis_major_length)
    return float(best.centroid[0]), float(best.centroid[1])


def _ratio(cine: np.ndarray, truth: np.ndarray) -> float:
    """Of the moving pair of `(T, h, w)`; NaN where there are too few phases to say."""
    if len(truth) < 3:
        return float("nan")
    pair = (torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))[None, None] for x in (cine, truth))
    return float(roughness_ratio(*pair))
