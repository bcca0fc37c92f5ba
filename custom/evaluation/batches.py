# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""From test windows to what a method is given: identities, seeds, batches and neighbours."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from custom.inferers.gap_filling import fill_gaps
from custom.inferers.plan import Window, plan_gap
from custom.interpolators.base import Interpolator
from custom.networks.batching import BatchSize


def identity(item: dict[str, Any]) -> tuple[str, str, int, tuple[int, int]]:
    """(patient, scan, first known slice or frame, crop origin) of a test window."""
    crop = tuple(int(v) for v in item["crop"]) if item["crop"] is not None else (0, 0)
    return str(item["patient"]), str(item["scan"]), int(item["first"]), crop


def window_seed(item: dict[str, Any], seed: int, sample: int) -> int:
    """A seed that depends on the window and the sample only, so results do not depend on batching or order."""
    name = zlib.crc32(repr(identity(item)).encode())
    return int(np.random.SeedSequence([seed, name, sample]).generate_state(1)[0])


def gather_neighbours(items: list[dict[str, Any]], count: int) -> torch.Tensor:
    """The known frames that a method reads, `(B, count, 1, *space)`.

    Frames beyond the window's ends come from the items' `outer` frames, which are in scan order, half of them before
    the window; where there are too few, the outermost known frame is replicated.
    """
    frames, half = stack_frames(items), count // 2
    left, right = frames[:, :1], frames[:, -1:]
    real = 1
    if "outer" in items[0]:
        outer = torch.stack([item["outer"].as_subclass(torch.Tensor) for item in items])
        have = outer.shape[1] // 2
        left, right = torch.cat([outer[:, :have], left], 1), torch.cat([right, outer[:, have:]], 1)
        real += have
    padding = max(half - real, 0)
    left = torch.cat([*[left[:, :1]] * padding, left], 1)[:, -half:]
    right = torch.cat([right, *[right[:, -1:]] * padding], 1)[:, :half]
    return torch.cat([left, right], 1)


def describe_inputs(item: dict[str, Any], count: int) -> str:
    """How many frames a method that reads `count` is given for a window, and how many of them are replicas.

    At the ends of a stack the data set replicates the window's own end as its `outer` frame.
    """
    beside = count // 2 - 1
    frames, outer = item["image"], item.get("outer", item["image"][:0])
    have = len(outer) // 2
    replicas = 2 * max(beside - have, 0)
    for end, known in ((frames[0], outer[max(have - beside, 0) : have]), (frames[-1], outer[have : have + beside])):
        replicas += sum(torch.equal(frame, end) for frame in known)
    return f"{count} ({replicas} replicated)" if replicas else f"{count}"


def interpolate(
    method: Interpolator, neighbours: torch.Tensor, positions: torch.Tensor, seeds: Sequence[int], **options: Any
) -> torch.Tensor:
    """Fill one gap of each item; a 2D method does a cine phase by phase, with the same seed in all phases.

    Args:
        method: of frames `(1, H, W)`, or of cine slices if it `takes_phases`.
        neighbours: `(B, K, 1, *space)`, space `(H, W)` or `(T, H, W)`.
        positions: `(m,)`, evenly spaced: k / (m + 1).
        seeds: B seeds.
        options: further keywords of the method's `interpolate`.

    Returns:
        `(B, m, 1, *space)`, float32.
    """
    plan = plan_gap(len(positions) + 1, method.reach, method.resampling)
    by_phase = neighbours.ndim == 6 and not method.takes_phases
    phases = neighbours.shape[3] if by_phase else 1
    gaps = neighbours.movedim(3, 1).flatten(0, 1) if by_phase else neighbours

    def seed_of(item: int, window: Window) -> int:
        seed = seeds[item // phases]
        if window.noise == (0, plan.factor):
            return seed
        return int(np.random.SeedSequence([seed, *window.noise]).generate_state(1)[0])

    slices = fill_gaps(method, gaps, plan, seed_of, BatchSize(method.batch_size), **options)[0].float()
    return slices.unflatten(0, (-1, phases)).movedim(1, 3) if by_phase else slices


def stack_frames(items: list[dict[str, Any]]) -> torch.Tensor:
    """Windows of one shape as one tensor `(B, L, 1, *space)`."""
    return torch.stack([item["image"].as_subclass(torch.Tensor) for item in items])


def batches(dataset: Dataset, size: int) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    """Windows in batches of one shape: whole frames of different scans may differ in size."""
    numbered = ((index, dataset[index]) for index in range(len(dataset)))
    for _, group in itertools.groupby(numbered, key=lambda pair: pair[1]["image"].shape):
        while batch := list(itertools.islice(group, size)):
            yield [index for index, _ in batch], [item for _, item in batch]
