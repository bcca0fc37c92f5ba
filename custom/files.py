# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Files that are complete or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from custom.errors import InputError


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary name in the folder of `path`; what was written there takes its name when the context ends well.

    A kill leaves the old file or the new one, an exception leaves the old one and nothing else. The temporary name is
    hidden and keeps the suffixes of `path`, for libraries that tell a format by them.

    Args:
        path: of the file to come; its folder is made if needed.

    Yields:
        Where to write.

    Raises:
        InputError: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".part.{os.getpid()}.{path.name}")  # two processes do not meet
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        fault = f"cannot be written ({error.strerror or error})"
        raise InputError(path, fault, "free some space or choose another output folder") from error
    finally:
        with suppress(OSError):  # such as a folder that is a file: told above
            temporary.unlink(missing_ok=True)
