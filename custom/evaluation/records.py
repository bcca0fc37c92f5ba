# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What finished cells leave on disk: rows of `metrics.csv`, and arrays."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from custom.evaluation.scoring import Metric
from custom.files import atomic


def columns(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """Columns of `metrics.csv`: one row per unknown frame or slice. `step` counts from the first known one."""
    window = ("method", "kind", "inputs", "samples", "factor", "patient", "scan", "first", "crop_y", "crop_x")
    return (*window, "step", "position", "phases", *(metric.key for metric in metrics), "seconds")


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows of `columns`, at least one, as CSV."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows written by `write_rows`, as text."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def by_patient(rows: Iterable[Mapping[str, str]], key: str) -> dict[str, list[float]]:
    """Patient -> the values of one column, in row order."""
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        values[row["patient"]].append(float(row[key]))
    return dict(values)


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Arrays by name as `.npz`, all or nothing."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)
