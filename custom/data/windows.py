# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Windows of consecutive frames cut from pullbacks: random ones to train on, fixed ones to validate and test on."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Dataset, DistributedSampler

from custom.data.augmented import Transform, augmented, cropped
from custom.data.outer import with_outer
from custom.data.pullback_set import PullbackSet
from custom.data.sizes import whole_number, whole_numbers
from custom.errors import InputError
from custom.scans.pullbacks import stem

logger = logging.getLogger(__name__)
SHORT = ("refuse", "skip", "still")


class RandomWindowDataset(Dataset):
    """Random training windows: pullback, stride, first frame, changes and crop are drawn anew for every index.

    What index `i` gives depends on `(seed, i)` alone, so a training that goes on after a kill sees the windows it would
    have seen (`custom.data.augmented`). Any index from 0 up is valid; `len` only says how many make an epoch
    (:class:`EpochWindowSampler`). Pullbacks are drawn in proportion to their frames. One too short for a stride is read
    at the strides that fit.

    Args:
        data: dictionaries with "image" (path), "patient" and optionally "frames" [start, stop).
        num_draws: windows in an epoch.
        window: frames in a window.
        strides: frame steps to choose from (paper: 1 to 3).
        crop_size: (height, width) of the crop in pixels, cut at random after the transform; None for whole frames.
        transform: MONAI dictionary transforms of "image" `(window, H, W)` in [0, 1]: frames of so many times
            the crop (`custom.data.pullback_set.FIELD`), or whole where smaller; polar ones with all their rows.
            "coordinates" beside it is "polar", "cartesian" or "unknown". What MONAI draws once for all channels, as its
            spatial transforms do, treats all frames alike.
        seed: of all draws.
        cache_gib: see `custom.data.frame_cache.FrameCache`.
        short: what becomes of a pullback shorter than a window, as single frames of a patient are: "refuse", "skip", or
            "still", one frame of it as often as the window is long. An autoencoder learns from such windows what
            other vessels look like; what lies between frames they do not show.

    Raises:
        InputError: a pullback is unusable, smaller than the crop or shorter than a window; names the file. A window
            with nothing between its ends. Another word for `short`.
    """

    def __init__(
        self,
        data: Sequence[dict],
        num_draws: int,
        window: int = 7,
        strides: Sequence[int] = (1, 2, 3),
        crop_size: Sequence[int] | None = (256, 256),
        transform: Transform | None = None,
        seed: int = 0,
        cache_gib: float = 4.0,
        short: str = "refuse",
    ) -> None:
        self.pullbacks = PullbackSet(data, crop_size, cache_gib)
        self.data, self.num_draws, self.seed, self.transform, self.cache_gib, self.short = (
            data,
            num_draws,
            seed,
            transform,
            cache_gib,
            short,
        )
        self.window, self.strides = whole_number("--window", window, 3), whole_numbers("--strides", strides)
        self.crop_size = self.pullbacks.crop_size
        if short not in SHORT:
            raise InputError("short", f"is {short!r}", f"choose from {', '.join(SHORT)}")
        counts = np.array([len(frames) for frames in self.pullbacks.ranges])
        least = (window - 1) * min(self.strides) + 1
        if short == "skip" and max(counts) >= least:
            counts[counts < least] = 0
        elif short != "still":
            self.pullbacks.require_frames(least, f"a window of {window} frames")
        longest = (max(counts) - 1) // (window - 1)
        if max(self.strides) > longest:
            logger.warning("--strides: no pullback holds %d frames at strides above %d", window, longest)
        self._shares = counts / counts.sum()

    def __len__(self) -> int:
        return self.num_draws

    def __getitem__(self, index: int) -> dict:
        """Window `index`: "image" `(window, 1, h, w)` in [0, 1], "stride" (0: still), "first" and "patient"."""
        rng = np.random.default_rng([self.seed, index])
        pullback = int(rng.choice(len(self._shares), p=self._shares))
        usable = self.pullbacks.ranges[pullback]
        spans = {stride: (self.window - 1) * stride + 1 for stride in self.strides}
        fitting = [s for s, span in spans.items() if span <= len(usable)]
        stride = int(rng.choice(fitting)) if fitting else 0
        first = usable.start + int(rng.integers(len(usable) - stride * (self.window - 1)))
        indices = [first + stride * step for step in range(self.window)]
        frames = self.pullbacks.field(pullback, indices, rng.random(2))
        coordinates = self.pullbacks.cache.info(self.pullbacks.paths[pullback]).coordinates
        item = {"image": torch.from_numpy(frames), "coordinates": coordinates}
        image = augmented(self.transform, item, self.seed, index)["image"]
        return {
            "image": cropped(image, self.crop_size, rng.random(2))[:, None],
            "stride": stride,
            "first": first,
            "patient": self.pullbacks.patients[pullback],
        }


class EpochWindowSampler(DistributedSampler):
    """Fresh indices for a :class:`RandomWindowDataset` in every epoch, the same ones whenever that epoch is run.

    Epoch e gets the indices from e * len on, dealt out to the ranks in turn. MONAI's engines call `set_epoch` of any
    `DistributedSampler` when an epoch starts, before Ignite opens the iterator of the loader.

    Args:
        dataset: windows by any index from 0 up.
        num_replicas: processes; by default those of the initialised process group, or 1.
        rank: of this process; by default from the process group, or 0.
    """

    def __init__(self, dataset: Dataset, num_replicas: int | None = None, rank: int | None = None) -> None:
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            num_replicas, rank = num_replicas or 1, rank or 0
        super().__init__(dataset, num_replicas=num_replicas, rank=rank)

    def __iter__(self) -> Iterator[int]:
        start = self.epoch * self.total_size
        return iter(range(start + self.rank, start + self.total_size, self.num_replicas))


class GridWindowDataset(Dataset):
    """Fixed windows for validation and test: consecutive gaps along each pullback, crops on a fixed grid (A24).

    A window is `gap + 1` frames; its last frame is the first of the next window. Each is cut at all places of a grid of
    adjoining crops whose offset is drawn once per file name: the same places for every gap, stride and selection of
    pullbacks.

    Args:
        data: as :class:`RandomWindowDataset`.
        gap: frame steps between the two known frames, of which `gap - 1` frames are unknown.
        stride: frames per step.
        crop_size: (height, width) of the crop in pixels; None for whole frames.
        max_windows_per_pullback: at most this many gaps, evenly spread over the pullback; None for all.
        outer: also give the known frames beyond the two, for methods that read four.
        seed: of the grids' offsets.
        cache_gib: see `custom.data.frame_cache.FrameCache`.

    Raises:
        InputError: a pullback is unusable, smaller than the crop or shorter than a gap; names the file.
    """

    def __init__(
        self,
        data: Sequence[dict],
        gap: int = 6,
        stride: int = 1,
        crop_size: Sequence[int] | None = (256, 256),
        max_windows_per_pullback: int | None = None,
        outer: bool = False,
        seed: int = 0,
        cache_gib: float = 4.0,
    ) -> None:
        self.pullbacks = PullbackSet(data, crop_size, cache_gib)
        self.gap, self.stride, self.outer = gap, stride, outer
        if max_windows_per_pullback is not None:
            whole_number("--val_windows, in evaluation --max_windows_per_pullback", max_windows_per_pullback)
        self.pullbacks.require_frames(gap * stride + 1, f"a gap of {gap} at stride {stride}")
        self.windows: list[tuple[int, int, tuple[int, int]]] = []  # (pullback, first frame, crop corner)
        for pullback, (path, usable) in enumerate(zip(self.pullbacks.paths, self.pullbacks.ranges, strict=True)):
            firsts = np.arange(usable.start, usable.stop - gap * stride, gap * stride)
            if max_windows_per_pullback is not None and max_windows_per_pullback < len(firsts):
                firsts = firsts[np.linspace(0, len(firsts) - 1, max_windows_per_pullback).round().astype(int)]
            corners = _crop_grid(self.pullbacks.cache.info(path).shape[:2], self.pullbacks.crop_size, seed, stem(path))
            self.windows += [(pullback, int(first), corner) for first in firsts for corner in corners]

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> dict:
        """Window `index`.

        Returns:
            "image" `(gap + 1, 1, h, w)` in [0, 1], "patient", "scan", "first", "crop" and, if asked for, "outer"
            `(2, 1, h, w)`, the known frames before and after, one gap away, replicated at the ends of the pullback.
        """
        pullback, first, corner = self.windows[index]
        indices = with_outer(first, self.gap, self.stride, self.pullbacks.ranges[pullback])
        indices = indices if self.outer else indices[1:-1]
        frames = torch.from_numpy(self.pullbacks.cut(pullback, indices, corner))
        return {
            "image": frames[1:-1] if self.outer else frames,
            **({"outer": frames[[0, -1]]} if self.outer else {}),
            "patient": self.pullbacks.patients[pullback],
            "scan": stem(self.pullbacks.paths[pullback]),
            "first": first,
            "crop": corner,
        }


def _crop_grid(size: Sequence[int], crop: Sequence[int] | None, seed: int, name: str) -> list[tuple[int, int]]:
    """Upper left corners of as many adjoining crops as fit into a frame, the whole grid at a seeded offset."""
    if crop is None:
        return [(0, 0)]
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    counts = [length // edge for length, edge in zip(size, crop, strict=True)]
    spare = [length % edge for length, edge in zip(size, crop, strict=True)]
    offset = [int(rng.integers(rest + 1)) for rest in spare]
    return [(offset[0] + i * crop[0], offset[1] + j * crop[1]) for i in range(counts[0]) for j in range(counts[1])]
