# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Whether the two acquired frames of a gap show the same tissue: the best that any interpolation can start from.

Found by matching blocks, not by a network: the same number for every method, also for those without weights, and no
network judges itself. How it goes with the error of real frames is measured by `benchmarks/trust.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

CELLS = 96
"""Cells along the shorter edge of a frame: fine enough for a wall, coarse enough that speckle and noise are averaged.
A number of cells and not of millimetres, so that the sampling of a frame makes no difference. Cells of polar frames
have two pixels at least, or small frames would be compared by their speckle."""
BLOCK = 8
"""Cells along a block's edge."""
REACH = 6
"""Cells, in either direction, in which a block's counterpart is looked for: a sixteenth of the frame."""
FLAT = 0.005
"""Of the intensity range, per cell: structure below it is noise, and counts little."""


class Likeness(NamedTuple):
    """How alike the ends of gaps are.

    Attributes:
        correlation: of blocks with their best counterparts, weighted by how much structure they have, -1 to 1, `(B,)`.
        shift: the one displacement of all blocks together that makes the second frame most like the first, in pixels
            (rows, columns), `(B, 2)`; to within half a cell.
    """

    correlation: torch.Tensor
    shift: torch.Tensor


@torch.no_grad()
def likeness(first: torch.Tensor, last: torch.Tensor, wrap_rows: bool = False) -> Likeness:
    """Compare the ends of gaps.

    Args:
        first: frames in [0, 1], `(B, 1, H, W)`.
        last: likewise.
        wrap_rows: whether the last row of a frame is a neighbour of the first.
    """
    edge = min(first.shape[-2:])
    cell = max(2 if wrap_rows and edge > 4 * REACH else 1, round(edge / CELLS))
    first, last = (F.avg_pool2d(frames.float(), cell, ceil_mode=True) for frames in (first, last))
    blocks, contrast = _blocks(first)
    rows, columns = first.shape[-2:]
    padded = F.pad(last, (REACH, REACH, 0, 0), mode="replicate")
    padded = F.pad(padded, (0, 0, REACH, REACH), mode="circular" if wrap_rows else "replicate")
    scores = []
    for down in range(2 * REACH + 1):
        for right in range(2 * REACH + 1):
            others, other_contrast = _blocks(padded[..., down : down + rows, right : right + columns])
            scores.append((blocks * others).sum(-1) / ((contrast + FLAT) * (other_contrast + FLAT) * blocks.shape[-1]))
    scores = torch.stack(scores)  # (shifts, B, blocks)
    share = contrast / contrast.sum(1, keepdim=True).clamp(min=1e-6)
    best = (scores.max(0).values * share).sum(1)
    best = torch.where(contrast.mean(1) < FLAT, torch.ones_like(best), best)  # nothing there that could differ
    together = (scores * share).sum(2).argmax(0)
    side = 2 * REACH + 1
    shift = torch.stack([together // side - REACH, together % side - REACH], dim=1) * cell
    return Likeness(best, shift)


def _blocks(cells: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Blocks without their mean, `(B, blocks, cells of one)`, and their standard deviations, `(B, blocks)`."""
    size = min(BLOCK, *cells.shape[-2:])
    parts = F.unfold(cells, size, stride=size).transpose(1, 2)
    parts = parts - parts.mean(-1, keepdim=True)
    return parts, parts.square().mean(-1).sqrt()
