# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What the benchmark knows about its test windows and its methods before it scores them.

Cached results may be used again only if the same method meets the same pixels, so both get a fingerprint here; and the
figures of all methods and factors must show the same place, so the place is chosen here.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
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


def fingerprint(method: Any) -> str:
    """Hash of what decides a method's output: its class, weights and plain options.

    Args:
        method: an `Interpolator`, any `nn.Module`, or a bound method of one (the oracles).
    """
    module = getattr(method, "__self__", method)
    digest = hashlib.sha256(getattr(method, "__qualname__", type(method).__qualname__).encode())
    if isinstance(module, nn.Module):
        for name, child in module.named_modules():
            digest.update(repr((name, type(child).__qualname__, _describe(vars(child)))).encode())
        for name, tensor in module.state_dict().items():
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()


def _describe(value: Any) -> Any:
    """A value as numbers, text and sequences that print alike in every process: no addresses, no private parts.

    Of the attributes of modules and of their plain helper objects, weights and submodules are left to the caller.
    """
    if isinstance(value, bool | int | float | str | None):
        return value
    if isinstance(value, list | tuple):
        return [_describe(item) for item in value]
    if isinstance(value, dict):
        public = {str(k): v for k, v in value.items() if not str(k).startswith("_") and k != "training"}
        return [(k, _describe(v)) for k, v in sorted(public.items()) if not isinstance(v, nn.Module | torch.Tensor)]
    return type(value).__qualname__, _describe(getattr(value, "__dict__", {}))
