# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Frames and slices of many scans at random, without reading files again and again."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

import numpy as np
from torch.utils.data import get_worker_info
from tqdm.contrib.concurrent import thread_map

from custom.scans.pullbacks import PullbackReader, inspect_pullback
from custom.scans.scan import Scan
from custom.scans.stacks import inspect_stack, read_slices

logger = logging.getLogger(__name__)
Key = TypeVar("Key", bound=Hashable)

_shared: WeakValueDictionary[tuple, ScanCache] = WeakValueDictionary()


def shared_frame_cache(paths: Iterable[Path], cache_gib: float) -> FrameCache:
    """The one cache of these pullbacks in this process, see :func:`_shared_cache`."""
    paths = list(dict.fromkeys(paths))
    return _shared_cache(FrameCache, paths, paths, cache_gib)


def shared_stack_cache(stacks: Iterable[tuple[Path, int | None]], cache_gib: float) -> StackCache:
    """The one cache of these stacks, (path, through-plane axis or None), in this process."""
    stacks = list(dict.fromkeys(stacks))
    return _shared_cache(StackCache, stacks, [path for path, _ in stacks], cache_gib)


def _shared_cache(kind: type[ScanCache], keys: list, paths: list[Path], cache_gib: float) -> ScanCache:
    """A cache that lives for as long as a data set uses it.

    The stages of a training and the factors of an evaluation read the same scans: they are checked once and held once.
    A file that has changed since makes another cache.
    """
    stats = [path.stat() if path.is_file() else None for path in paths]
    versions = [(key, s and (s.st_mtime_ns, s.st_size)) for key, s in zip(keys, stats, strict=True)]
    name = (kind, cache_gib, *versions)
    cache = _shared.get(name)
    if cache is None:
        cache = _shared[name] = kind(keys, cache_gib)
    return cache


class ScanCache(ABC, Generic[Key]):
    """Many scans, the most recently used ones kept in memory as stored on disk.

    Args:
        keys: which scans. Each is checked in full at once, so that a bad one stops a training before it begins.
        cache_gib: memory for scans in GiB, shared equally by the workers of a `DataLoader`. At least one scan is always
            held.

    Raises:
        InputError: a scan is unusable.
    """

    def __init__(self, keys: Iterable[Key], cache_gib: float) -> None:
        self.cache_gib = cache_gib
        keys = list(dict.fromkeys(keys))
        logger.info("reading %d scan%s", len(keys), "" if len(keys) == 1 else "s")
        # Decompression and file access leave the interpreter free, so threads help.
        infos = thread_map(self._inspect, keys, desc="Checking scans", disable=len(keys) < 8)
        self._infos: dict[Key, Scan] = dict(zip(keys, infos, strict=True))
        self._held: OrderedDict[Key, np.ndarray] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Memory that the scans held now take."""
        return sum(kept.nbytes for kept in self._held.values())

    def __len__(self) -> int:
        """How many scans are held now."""
        return len(self._held)

    def info(self, key: Key) -> Scan:
        """What is in one of the files."""
        return self._infos[key]

    def whole(self, key: Key) -> np.ndarray:
        """All values of a scan in the stored dtype; do not change them."""
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        info, worker = self.info(key), get_worker_info()
        limit = self.cache_gib * 2**30 / (worker.num_workers if worker else 1)
        needed = int(np.prod(info.shape)) * info.dtype.itemsize
        while self._held and needed + self.nbytes > limit:
            self._held.popitem(last=False)
        values = self._held[key] = self._read(info)
        return values

    @staticmethod
    @abstractmethod
    def _inspect(key: Key) -> Scan:
        """Check a scan in full."""

    @staticmethod
    @abstractmethod
    def _read(info: Scan) -> np.ndarray:
        """All values of a scan in the stored dtype."""


class FrameCache(ScanCache[Path]):
    """Frames of pullbacks.

    Stepping back in a `.nii.gz` means reading it from its beginning, so those are held whole. A `.nii` is read frame by
    frame from disk, where the operating system caches it: convert what does not fit into memory.
    """

    def frames(self, path: Path, indices: Sequence[int]) -> np.ndarray:
        """Frames `(len(indices), H, W)` in the stored dtype; the caller normalises what it keeps of them."""
        if path.suffix == ".gz":
            return self.whole(path)[list(indices)]
        with PullbackReader(self.info(path)) as reader:
            return np.stack([reader.stored(k) for k in indices])

    @staticmethod
    def _inspect(key: Path) -> Scan:
        return inspect_pullback(key)

    @staticmethod
    def _read(info: Scan) -> np.ndarray:
        frames = np.empty((info.shape[2], *info.shape[:2]), info.dtype)
        with PullbackReader(info) as reader:
            for k in range(len(reader)):
                frames[k] = reader.stored(k)
        return frames


class StackCache(ScanCache[tuple[Path, "int | None"]]):
    """Slices `(N, T, H, W)` of short-axis stacks and cines, always held whole: they are small."""

    @staticmethod
    def _inspect(key: tuple[Path, int | None]) -> Scan:
        return inspect_stack(*key)

    @staticmethod
    def _read(info: Scan) -> np.ndarray:
        return read_slices(info)
