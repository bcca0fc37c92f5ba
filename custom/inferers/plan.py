# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The order of work in one gap: how every frame asked for is reached by what a method can be asked at once.

- A method of any position gets the whole gap in one window. One that knows short gaps only (CardioInterp, trained at
  x6) gets a coarse window across the gap first, then windows between the frames that it gave, and so on. The pieces are
  whole steps, as equal as they can be, so primes such as 7 or 37 need no special case.
- A method that knows the middle (CaLID, section III-B) bisects: a window across the gap, one in each half, and so on.
  One that knows more evenly spaced positions divides by those numbers, in as few windows one after another as it takes.
- Where such divisions do not lead to the positions asked for, the gap is bisected at least as finely, and what stands
  there is taken over: the nearest frame, or the linear mixture of the two around the position.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral

from custom.interpolators.base import Reach

#: Windows one after another at most, each within the one before: bisected six times, a gap has 64 steps, finer than any
#: acquired pixel of a cardiac stack.
MAX_DEPTH = 6
#: Of any method: a mistyped factor must not ask for all of a machine's memory.
MAX_FACTOR = 1000


@dataclass(frozen=True)
class Window:
    """One question to a method, in steps of the plan.

    Attributes:
        left: place of the known frame before the window, 0 for the gap's first frame.
        right: place of the known frame after it, the plan's `steps` for the gap's last frame.
        unknown: ascending places that the window asks for, all in `(left, right)`.
        noise: what tells the window's noise from that of others in the gap. All slices of a bisected gap start from the
            same noise, so that what noise leaves in them does not change from one synthetic slice to the next.
    """

    left: int
    right: int
    unknown: tuple[int, ...]
    noise: tuple[int, int]

    @property
    def positions(self) -> tuple[float, ...]:
        """Fractions of the way from `left` to `right`, one per unknown frame."""
        return tuple((place - self.left) / (self.right - self.left) for place in self.unknown)


@dataclass(frozen=True)
class Plan:
    """The order of work in one gap.

    Attributes:
        factor: dense steps per gap; `factor - 1` frames are asked for.
        steps: of the plan: places 0 and `steps` are the gap's two known frames.
        levels: windows in order of work; those of a level need only the known frames and those of earlier levels.
        sources: for each dense frame two places, and the share of the second; the same place twice is that frame.
    """

    factor: int
    steps: int
    levels: tuple[tuple[Window, ...], ...]
    sources: tuple[tuple[int, int, float], ...]


def plan_gap(factor: int, reach: Reach, resampling: str = "linear") -> Plan:
    """Plan the windows that fill a gap of `factor` dense steps.

    Args:
        factor: dense steps per gap.
        reach: what the method can be asked for at once.
        resampling: "linear" or "nearest", where the reach does not lead to the positions.

    Raises:
        ValueError: the factor is no integer from 2 to `MAX_FACTOR`, or takes a bisection deeper than `MAX_DEPTH`.
    """
    if not isinstance(factor, Integral) or factor < 2:
        raise ValueError(f"factor must be an integer of at least 2, got {factor!r}")
    if factor > MAX_FACTOR:
        raise ValueError(f"factor must be at most {MAX_FACTOR}, got {factor}")
    if reach.steps is None:
        levels = _balanced(factor, reach.most_steps or factor)
        return Plan(factor, factor, levels, _taken_over(factor, factor, resampling))
    divisions = _divisions(factor, reach) or [2] * math.ceil(math.log2(factor))
    if len(divisions) > MAX_DEPTH:
        raise ValueError(f"factor must be at most {2**MAX_DEPTH} for this method, which halves gaps; got {factor}")
    steps = math.prod(divisions)
    sources = _taken_over(factor, steps, resampling)
    wanted = {place for before, after, _ in sources for place in (before, after)}
    return Plan(factor, steps, _divided(divisions, wanted, (0, factor)), sources)


def _taken_over(factor: int, steps: int, resampling: str) -> tuple[tuple[int, int, float], ...]:
    """`Plan.sources`."""
    sources = []
    for place in (Fraction(index * steps, factor) for index in range(1, factor)):
        if place.denominator == 1 or resampling == "nearest":
            sources.append((round(place), round(place), 0.0))
        else:
            sources.append((math.floor(place), math.ceil(place), float(place - math.floor(place))))
    return tuple(sources)


def _balanced(factor: int, most_steps: int) -> tuple[tuple[Window, ...], ...]:
    """Levels of windows of at most `most_steps` steps, each with noise of its own."""
    levels, gaps = [], [(0, factor)]
    while gaps:
        edges = [_split(left, right, most_steps) for left, right in gaps]
        levels.append(tuple(Window(cuts[0], cuts[-1], tuple(cuts[1:-1]), (cuts[0], cuts[-1])) for cuts in edges))
        pieces = [pair for cuts in edges for pair in zip(cuts[:-1], cuts[1:], strict=True)]
        gaps = [(left, right) for left, right in pieces if right - left > 1]
    return tuple(levels)


def _split(left: int, right: int, most_steps: int) -> list[int]:
    """Edges of the fewest balanced pieces of a gap that lead to the fewest levels below it."""
    steps = right - left
    largest_piece = 1
    while largest_piece * most_steps < steps:
        largest_piece *= most_steps
    num_pieces = -(-steps // largest_piece)
    return [left + piece * steps // num_pieces for piece in range(num_pieces + 1)]


def _divisions(factor: int, reach: Reach) -> list[int] | None:
    """The fewest numbers of steps within reach whose product is `factor`, the largest last; None if there are none."""
    if factor == 1:
        return []
    shortest = None
    for last in range(min(reach.steps, reach.most_steps or reach.steps), 1, -1):
        if reach.steps % last == 0 and factor % last == 0:
            before = _divisions(factor // last, reach)
            if before is not None and (shortest is None or len(before) + 1 < len(shortest)):
                shortest = [*before, last]
    return shortest


def _divided(divisions: list[int], wanted: set[int], noise: tuple[int, int]) -> tuple[tuple[Window, ...], ...]:
    """Levels of windows that divide a gap again and again, without those that lead to no wanted place."""
    needed, width, levels = set(wanted), 1, []
    for parts in reversed(divisions):
        here = []
        for left in range(0, math.prod(divisions), width * parts):
            unknown = tuple(range(left + width, left + width * parts, width))
            if needed.intersection(unknown):
                here.append(Window(left, left + width * parts, unknown, noise))
        needed |= {edge for window in here for edge in (window.left, window.right)}
        width *= parts
        levels.append(tuple(here))
    return tuple(reversed(levels))
