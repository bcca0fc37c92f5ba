# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The pullbacks of a datalist, and what is cut from them: frames at given places of the plane."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from custom.data.frame_cache import shared_frame_cache
from custom.data.sizes import plane_size
from custom.errors import InputError, TooShort

FIELD = 1.5
"""Of a crop's edges: so much of large frames is changed at random before the crop is cut, to save time."""


class PullbackSet:
    """The pullbacks of a datalist with the frames of each that may be used, and windows cut from them."""

    def __init__(self, datalist: Sequence[dict], crop_size: Sequence[int] | None, cache_gib: float) -> None:
        if not datalist:
            raise ValueError("The datalist has no pullbacks.")
        self.crop_size = plane_size("--crop_size", crop_size)
        self.paths = [Path(item["image"]) for item in datalist]
        self.cache = shared_frame_cache(self.paths, cache_gib)
        self.patients = [str(item["patient"]) for item in datalist]
        self.ranges: list[range] = []
        for path, item in zip(self.paths, datalist, strict=True):
            info = self.cache.info(path)
            self.ranges.append(range(info.shape[2])[slice(*item.get("frames", (None,)))])
            if self.crop_size and (info.shape[0] < self.crop_size[0] or info.shape[1] < self.crop_size[1]):
                fault = f"frames of {info.shape[0]}x{info.shape[1]} are smaller than the crop {self.crop_size}"
                raise InputError(path, fault, "choose a smaller --crop_size")

    def require_frames(self, count: int, why: str) -> None:
        """Raises TooShort if a pullback has fewer than `count` usable frames."""
        for path, frames in zip(self.paths, self.ranges, strict=True):
            if len(frames) < count:
                remedy = "remove it from the datalist or widen its frame range"
                raise TooShort(path, f"{len(frames)} usable frames, {why} needs {count}", remedy)

    def cut(self, pullback: int, indices: Sequence[int], corner: tuple[int, int]) -> np.ndarray:
        """Crop of the given frames, `(L, 1, h, w)` float32 in [0, 1]."""
        height, width = self.crop_size or self.cache.info(self.paths[pullback]).shape[:2]
        y, x = corner
        return self._unit(pullback, indices, slice(y, y + height), slice(x, x + width))[:, None]

    def field(self, pullback: int, indices: Sequence[int], places: Sequence[float]) -> np.ndarray:
        """The given frames, `(L, H, W)` float32 in [0, 1], without what is far from a crop.

        Args:
            pullback: of the set.
            indices: of its frames.
            places: where along rows and columns, in [0, 1) of all possible. All rows of polar frames are given.
        """
        info = self.cache.info(self.paths[pullback])
        spans = [slice(None), slice(None)]
        for axis in range(2) if self.crop_size else ():
            size = min(info.shape[axis], round(FIELD * self.crop_size[axis]))
            start = int(places[axis] * (info.shape[axis] - size + 1))
            if axis == 1 or info.coordinates != "polar":
                spans[axis] = slice(start, start + size)
        return self._unit(pullback, indices, *spans)

    def _unit(self, pullback: int, indices: Sequence[int], rows: slice, columns: slice) -> np.ndarray:
        path = self.paths[pullback]
        low, high = self.cache.info(path).intensity_range
        values = self.cache.frames(path, indices)[:, rows, columns].astype(np.float32)
        return ((values - low) / (high - low)).clip(0, 1)
