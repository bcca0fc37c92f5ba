# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Slices of any size for networks that take whole cells only."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def nearest_sizes(size: Sequence[int], units: Sequence[int]) -> str:
    """The sizes around `size` of which every edge is a multiple of its unit, as a message names them."""
    pairs = list(zip(size, units, strict=True))
    smaller = [max(unit, edge // unit * unit) for edge, unit in pairs]
    larger = [max(unit, -(-edge // unit) * unit) for edge, unit in pairs]
    shown = [str(each if len(each) > 1 else each[0]) for each in (smaller, larger)]
    return " and ".join(dict.fromkeys(shown))


def pad_slices(slices: torch.Tensor, units: Sequence[int], turn: int = 0) -> tuple[torch.Tensor, tuple[slice, ...]]:
    """Grow slices on all sides to the next multiples of `units`.

    The edge of a slice is continued outwards; phases go round, as the heart does, and so do the rows of a polar frame.

    Args:
        slices: `(..., H, W)`, or cine slices `(..., T, H, W)`.
        units: what the sizes must be multiples of, one number per spatial axis.
        turn: of a polar frame, whose last row is a neighbour of the first: rows of the other side that it is continued
            with at least, either way; 0 for frames that end.

    Returns:
        The grown slices, and where the original lies in their spatial axes.
    """
    window = []
    for axis, unit in zip(range(-len(units), 0), units, strict=True):
        extent = slices.shape[axis]
        round_it = axis == -3 or bool(turn) and axis == -2
        margin = turn if axis == -2 else 0
        spare = 2 * margin + -(extent + 2 * margin) % unit
        first = margin or spare // 2
        place = torch.arange(-first, extent + spare - first, device=slices.device)
        place = place % extent if round_it else place.clamp(0, extent - 1)
        slices = slices.index_select(axis, place) if spare else slices
        window.append(slice(first, first + extent))
    return slices, tuple(window)
