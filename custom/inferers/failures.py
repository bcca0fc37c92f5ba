# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""`failures.csv` beside the outputs: which scans failed, and why; absent where none did."""

from __future__ import annotations

import csv
import logging
from collections.abc import Collection, Mapping
from pathlib import Path

from custom.errors import InputError
from custom.files import atomic

logger = logging.getLogger(__name__)
FAILURES = "failures.csv"


def write_failures(output_dir: str | Path, scans: Collection[str], faults: Mapping[str, str]) -> None:
    """Write what failed. Every process of a run knows of all failures and writes the same.

    Args:
        output_dir: of the outputs.
        scans: all scans of this run; rows of others, of earlier runs, stay.
        faults: scan to what is wrong. Of all paths only names are written.
    """
    path, names = Path(output_dir) / FAILURES, {Path(scan).name for scan in scans}
    rows = {name: fault for name, fault in read_failures(path).items() if name not in names}
    rows |= {Path(scan).name: fault.replace(scan, Path(scan).name) for scan, fault in faults.items()}
    try:
        if not rows:
            path.unlink(missing_ok=True)
            return
        with atomic(path) as temporary, open(temporary, "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("scan", "reason"), *sorted(rows.items())])
    except (InputError, OSError) as error:  # such as a full disk: the log and the exit code say it as well
        logger.error("%s", error)


def read_failures(path: Path) -> dict[str, str]:
    """Name of a scan to what is wrong; empty where there is no such table."""
    try:
        with open(path, newline="") as file:
            return {row["scan"]: row["reason"] for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, csv.Error):
        return {}
