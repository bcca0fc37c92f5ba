# Copyright 2026 The CardioInterp Bundles Authors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Frames of many pullbacks at random, without reading files again and again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
from torch.utils.data import get_worker_info
from tqdm.contrib.concurrent import thread_map

from custom.data.pullbacks import PullbackInfo, PullbackReader, inspect_pullback

_shared: WeakValueDictionary[tuple, FrameCache] = WeakValueDictionary()


def shared_frame_cache(paths: Iterable[Path], cache_gib: float) -> FrameCache:
    """The one cache of these files in this process, for as long as a data set uses it.

    The stages of a training and the factors of an evaluation read the same pullbacks: they are checked once and held
    once. A file that has changed since makes another cache.
    """
    paths = list(dict.fromkeys(paths))
    stats = [path.stat() if path.is_file() else None for path in paths]
    key = (cache_gib, *((p, s and (s.st_mtime_ns, s.st_size)) for p, s in zip(paths, stats, strict=True)))
    cache = _shared.get(key)
    if cache is None:
        cache = _shared[key] = FrameCache(paths, cache_gib)
    return cache


class FrameCache:
    """Frames of many pullbacks, with the most recently used compressed ones kept in memory as stored on disk.

    Stepping back in a `.nii.gz` means reading it from its beginning, so those are held whole. A `.nii` is read frame by
    frame from disk, where the operating system caches it: convert what does not fit into memory.

    Args:
        paths: the pullbacks. Each is checked in full at once, so that a bad one stops a training before it begins.
        cache_gib: memory for compressed pullbacks in GiB, shared equally by the workers of a `DataLoader`. At least one
            pullback is always held.

    Raises:
        InputError: a pullback is unusable (:func:`inspect_pullback`).
    """

    def __init__(self, paths: Iterable[Path], cache_gib: float) -> None:
        self.cache_gib = cache_gib
        paths = list(dict.fromkeys(paths))
        # Decompression and file access leave the interpreter free, so threads help.
        infos = thread_map(inspect_pullback, paths, desc="Checking pullbacks", disable=len(paths) < 8)
        self._infos: dict[Path, PullbackInfo] = dict(zip(paths, infos, strict=True))
        self._pullbacks: OrderedDict[Path, np.ndarray] = OrderedDict()

    def info(self, path: Path) -> PullbackInfo:
        """What is in one of the files."""
        return self._infos[path]

    def frames(self, path: Path, indices: Sequence[int]) -> np.ndarray:
        """Frames `(len(indices), H, W)` in the stored dtype; the caller normalises what it keeps of them."""
        info = self.info(path)
        if path.suffix == ".gz":
            return self._whole(info)[list(indices)]
        with PullbackReader(info) as reader:
            return np.stack([reader.stored(k) for k in indices])

    def _whole(self, info: PullbackInfo) -> np.ndarray:
        if info.path in self._pullbacks:
            self._pullbacks.move_to_end(info.path)
            return self._pullbacks[info.path]
        worker = get_worker_info()
        limit = self.cache_gib * 2**30 / (worker.num_workers if worker else 1)
        needed = int(np.prod(info.shape)) * info.dtype.itemsize
        while self._pullbacks and needed + sum(kept.nbytes for kept in self._pullbacks.values()) > limit:
            self._pullbacks.popitem(last=False)
        frames = np.empty((info.shape[2], *info.shape[:2]), info.dtype)
        with PullbackReader(info) as reader:
            for k in range(len(reader)):
                frames[k] = reader.stored(k)
        self._pullbacks[info.path] = frames
        return frames
