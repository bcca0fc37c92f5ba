# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The table of what each method costs, and the ratios that the CaLID paper prints."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from custom.evaluation.speed import EQUAL_STEPS, PAPER_STEPS, machine
from custom.files import atomic
from custom.report.tables import markdown_table

#: "Up to a 24x" (CaLID, section V), of CaLID over its rivals.
PAPER_SPEEDUP = 24
_HEADINGS = {
    "method": "Method",
    "inputs": "Inputs",
    "parameters": "Parameters (M)",
    "steps": "Steps",
    "alone": "Seconds per {image}, alone",
    "batched": "Seconds per {image}, batch of {batch}",
    "alone_equal": f"Alone, {EQUAL_STEPS} steps",
    "batched_equal": f"Batched, {EQUAL_STEPS} steps",
    "memory": "Memory above the idle process (MiB)",
}


def speed_ratio(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences on the paper's speed-up: how much longer the other methods take at its steps than CaLID at 8."""
    at = {row["method"]: row["paper"] for row in rows if row.get("paper") is not None}
    if "CaLID" not in at:
        return []
    text = []
    for name, seconds in at.items():
        if name != "CaLID":
            ratio = f"{name} at {PAPER_STEPS[name]} steps takes {seconds / at['CaLID']:.1f} times as long as CaLID at 8"
            theirs = f"up to {PAPER_SPEEDUP} for its rivals" if name != "CaLID+" else "3 at equal steps"
            text.append(f"{ratio} (the paper: {theirs}).")
    return text


def speed_table(rows: Sequence[Mapping[str, Any]], image: str) -> tuple[list[str], list[list[str]]]:
    """Header and body."""
    batch = max(row["batch"] for row in rows)
    header = [heading.format(image=image, batch=batch) for heading in _HEADINGS.values()]
    return header, [[_show(key, row[key]) for key in _HEADINGS] for row in rows]


def write_speed(rows: Sequence[Mapping[str, Any]], folder: Path, image: str) -> None:
    """Write `speed.csv` and `speed.md`."""
    with atomic(folder / "speed.csv") as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    header, body = speed_table(rows, image)
    text = [
        f"# Seconds per {image}",
        "",
        f"Machine: {machine()}.",
        "",
        *markdown_table(header, body),
        "",
        *speed_ratio(rows),
    ]
    with atomic(folder / "speed.md") as temporary:
        temporary.write_text("\n".join(text).rstrip() + "\n", encoding="utf-8")


def _show(key: str, value: Any) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.2f}" if key == "parameters" else f"{value:.0f}" if key == "memory" else f"{value:.3g}"
