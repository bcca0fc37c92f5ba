# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Zips of scans, such as UK Biobank field 20209, unpacked where they do no harm."""

from __future__ import annotations

import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from custom.errors import InputError

MAX_UNPACKED_BYTES = 16 * 2**30
MAX_UNPACKED_FILES = 100_000
_SPACE = "free some space or set TMPDIR"


@contextmanager
def unpacked(path: Path, max_bytes: int = MAX_UNPACKED_BYTES, max_files: int = MAX_UNPACKED_FILES) -> Iterator[Path]:
    """The files of a zip in a temporary folder, which goes when the context ends.

    Files are numbered and flat, whatever folders the zip names: nothing can lead out of the folder. Bytes are counted
    as they come out, since a zip may lie about sizes.

    Raises:
        InputError: damaged, encrypted, or larger than the limits.
    """
    remedy = "fetch the zip again, or unpack it yourself and give the folder"
    try:
        temporary = tempfile.TemporaryDirectory(prefix="cmr_zip_")
    except OSError as error:
        raise InputError(path, f"cannot be unpacked ({error.strerror or error})", _SPACE) from error
    with temporary as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                members = [member for member in archive.infolist() if not member.is_dir()]
                if len(members) > max_files:
                    raise InputError(path, f"holds {len(members)} files, more than {max_files}", remedy)
                left = max_bytes
                for k, member in enumerate(members):
                    name = re.sub(r"[^\w.-]", "-", Path(member.filename).name.lstrip("."))[-80:]
                    with archive.open(member) as packed, open(Path(folder) / f"{k:06d}_{name}", "wb") as out:
                        while part := packed.read(2**20):
                            left -= len(part)
                            if left < 0:
                                raise InputError(path, f"unpacks to more than {max_bytes >> 20} MiB", remedy)
                            out.write(part)
        except InputError:
            raise
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error) as error:
            raise InputError(path, f"is a zip that cannot be unpacked ({error})", remedy) from error
        except OSError as error:
            fault = f"cannot be unpacked into {tempfile.gettempdir()} ({error.strerror or error})"
            raise InputError(path, fault, _SPACE) from error
        yield Path(folder)


def is_zip(path: Path) -> bool:
    """Whether a name is that of a zip; a damaged one is told when it is unpacked."""
    return path.suffix.lower() == ".zip"
