# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""How a large gap is filled by a method that only knows small ones.

A method trained at x6 sees two known frames and returns the five between them in one window. A larger gap is split
first: a coarse window across the whole gap, then windows between the frames that the coarse one gave, and so on. The
pieces are whole steps of the dense grid, as equal as they can be, so primes such as 7 or 37 need no special case.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral


@dataclass(frozen=True)
class GapStep:
    """One window of the recursion, in units of `1 / factor` of the acquired gap.

    Attributes:
        left: dense index of the known frame before the window, 0 for the gap's first frame.
        right: dense index of the known frame after it, `factor` for the gap's last frame.
        unknown: ascending dense indices that the window asks for, all in `(left, right)`.
    """

    left: int
    right: int
    unknown: tuple[int, ...]

    @property
    def positions(self) -> tuple[float, ...]:
        """Fractions of the way from `left` to `right`, one per unknown frame."""
        return tuple((index - self.left) / (self.right - self.left) for index in self.unknown)


def plan_gap(factor: int, max_factor: int = 6) -> list[list[GapStep]]:
    """Plan the windows that fill a gap of `factor` dense steps.

    Args:
        factor: dense steps per acquired gap; `factor - 1` frames are unknown.
        max_factor: the largest factor that the method does in one window. 2 gives bisection.

    Returns:
        Levels in order of work: the windows of a level need only the gap's ends and the frames of earlier levels. Every
        index in `1 .. factor - 1` is asked for exactly once.

    Raises:
        ValueError: if `factor` or `max_factor` is not an integer of at least 2.
    """
    for name, value in (("factor", factor), ("max_factor", max_factor)):
        if not isinstance(value, Integral) or value < 2:
            raise ValueError(f"{name} must be an integer of at least 2, got {value!r}")
    levels = []
    gaps = [(0, factor)]
    while gaps:
        edges = [_split(left, right, max_factor) for left, right in gaps]
        levels.append([GapStep(cuts[0], cuts[-1], tuple(cuts[1:-1])) for cuts in edges])
        pieces = [pair for cuts in edges for pair in zip(cuts[:-1], cuts[1:], strict=True)]
        gaps = [(left, right) for left, right in pieces if right - left > 1]
    return levels


def _split(left: int, right: int, max_factor: int) -> list[int]:
    """Edges of the fewest balanced pieces of a gap that lead to the fewest levels below it."""
    steps = right - left
    largest_piece = 1
    while largest_piece * max_factor < steps:
        largest_piece *= max_factor
    num_pieces = -(-steps // largest_piece)
    return [left + piece * steps // num_pieces for piece in range(num_pieces + 1)]
