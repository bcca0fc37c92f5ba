# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The table of anatomy in interpolated slices, in the form of CaLID's Table II."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from custom.metrics.statistics import bootstrap_interval
from custom.report.printed import PaperTable
from custom.scans.labels import CLASS_NAMES

REGIONS: dict[int, str] = dict(zip(CLASS_NAMES, ("LVC", "LVM", "RVC"), strict=True))
"""Structures as CaLID's Table II calls them."""
MEASURES: dict[str, str] = {
    "dice": "Dice ↑",
    "asd": "ASD ↓ (mm)",
    "hd": "HD ↓ (mm)",
    "assd": "ASSD ↓ (mm)",
    "missed": "Missed ↓ (%)",
}


def anatomy_table(
    rows: Sequence[Mapping[str, Any]], paper: PaperTable, digits: int = 3
) -> tuple[list[str], list[list[str]]]:
    """Table II: regions and measures down, methods across, the paper's columns last and marked as theirs.

    Means are over patients, of the means over their slices. Dice counts a miss as 0; distances are of what was found,
    so they are read together with the share that was missed.

    Args:
        rows: of `custom.evaluation.anatomy.anatomy_rows`, of all methods.
        paper: whose numbers stand beside ours, if it has any.
        digits: decimals shown.

    Returns:
        Header and rows of text; a dash where there is nothing to average.
    """
    cells: dict[tuple[str, int], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        cells[row["method"], int(row["class"])].append(row)
    methods = list(dict.fromkeys(row["method"] for row in rows))
    regions = {k: name for k, name in REGIONS.items() if any((method, k) in cells for method in methods)}
    theirs = list(paper.anatomy["Mean"]["dice"]) if paper.anatomy else []
    header = ["Region", "Measure", *methods, *(f"{name}, {paper.anatomy_label}" for name in theirs)]
    body = []
    for region in ["Mean", *regions.values()]:
        of_region = regions if region == "Mean" else {k: name for k, name in regions.items() if name == region}
        for measure, label in MEASURES.items():
            means = [[_mean(cells[method, k], measure) for k in of_region] for method in methods]
            ours = ["-" if None in values or not values else f"{np.mean(values):.{digits}f}" for values in means]
            printed = paper.anatomy.get(region, {}).get(measure, {})
            body.append([region, label, *ours, *(f"{printed[n]:.3f}" if n in printed else "-" for n in theirs)])
    for k, name in regions.items():
        counts = [len(cells[method, k]) for method in methods]
        patients = [len({row["patient"] for row in cells[method, k]}) for method in methods]
        numbers = [f"{n} ({p} patients)" for n, p in zip(counts, patients, strict=True)]
        body.append([name, "Slices", *numbers, *("-" for _ in theirs)])
    return header, body


def _mean(rows: Sequence[Mapping[str, Any]], measure: str) -> float | None:
    """Mean over patients of one structure; of "missed" in percent."""
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row[measure] is not None:
            values[str(row["patient"])].append(100.0 * row[measure] if measure == "missed" else float(row[measure]))
    return bootstrap_interval(values).mean if values else None
