# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""How well two segmentations agree: overlap, surface distances in mm, and structures that one of them lacks.

Distances are MONAI's, on masks of one structure. What MONAI's metrics make of a structure that one side lacks is not
used: `HausdorffDistanceMetric(percentile=95)` gives nan, which its mean leaves out or turns to 0, a perfect score
(MONAI issue 9095). Here such a case is a miss: Dice 0, no distance, and the summary says how many there were.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.metrics.utils import get_edge_surface_distance

DISTANCES = ("hd", "hd95", "asd", "assd")
"""Fields of :class:`SurfaceScores` in mm."""


@dataclass(frozen=True)
class SurfaceScores:
    """Agreement of one structure in one slice or volume.

    Attributes:
        dice: in [0, 1]; 0 for a miss.
        hd: Hausdorff distance in mm, the largest distance from either surface to the other; None for a miss.
        hd95: the 95th percentile of these instead, the larger of both directions.
        asd: mean distance from the predicted surface to the true one.
        assd: mean over the points of both surfaces.
        missed: the structure is in one of the two only.
    """

    dice: float
    hd: float | None
    hd95: float | None
    asd: float | None
    assd: float | None
    missed: bool


def surface_scores(pred: np.ndarray, truth: np.ndarray, spacing_mm: Sequence[float]) -> SurfaceScores | None:
    """Compare two masks of one structure.

    The surface of a mask is its outermost pixels: those with a neighbour outside it, also at the edge of the image.

    Args:
        pred: predicted mask, `(H, W)` or `(H, W, D)`, bool.
        truth: true mask, of the same shape.
        spacing_mm: of the pixels, along each axis.

    Returns:
        The scores; None where neither has the structure, which is no case to count.

    Raises:
        ValueError: shapes differ, or there is not one spacing for each axis.
    """
    pred, truth = np.asarray(pred, bool), np.asarray(truth, bool)
    if pred.shape != truth.shape or len(spacing_mm) != pred.ndim:
        raise ValueError(f"Masks must share a shape and have a spacing per axis: {pred.shape}, {truth.shape}.")
    if not pred.any() and not truth.any():
        return None
    if not pred.any() or not truth.any():
        return SurfaceScores(0.0, None, None, None, None, True)
    dice = 2 * np.count_nonzero(pred & truth) / (np.count_nonzero(pred) + np.count_nonzero(truth))
    with warnings.catch_warnings():  # MONAI 1.6.1 warns of an argument that it passes itself
        warnings.simplefilter("ignore", FutureWarning)
        _, distances, _ = get_edge_surface_distance(
            torch.from_numpy(pred), torch.from_numpy(truth), spacing=tuple(map(float, spacing_mm)), symmetric=True
        )
    there, back = (distance.double().numpy() for distance in distances)
    return SurfaceScores(
        dice=float(dice),
        hd=float(max(there.max(), back.max())),
        hd95=float(max(np.percentile(there, 95), np.percentile(back, 95))),
        asd=float(there.mean()),
        assd=float(np.concatenate([there, back]).mean()),
        missed=False,
    )


def class_scores(
    pred: np.ndarray, truth: np.ndarray, spacing_mm: Sequence[float], classes: Iterable[int]
) -> dict[int, SurfaceScores | None]:
    """:func:`surface_scores` of each structure of two label images; see there."""
    return {k: surface_scores(pred == k, truth == k, spacing_mm) for k in classes}


def summarise_scores(scores: Iterable[SurfaceScores | None]) -> dict[str, float | int | None]:
    """Means over cases.

    Args:
        scores: of one structure; None, where neither side has it, is not counted.

    Returns:
        "cases", "misses", "miss_rate"; "dice", the mean with a miss as 0; "hd", "hd95", "asd" and "assd" in mm, means
        over the cases that were found, to be read together with the miss rate. None where there is nothing to average.
    """
    counted = [score for score in scores if score is not None]
    found = [score for score in counted if not score.missed]
    misses = len(counted) - len(found)
    summary: dict[str, float | int | None] = {"cases": len(counted), "misses": misses}
    summary["miss_rate"] = misses / len(counted) if counted else None
    summary["dice"] = float(np.mean([score.dice for score in counted])) if counted else None
    for name in DISTANCES:
        summary[name] = float(np.mean([getattr(score, name) for score in found])) if found else None
    return summary
