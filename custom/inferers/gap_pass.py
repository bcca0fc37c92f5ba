# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The bookkeeping of one pass over a scan: which frames are known, which gaps can be filled."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, MutableMapping, Sequence
from itertools import groupby, product
from operator import attrgetter

import numpy as np
import torch

from custom.inferers.recursion import GapStep
from custom.interpolators.base import Interpolator


class GapPass:
    """What one pass over a scan remembers: the frames still needed, and how far each level of the recursion is.

    A frame is `(B, C, *space)`: one slice of each of `B` stacks that lie side by side, such as the phases of a cine.
    Frames go by their dense index. Acquired ones are shared; synthetic ones belong to a sample, whose deeper levels see
    no other sample's frames.

    Args:
        network: the method.
        levels: the plan of one gap (`plan_gap`).
        num_samples: samples kept apart.
        batch_size: windows, each of one stack, that go through the network together.
        first_gap: index in the scan of the pass's first gap, where a scan is done in parts.
        seed: of the scan. Side by side, all stacks take the same noise: phases then differ by what was acquired, and
            not by the draw.
    """

    def __init__(
        self,
        network: Interpolator,
        levels: Sequence[Sequence[GapStep]],
        num_samples: int,
        batch_size: int,
        seed: int,
        first_gap: int = 0,
    ) -> None:
        self.network, self.levels, self.batch_size, self.seed = network, levels, batch_size, seed
        self.first_gap = first_gap
        self.factor = levels[0][0].right
        self.offsets = [[0]]  # per level: what is known of a gap before it, its right end left to the next gap
        for level in self.levels[:-1]:
            self.offsets.append(sorted([*self.offsets[-1], *(index for step in level for index in step.unknown)]))
        self.outer = network.num_neighbours // 2 - 1
        self.num_stacks = 1
        self.acquired: dict[int, torch.Tensor] = {}
        self.samples: list[dict[int, torch.Tensor]] = [{} for _ in range(num_samples)]
        self.done = [0] * len(self.levels)  # gaps that each level has behind it
        self.arrived = 0
        self.ended = False

    def arrive(self, frames: Iterable[torch.Tensor]) -> list[range]:
        """Take in acquired frames, none of them meaning the end; return the gaps that each level can now do."""
        arrived_before = self.arrived
        for frame in frames:
            self.acquired[self.arrived * self.factor], self.num_stacks = frame, len(frame)
            self.arrived += 1
        self.ended = self.arrived == arrived_before
        ready = self.arrived - 1
        work = []
        for level, done in enumerate(self.done):  # a level waits for the level above it on the gaps it looks into
            ready = max(done, ready if self.ended else ready - self.outer)
            work.append(range(done, ready))
            self.done[level] = ready
        return work

    def fill(self, sample: int, work: Sequence[range]) -> None:
        """Ask the network for one sample of `work`, level by level: windows of equal positions share a batch."""
        known = ChainMap(self.samples[sample], self.acquired)
        by_positions = attrgetter("positions")
        for depth, gaps in enumerate(work):
            for positions, steps in groupby(sorted(self.levels[depth], key=by_positions), key=by_positions):
                windows = list(product(gaps, list(steps)))
                # Stacks that lie side by side go together; more of them than fit are split by `_ask`.
                together = max(1, self.batch_size // self.num_stacks)
                for start in range(0, len(windows), together):
                    self._ask(known, depth, sample, positions, windows[start : start + together])

    def forget(self, frames: dict[int, torch.Tensor]) -> None:
        """Drop what no gap to come looks at."""
        first_needed = (self.done[-1] - self.outer) * self.factor
        for index in [index for index in frames if index < first_needed]:
            del frames[index]

    def _ask(
        self,
        known: MutableMapping[int, torch.Tensor],
        depth: int,
        sample: int,
        positions: Sequence[float],
        windows: Sequence[tuple[int, GapStep]],
    ) -> None:
        """The `(gap, step)` pairs of `windows`, of every stack, through the network; its answers join `known`."""
        neighbours = torch.cat(
            [torch.stack([known[i] for i in self._neighbours(depth, gap, step.left)], dim=1) for gap, step in windows]
        )
        seeds = [_seed(self.seed, sample, self.first_gap + gap, step.left, step.right) for gap, step in windows]
        seeds = [seed for seed in seeds for _ in range(self.num_stacks)]
        answers, places = [], neighbours.new_tensor(positions)
        with torch.no_grad():
            for start in range(0, len(seeds), self.batch_size):
                items = slice(start, start + self.batch_size)
                answers.append(self.network.interpolate(neighbours[items], places, seeds[items]))
        answer = torch.cat(answers).unflatten(0, (len(windows), self.num_stacks)).transpose(1, 2)
        for (gap, step), frames in zip(windows, answer, strict=True):
            known.update(zip((gap * self.factor + i for i in step.unknown), frames, strict=True))

    def _neighbours(self, depth: int, gap: int, left: int) -> list[int]:
        """Dense indices of the known frames around a window, replicated at the scan's ends."""
        offsets = self.offsets[depth]
        place = gap * len(offsets) + offsets.index(left)
        last = (self.arrived - 1) * len(offsets)
        places = (min(max(place + shift, 0), last) for shift in range(-self.outer, self.outer + 2))
        return [place // len(offsets) * self.factor + offsets[place % len(offsets)] for place in places]


def _seed(*parts: int) -> int:
    """A 63-bit seed that depends on every part."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)
