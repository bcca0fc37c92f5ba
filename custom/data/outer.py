# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Known frames beyond a gap, for methods that read four neighbours."""

from __future__ import annotations


def with_outer(first: int, gap: int, stride: int, usable: range) -> list[int]:
    """Indices of a window and, at either end, of the known frame one gap beyond it.

    Args:
        first: known frame or slice before the gap.
        gap: steps from there to the known one after it.
        stride: frames per step.
        usable: frames that may be used; where the one beyond is not among them, the end is replicated.

    Returns:
        `gap + 3` indices in order.
    """
    last, span = first + gap * stride, gap * stride
    before = first - span if first - span >= usable.start else first
    after = last + span if last + span < usable.stop else last
    return [before, *range(first, last + 1, stride), after]
