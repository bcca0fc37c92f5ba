# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What data a training saw, by content: moved or renamed files are the same data, others under the same names are not.

A file is hashed once. Its digest is kept in `$XDG_CACHE_HOME/cardiac_slice_interpolation` (by default in `~/.cache`)
under a name made of its path, size and times of change, so that a large data set does not delay every start. Only
digests are stored there: paths can name patients.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from custom.errors import InputError
from custom.files import atomic
from custom.scans.provenance import sha256_of

FILE_KEYS = ("image", "label")
"""Entries of a datalist that name files."""
SETTLED_NS = 2 * 10**9
"""A file changed more recently than this may change again within the same tick of its clock: its digest is not kept."""
SHOWN_BYTES = 2**30
"""From here on hashing takes long enough for a progress bar."""


def file_fingerprint(path: str | Path) -> str:
    """SHA-256 of a file as hexadecimal digits.

    Raises:
        InputError: it is not there or cannot be read.
    """
    state, kept = _state(path)
    with suppress(OSError):
        if len(digest := kept.read_text()) == 64:
            return digest
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror or error})", "restore it or name another") from error
    if time.time_ns() - max(state.st_mtime_ns, state.st_ctime_ns) > SETTLED_NS:
        # A cache that cannot be written costs time, no more.
        with suppress(InputError), atomic(kept) as temporary:
            temporary.write_text(digest)
    return digest


def datalist_fingerprint(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What tells one section of a datalist from another: the content of its files and all that its entries say.

    Args:
        entries: as `custom.data.datalist.load_datalist` gives them. Their order counts: draws go by it.

    Returns:
        "scans" and "patients", their numbers, and "sha256" of everything.

    Raises:
        InputError: a file is not there or cannot be read.
    """
    paths = [entry[key] for entry in entries for key in FILE_KEYS if key in entry]
    states = [_state(path) for path in paths]
    shown = sum(state.st_size for state, kept in states if not kept.is_file()) > SHOWN_BYTES
    digests = {path: file_fingerprint(path) for path in tqdm(paths, "Taking fingerprints", disable=not shown)}
    contents = [
        {key: digests[value] if key in FILE_KEYS else value for key, value in entry.items()} for entry in entries
    ]
    digest = hashlib.sha256(json.dumps(contents, sort_keys=True, default=str).encode()).hexdigest()
    return {"scans": len(entries), "patients": len({str(e["patient"]) for e in entries}), "sha256": digest}


def _state(path: str | Path) -> tuple[os.stat_result, Path]:
    """A file's size and times, and where its digest is kept."""
    path = Path(path).absolute()
    try:
        state = path.stat()
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror or error})", "restore it or name another") from error
    name = f"{path}\n{state.st_size}\n{state.st_mtime_ns}\n{state.st_ctime_ns}"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return state, Path(base) / "cardiac_slice_interpolation" / hashlib.sha256(name.encode()).hexdigest()
