# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What of an input is passed over, and why; and what could not be looked into, which is a failure."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from custom.errors import InputError, closed, closed_file
from custom.importers.intake import FATES, place_of

logger = logging.getLogger(__name__)
LeftOut = list[tuple[Path, str]]
"""Files and folders, and why they are passed over."""
MAX_TOLD = 20


class Unread(str):
    """Why something could not be looked into. Unlike other reasons it is a failure: a scan may be in there."""


def closed_places(root: Path, is_read_later: Callable[[Path], bool]) -> LeftOut:
    """Folders below a root, or it, and files that the user may not read; all their reasons are `Unread`.

    Args:
        root: a folder; what is hidden in it is not looked at.
        is_read_later: whether a file has a reader that will say so itself.
    """
    found = []

    def tell(error: OSError) -> None:
        found.append(closed(error.filename, error))

    for parent, folders, files in os.walk(root, onerror=tell):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for path in (Path(parent) / name for name in sorted(files) if name[0] != "."):
            if not is_read_later(path) and (fault := closed_file(path)):
                found.append(fault)
    return [(Path(fault.path), Unread(f"{fault.fault}; {fault.remedy}")) for fault in found]


def tell_left_out(left_out: LeftOut, root: Path) -> list[dict[str, str]]:
    """Say what was left out, the first `MAX_TOLD` of it, and all that could not be read; returns rows of `sources.csv`.

    Args:
        left_out: what, and why.
        root: the input, which sources are told relative to.
    """
    rows = []
    passed = [(path, reason) for path, reason in left_out if not isinstance(reason, Unread)]
    for path, reason in passed[:MAX_TOLD]:
        logger.info("left out %s: %s", below(path, root), reason)
    if len(passed) > MAX_TOLD:
        logger.info("left out %d more, all in %s", len(passed) - MAX_TOLD, FATES)
    for path, reason in left_out:
        is_failure = isinstance(reason, Unread)
        if is_failure:
            logger.error("%s: %s", path, reason)
        fate = "failed" if is_failure else "left out"
        rows.append({"source": below(path, root), "place": place_of(path), "fate": fate, "reason": reason})
    return rows


def nothing_left(left_out: LeftOut, remedy: str) -> InputError:
    """The fault of an input all of which was left out: the first that could not be read, or else the first.

    Args:
        left_out: what, and why; not empty.
        remedy: where the reason has none.
    """
    path, reason = next((item for item in left_out if isinstance(item[1], Unread)), left_out[0])
    fault, _, own = reason.partition("; ")
    return InputError(path, fault, own or remedy)


def failed(count: int, total: int, what: str, left_out: LeftOut) -> str:
    """How many failed, in the words that a command ends with; empty where all was done.

    Args:
        count: of scans that failed.
        total: of scans.
        what: they are, such as "scans".
        left_out: what of it could not be read counts as well.
    """
    return ", ".join(filter(None, [f"{count} of {total} {what} failed" if count else "", unread(left_out)]))


def unread(left_out: LeftOut) -> str:
    """How much of the input could not be read, in words; empty where all could."""
    count = sum(isinstance(reason, Unread) for _, reason in left_out)
    return f"{count} file{'s' * (count != 1)} or folder{'s' * (count != 1)} could not be read" if count else ""


def below(path: Path, root: Path) -> str:
    """A path as tables hold it: relative to the input, since absolute ones can name people and machines."""
    return path.name if path == root else path.relative_to(root if root.is_dir() else root.parent).as_posix()
