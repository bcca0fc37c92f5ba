# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a segmenter still recognises in interpolated slices: the form of CaLID's Table II and Figure 6.

Interpolated slices are segmented and compared with the segmentation of the true slice that a person, or the phantom,
drew. "Original" is the same for the true slices themselves: what the segmenter can reach at best. It is trained on
other patients than those it is asked about (B30).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import nn

from custom.inferers.segmentation import segment_slices
from custom.metrics.statistics import bootstrap_interval
from custom.metrics.surfaces import class_scores
from custom.papers.values import CALID_TABLE_2
from custom.scans.labels import CLASS_NAMES

REGIONS: dict[int, str] = dict(zip(CLASS_NAMES, ("LVC", "LVM", "RVC"), strict=True))
"""Structures as CaLID's Table II calls them."""
MEASURES: dict[str, str] = {
    "dice": "Dice ↑",
    "asd": "ASD ↓ (mm)",
    "hd": "HD ↓ (mm)",
    "assd": "ASSD ↓ (mm)",
    "missed": "Missed ↓ (%)",
}
THEIRS = "paper (UK Biobank, unit of distances not stated)"


def score_anatomy(
    segmenter: nn.Module,
    predictions: torch.Tensor,
    truth_labels: torch.Tensor,
    pixel_mm: Sequence[float],
    classes: Sequence[int],
    batch_size: int = 16,
) -> list[dict[str, Any]]:
    """Segment slices and compare with their true labels.

    Args:
        segmenter: in evaluation mode, `(B, 1, h, w)` to class scores.
        predictions: `(N, 1, h, w)` in [0, 1].
        truth_labels: `(N, 1, h, w)`.
        pixel_mm: in-plane spacing of each slice.
        classes: structures that the true labels know.
        batch_size: slices at a time.

    Returns:
        A row for each slice and structure that one of the two has: "slice" (its index), "class" and the fields of
        `custom.metrics.surfaces.SurfaceScores`.

    Raises:
        ValueError: numbers of slices, labels and spacings differ.
    """
    if not len(predictions) == len(truth_labels) == len(pixel_mm):
        raise ValueError(f"{len(predictions)} slices, {len(truth_labels)} labels and {len(pixel_mm)} pixel spacings.")
    device = next(segmenter.parameters()).device
    segmented = segment_slices(segmenter, predictions.float(), batch_size, device)
    truths = truth_labels[:, 0].cpu().numpy()
    rows = []
    for index, (pred, truth, pixel) in enumerate(zip(segmented, truths, pixel_mm, strict=True)):
        for structure, scores in class_scores(pred, truth, (pixel, pixel), classes).items():
            if scores is not None:
                rows.append({"slice": index, "class": structure, **asdict(scores)})
    return rows


def anatomy_rows(
    segmenter: nn.Module,
    method: str,
    frames: torch.Tensor,
    labels: torch.Tensor,
    pixel_mm: Sequence[float],
    identities: Sequence[Mapping[str, Any]],
    classes: Sequence[int],
) -> list[dict[str, Any]]:
    """:func:`score_anatomy` of a method's slices, with what tells them apart.

    Args:
        segmenter: see there.
        method: name of the method; "Original" for the true slices.
        frames: `(N, 1, h, w)` in [0, 1].
        labels: `(N, 1, h, w)`.
        pixel_mm: of each slice.
        identities: of each slice, "patient" among them.
        classes: structures that the labels know.

    Returns:
        Rows with "method", the identity's entries, "class" and the scores.
    """
    rows = score_anatomy(segmenter, frames, labels, pixel_mm, classes)
    return [{"method": method, **identities[row.pop("slice")], **row} for row in rows]


def anatomy_table(rows: Sequence[Mapping[str, Any]], digits: int = 3) -> tuple[list[str], list[list[str]]]:
    """Table II: regions and measures down, methods across, the paper's columns last and marked as theirs.

    Means are over patients, of the means over their slices. Dice counts a miss as 0; distances are of what was found,
    so they are read together with the share that was missed.

    Args:
        rows: of :func:`anatomy_rows`, of all methods.
        digits: decimals shown.

    Returns:
        Header and rows of text; a dash where there is nothing to average.
    """
    cells: dict[tuple[str, int], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        cells[row["method"], int(row["class"])].append(row)
    methods = list(dict.fromkeys(row["method"] for row in rows))
    regions = {k: name for k, name in REGIONS.items() if any((method, k) in cells for method in methods)}
    theirs = list(CALID_TABLE_2["Mean"]["dice"])
    header = ["Region", "Measure", *methods, *(f"{name}, {THEIRS}" for name in theirs)]
    body = []
    for region in ["Mean", *regions.values()]:
        of_region = regions if region == "Mean" else {k: name for k, name in regions.items() if name == region}
        for measure, label in MEASURES.items():
            means = [[_mean(cells[method, k], measure) for k in of_region] for method in methods]
            ours = ["-" if None in values or not values else f"{np.mean(values):.{digits}f}" for values in means]
            printed = CALID_TABLE_2[region].get(measure, {})
            body.append([region, label, *ours, *(f"{printed[n]:.3f}" if n in printed else "-" for n in theirs)])
    for k, name in regions.items():
        counts = [len(cells[method, k]) for method in methods]
        patients = [len({row["patient"] for row in cells[method, k]}) for method in methods]
        numbers = [f"{n} ({p} patients)" for n, p in zip(counts, patients, strict=True)]
        body.append([name, "Slices", *numbers, *("-" for _ in theirs)])
    return header, body


def _mean(rows: Sequence[Mapping[str, Any]], measure: str) -> float | None:
    """Mean over patients of one structure; of "missed" in percent."""
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row[measure] is not None:
            values[str(row["patient"])].append(100.0 * row[measure] if measure == "missed" else float(row[measure]))
    return bootstrap_interval(values).mean if values else None
