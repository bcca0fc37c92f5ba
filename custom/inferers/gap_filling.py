# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Gaps, each with the known frames around it, filled by a method as planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, product
from operator import attrgetter
from typing import Any

import torch
from tqdm import tqdm

from custom.diffusion.interpolation import lerp
from custom.inferers.plan import Plan, Window
from custom.interpolators.base import Interpolator
from custom.networks.batching import BatchSize


@torch.no_grad()
def fill_gaps(
    network: Interpolator,
    neighbours: torch.Tensor,
    plan: Plan,
    seed_of: Callable[[int, Window], int],
    batch: BatchSize,
    wrap_rows: bool = False,
    **options: Any,
) -> torch.Tensor:
    """Interpolate one gap of each item, level by level; windows of equal positions share batches.

    A method that reads more than two neighbours gets the outer ones where they are known at the same distance, as
    beside a whole gap; within it the nearest known frame is replicated, as at the ends of a scan.

    Args:
        network: the method.
        neighbours: known frames in order, `(B, num_neighbours, C, *space)`, in [0, 1].
        plan: of each gap.
        seed_of: `(item, window) -> seed` of the window's noise.
        batch: windows that go through the network at once.
        wrap_rows: see `Interpolator.interpolate`.
        options: further keywords of the method's `interpolate`.

    Returns:
        `(B, plan.factor - 1, C, *space)`, dtype of `neighbours`.

    Raises:
        MemoryError: not even one window fits in the device's memory.
    """
    half = neighbours.shape[1] // 2
    known = {plan.steps * (place - half + 1): frames for place, frames in enumerate(neighbours.unbind(1))}
    by_positions = attrgetter("positions")
    for level in plan.levels:
        for positions, group in groupby(sorted(level, key=by_positions), key=by_positions):
            windows = list(group)
            asked = list(product(range(len(neighbours)), windows))
            around = {window: _around(known, window, half) for window in windows}
            answers = []
            # One level of a cine can take minutes: a bar of its own, where it takes more than seconds.
            with tqdm(total=len(asked), desc="windows", unit="window", leave=False, delay=5) as progress:
                for piece in batch.pieces(len(asked)):
                    frames = torch.stack(
                        [torch.stack([known[place][item] for place in around[window]]) for item, window in asked[piece]]
                    )
                    seeds = [seed_of(item, window) for item, window in asked[piece]]
                    try:
                        answer = network.interpolate(frames, torch.tensor(positions), seeds, wrap_rows, **options)
                    except torch.OutOfMemoryError as error:
                        if not batch.halve():
                            raise MemoryError(_too_large(frames)) from error
                        continue
                    answers.append(answer.to(neighbours.dtype))
                    progress.update(len(frames))
            made = torch.cat(answers).unflatten(0, (len(neighbours), len(windows)))
            for number, window in enumerate(windows):
                known.update(zip(window.unknown, made[:, number].unbind(1), strict=True))
    slices = [known[i] if i == j else lerp(known[i], known[j], share) for i, j, share in plan.sources]
    return torch.stack(slices, dim=1)


def _around(known: Mapping[int, torch.Tensor], window: Window, half: int) -> Sequence[int]:
    """Places of the `2 half` frames that a window is asked with."""
    width = window.right - window.left
    before, after = [window.left], [window.right]
    for step in range(1, half):
        before.append(window.left - step * width if window.left - step * width in known else before[-1])
        after.append(window.right + step * width if window.right + step * width in known else after[-1])
    return [*reversed(before), *after]


def _too_large(frames: torch.Tensor) -> str:
    size = "x".join(map(str, frames.shape[3:]))
    return f"one window of {size} does not fit in the memory of {frames.device}; use a smaller --tile_size"
