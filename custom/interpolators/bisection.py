# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Methods that know the middle of a gap only reach any position by bisection (CaLID, section III-B)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from tqdm import tqdm

from custom.diffusion.interpolation import lerp
from custom.interpolators.base import Interpolator

#: Bisections of a gap at most: 64 steps, finer than any acquired pixel of a cardiac stack.
MAX_DEPTH = 6
_EXACT = 1e-4


class MidpointInterpolator(Interpolator):
    """Asks `midpoint` for the middle of ever smaller gaps; a subclass says what a midpoint is.

    Everything that one level of the recursion needs, of all batch items, goes through the network in one batch.

    A method that reads four neighbours gets the outer two where they are known at the same distance, as beside a whole
    gap; within it the nearest known slice is replicated, as at the ends of a scan.

    Positions k / 2^n are reached exactly. For others, a gap is bisected to 2^n >= m + 1 steps for its m positions, and
    what stands there is taken over: the nearest slice, or the linear mixture of the two around the position.

    Attributes:
        resampling: "linear" or "nearest", for positions that bisection does not reach.
        batch_size: midpoints that go through the network at once.
    """

    resampling: str = "linear"
    batch_size: int = 32

    def validate(self) -> None:
        """See `Interpolator.validate`."""
        if self.resampling not in ("linear", "nearest"):
            raise ValueError(f"resampling is 'linear' or 'nearest', got {self.resampling!r}")

    def midpoint(self, neighbours: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        """The slices `(B, C, *space)` halfway between the central two of `(B, num_neighbours, C, *space)`, in [0, 1].

        There is a seed per item.
        """
        raise TypeError(f"{type(self).__name__} does not say what a midpoint is: override midpoint().")

    def interpolate(
        self, neighbours: torch.Tensor, positions: torch.Tensor, seeds: Sequence[int] | None = None
    ) -> torch.Tensor:
        """See `Interpolator.interpolate`; without seeds every batch item takes seed 0.

        All slices of a gap start from the noise of its seed, so that what noise leaves in them does not change from
        one synthetic slice to the next.

        Raises:
            ValueError: `resampling` is neither of its values, or there are more positions than bisection is made for.
        """
        self.validate()
        seeds = [0] * len(neighbours) if seeds is None else list(seeds)
        steps, sources = _sources(positions.tolist(), self.resampling)
        half = neighbours.shape[1] // 2
        known = {steps * (place - half + 1): frame for place, frame in enumerate(neighbours.unbind(1))}
        for reach, indices in _levels(steps, {index for pair, _ in sources for index in pair}):
            around = [_around(known, index, reach, half) for index in indices]
            middle = self._in_batches(torch.cat(around), seeds * len(indices))
            known.update(zip(indices, middle.chunk(len(indices)), strict=True))
        slices = [known[i] if i == j else lerp(known[i], known[j], share) for (i, j), share in sources]
        return torch.stack(slices, dim=1)

    def _in_batches(self, neighbours: torch.Tensor, seeds: list[int]) -> torch.Tensor:
        # One level of a cine can take minutes: a bar of its own, where it takes more than seconds.
        starts = tqdm(range(0, len(neighbours), self.batch_size), "midpoints", unit="batch", leave=False, delay=5)
        pieces = (slice(start, start + self.batch_size) for start in starts)
        return torch.cat([self.midpoint(neighbours[piece], seeds[piece]) for piece in pieces])


def _around(known: Mapping[int, torch.Tensor], index: int, reach: int, half: int) -> torch.Tensor:
    """What a midpoint is asked with, `(B, 2 half, C, *space)`: slices at odd multiples of `reach` from `index`."""
    sides = []
    for side in (-reach, reach):
        frames = [known[index + side]]
        for step in range(1, half):
            frames.append(known.get(index + (2 * step + 1) * side, frames[-1]))
        sides.append(frames)
    return torch.stack([*reversed(sides[0]), *sides[1]], dim=1)


def _sources(positions: Sequence[float], resampling: str) -> tuple[int, list[tuple[tuple[int, int], float]]]:
    """Steps of the bisected gap, and for each position the two of its slices and the share of the second."""
    exact = next((depth for depth in range(1, MAX_DEPTH + 1) if _on_grid(positions, 2**depth)), None)
    depth = exact or math.ceil(math.log2(len(positions) + 1))
    if depth > MAX_DEPTH:
        raise ValueError(f"{len(positions)} slices in one gap; bisection goes to {2**MAX_DEPTH - 1} at most")
    steps = 2**depth
    sources = []
    for place in (position * steps for position in positions):
        if resampling == "nearest" or abs(place - round(place)) < _EXACT * steps:
            sources.append(((round(place), round(place)), 0.0))
        else:
            sources.append(((math.floor(place), math.ceil(place)), place - math.floor(place)))
    return steps, sources


def _on_grid(positions: Sequence[float], steps: int) -> bool:
    return all(abs(position * steps - round(position * steps)) < _EXACT * steps for position in positions)


def _levels(steps: int, wanted: set[int]) -> Iterator[tuple[int, list[int]]]:
    """Levels of the bisection, coarsest first: the distance to both neighbours, and the slices needed there."""
    needed, reach, levels = set(wanted), 1, []
    while reach < steps:
        here = sorted(index for index in needed if index % (2 * reach) == reach)
        needed |= {index + side for index in here for side in (-reach, reach)}
        levels.append((reach, here))
        reach *= 2
    return ((reach, indices) for reach, indices in reversed(levels) if indices)
