# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Gaps, each with the known frames around it, filled by a method as planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, product
from operator import attrgetter
from typing import Any

import torch

from custom.diffusion.interpolation import lerp
from custom.inferers.plan import Plan, Window
from custom.interpolators.base import Interpolator
from custom.networks.batching import BatchSize
from custom.progress import EvenProgress


@torch.no_grad()
def fill_gaps(
    network: Interpolator,
    neighbours: torch.Tensor,
    plan: Plan,
    seed_of: Callable[[int, Window], int],
    batch: BatchSize,
    wrap_rows: bool = False,
    progress: EvenProgress | None = None,
    **options: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
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
        progress: gets the share of this work that is done, in all the number of dense frames of all items.
        options: further keywords of the method's `interpolate`.

    Returns:
        The frames `(B, plan.factor - 1, C, *space)`, dtype of `neighbours`, and the expected absolute error of their
        pixels, float, same shape; None of a method that does not say. A frame made from frames that were made before
        takes over their errors: as independent of its own, since nothing better is known.

    Raises:
        MemoryError: not even one window fits in the device's memory.
    """
    half = neighbours.shape[1] // 2
    known = {plan.steps * (place - half + 1): frames for place, frames in enumerate(neighbours.unbind(1))}
    errors: dict[int, torch.Tensor | None] = dict.fromkeys(known, 0.0)
    by_positions = attrgetter("positions")
    progress = progress or EvenProgress(lambda done: None)
    frames_per_place = (plan.factor - 1) / sum(len(window.unknown) for level in plan.levels for window in level)
    for level in plan.levels:
        for positions, group in groupby(sorted(level, key=by_positions), key=by_positions):
            windows = list(group)
            asked = list(product(range(len(neighbours)), windows))
            around = {window: _around(known, window, half) for window in windows}
            answers = []
            for piece in batch.pieces(len(asked)):
                frames = torch.stack(
                    [torch.stack([known[place][item] for place in around[window]]) for item, window in asked[piece]]
                )
                seeds = [seed_of(item, window) for item, window in asked[piece]]
                places = torch.tensor(positions)
                try:
                    with progress.piece(frames_per_place * len(positions) * len(frames), (len(positions), len(frames))):
                        answer = network.predict(frames, places, seeds, wrap_rows, **options)
                except torch.OutOfMemoryError as error:
                    if not batch.halve():
                        raise MemoryError(_too_large(frames)) from error
                    continue
                answers.append(answer)
            made, own = (_per_window(part, len(windows)) for part in zip(*answers, strict=True))
            made = made.to(neighbours.dtype)
            for number, window in enumerate(windows):
                known.update(zip(window.unknown, made[:, number].unbind(1), strict=True))
                for step, place in enumerate(window.unknown):
                    inherited = _mixed(errors, window.left, window.right, window.positions[step])
                    errors[place] = None if own is None else torch.hypot(own[:, number, step], inherited)
    slices = [known[i] if i == j else lerp(known[i], known[j], share) for i, j, share in plan.sources]
    told = [_mixed(errors, *source) for source in plan.sources]
    return torch.stack(slices, dim=1), None if own is None else torch.stack(told, dim=1)


def _per_window(parts: Sequence[torch.Tensor | None], count: int) -> torch.Tensor | None:
    """Answers of pieces as `(B, count, m, C, *space)`."""
    return None if parts[0] is None else torch.cat(parts).unflatten(0, (-1, count))


def _mixed(values: Mapping[int, torch.Tensor | float], left: int, right: int, share: float) -> torch.Tensor | None:
    """The value between two places; None where a method does not say."""
    if values[left] is None or values[right] is None:
        return None
    return torch.as_tensor((1 - share) * values[left] + share * values[right])


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
