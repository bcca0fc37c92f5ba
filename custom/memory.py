# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Memory of a process that is there to run networks on the CPU."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of `mallopt` in glibc's malloc.h."""


def keep_freed_memory() -> bool:
    """Let the process keep memory that is freed, and use it again, instead of giving it back to the system.

    Each layer of a network frees and asks for blocks of many MiB. glibc hands such blocks back, and the system then
    clears every page of the next one: a quarter of the processor time of CaLID on slices of 256x256. The process holds
    its most memory to its end, so this is for commands and not for servers.

    Returns:
        Whether this C library can be told so.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries than glibc have none
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
