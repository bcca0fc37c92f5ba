# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a segmenter still recognises in interpolated slices: the form of CaLID's Table II and Figure 6.

Interpolated slices are segmented and compared with the segmentation of the true slice that a person, or the phantom,
drew. "Original" is the same for the true slices themselves: what the segmenter can reach at best. It is trained on
other patients than those it is asked about (B30).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from custom.inferers.segmentation import segment_slices
from custom.metrics.surfaces import class_scores


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
