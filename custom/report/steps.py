# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""`steps.csv` of a sweep over numbers of steps."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from custom.evaluation.modality import Modality
from custom.evaluation.rfid import FRECHET
from custom.evaluation.scoring import NOT_AVAILABLE
from custom.evaluation.summary import Line
from custom.files import atomic


def write_steps(
    path: Path, curves: Mapping[str, Mapping[int, Line]], levels: Mapping[str, Line], modality: Modality
) -> None:
    """One line per method and number of steps; methods without steps have none."""
    keys = [f"{metric.key}{end}" for metric in modality.metrics for end in ("", "_low", "_high")]
    keys += ([*FRECHET, "rfid_images"] if modality.has_rfid else []) + ["seconds", "patients", "images"]
    table: Sequence[tuple[str, int | str, Line]] = [
        *((name, steps, line) for name, at in curves.items() for steps, line in at.items()),
        *((name, "", line) for name, line in levels.items()),
    ]
    with atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "steps", *keys])
        for name, steps, line in table:
            writer.writerow([name, steps, *(_text(line.get(key)) for key in keys)])


def _text(value: float | int | None) -> str:
    if value is None:
        return NOT_AVAILABLE
    return f"{value:.6g}" if isinstance(value, float) else str(value)
