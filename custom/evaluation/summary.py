# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""From the rows of `metrics.csv` to one line per method and factor: means over patients, and how sure they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from custom.evaluation.modality import Modality
from custom.evaluation.records import by_patient
from custom.evaluation.scoring import NOT_AVAILABLE
from custom.metrics.statistics import bootstrap_interval, paired_difference

Line = dict[str, Any]


def summarise(rows: Sequence[Mapping[str, str]], baseline: str, modality: Modality) -> list[Line]:
    """One line per method and factor.

    Args:
        rows: of `metrics.csv`, as text.
        baseline: method whose paired difference with each other method is given; absent methods are no error.
        modality: which metrics.

    Returns:
        Lines with `method`, `kind`, `inputs`, `samples`, `factor`, `patients`, `images` (unknown frames or slices; each
        phase of a cine counts), `seconds` per frame or slice (a cine slice with all its phases) and, for every metric
        `m`, its mean `m` and interval `m_low`, `m_high`; for PSNR and SSIM also the paired difference with the
        baseline, `m_difference`, `…_low`, `…_high`, `…_p` (Wilcoxon, over patients).
        Each is None where there is no such number: intervals with a single patient, a metric without its weights.
    """
    cells: dict[tuple[str, str], list[Mapping[str, str]]] = defaultdict(list)
    for row in rows:
        cells[row["method"], row["factor"]].append(row)
    lines = []
    for (method, factor), mine in cells.items():
        inputs = sorted({row["inputs"] for row in mine})
        line: Line = {"method": method, "kind": mine[0]["kind"], "inputs": " or ".join(inputs)}
        line |= {"samples": int(mine[0]["samples"]), "factor": int(factor)}
        line |= {"patients": len({row["patient"] for row in mine}), "images": sum(int(r["phases"]) for r in mine)}
        for metric in modality.metrics:
            available = mine[0][metric.key] != NOT_AVAILABLE
            interval = bootstrap_interval(by_patient(mine, metric.key)) if available else (None, None, None)
            line |= dict(zip((metric.key, f"{metric.key}_low", f"{metric.key}_high"), interval, strict=True))
        line["seconds"] = sum(float(row["seconds"]) for row in mine) / len(mine)
        for key in ("psnr", "ssim"):
            names = [f"{key}_difference{end}" for end in ("", "_low", "_high", "_p")]
            theirs = cells.get((baseline, factor), [])
            if theirs and method != baseline:
                difference = paired_difference(by_patient(mine, key), by_patient(theirs, key))
                line |= dict(zip(names, difference, strict=True))
            else:
                line |= dict.fromkeys(names)
        lines.append(line)
    return lines
