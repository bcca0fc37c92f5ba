# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Whether a process that wrote a file is still there."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def this_place() -> str:
    """This machine, and within it the container whose process numbers ours is one of."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return f"{socket.gethostname()} {space}"


def is_running(pid: int) -> bool:
    """Whether a process of this place is there, and has not only been killed and not fetched by its parent yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True
