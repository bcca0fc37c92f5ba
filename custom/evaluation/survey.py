# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What the benchmark knows about its test windows before it scores them.

Kept results may be used again only if a method meets the same pixels, so these get a fingerprint here; and the figures
of all methods and factors must show the same place, so the place is chosen here.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from custom.evaluation.batches import identity

#: A figure shows at most this many pixels of interpolated frames (61 frames of 256 x 256).
EXAMPLE_PIXELS = 4_000_000


@dataclass(frozen=True)
class Survey:
    """The test windows of one factor.

    Attributes:
        fingerprint: hash of every pixel and identity of every window.
        place: (patient, scan, crop) of the example shown in the figures.
        examples: indices of consecutive windows at that place, in scan order.
    """

    fingerprint: str
    place: tuple
    examples: tuple[int, ...]


def survey_windows(dataset: Dataset, factor: int, place: tuple | None = None) -> Survey:
    """Read every window once.

    Args:
        dataset: test windows, `factor + 1` frames each.
        factor: steps per gap.
        place: show this place if this dataset has it; otherwise the place with the richest texture is chosen.
    """
    digest = hashlib.sha256()
    places: dict[tuple, list[tuple[int, int]]] = defaultdict(list)
    steps: dict[tuple, int] = {}
    texture: dict[tuple, float] = {}
    for index, item in enumerate(dataset[k] for k in range(len(dataset))):
        patient, scan, first, crop = identity(item)
        frames = item["image"].as_subclass(torch.Tensor).numpy()
        if len(frames) != factor + 1:
            raise ValueError(f"x{factor} needs windows of {factor + 1} frames; this dataset gives {len(frames)}.")
        digest.update(repr((patient, scan, first, crop, frames.shape)).encode())
        digest.update(np.ascontiguousarray(frames))
        key = (patient, scan, crop)
        places[key].append((first, index))
        steps[key] = factor * int(item.get("stride", getattr(dataset, "stride", 1)))
        texture.setdefault(key, float(frames.std()))
    if not places:
        raise ValueError(f"no test window of {factor + 1} frames: the test scans are too short for x{factor}.")
    if place not in places:
        place = max(texture, key=texture.__getitem__)
    run = _longest_run(places[place], steps[place])
    limit = max(1, EXAMPLE_PIXELS // int(np.prod(frames.shape)))
    return Survey(digest.hexdigest(), place, run[:limit])


def _longest_run(windows: list[tuple[int, int]], step: int) -> tuple[int, ...]:
    """Indices of the longest run of windows that share their end frames, so that a longitudinal cut has no holes.

    Windows are (first frame, index); between two of a run there may be others that overlap with both.
    """
    at = dict(windows)
    starts = [first for first in sorted(at) if first - step not in at]
    runs = []
    for first in starts:
        run = []
        while first in at:
            run.append(at[first])
            first += step
        runs.append(tuple(run))
    return max(runs, key=len)
