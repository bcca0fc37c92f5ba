# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Whether a process that wrote a file is still there, and what those that are not have left half written."""

from __future__ import annotations

import os
import shutil
import socket
import time
from pathlib import Path

OLD_SECONDS = 7 * 24 * 3600
"""No run writes one scan for a week; on another machine, or in a container that is gone, only age tells."""


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


def hidden_beside(output: Path) -> Path:
    """A hidden name of this process's own beside an output, for what is not whole yet."""
    return output.with_name(f".{output.name}.{socket.gethostname()}-{os.getpid()}.part")


def clear_left_overs(folder: Path) -> None:
    """Remove what killed runs left in a folder under the names of :func:`hidden_beside`."""
    for left in folder.glob(".*.part"):
        if not _is_left_over(left):
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def _is_left_over(path: Path) -> bool:
    """Whether the process that made a hidden file or folder ran on this machine and is no more, or made it long ago."""
    host, _, process = path.name.removesuffix(".part").rpartition("-")
    if not process.isdigit():
        return False
    try:
        if time.time() - path.stat().st_mtime > OLD_SECONDS:
            return True
    except OSError:
        return False  # it has just been named
    return host.endswith(f".{socket.gethostname()}") and not is_running(int(process))
