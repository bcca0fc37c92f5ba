# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a comparison comes to: the best method by each measure, and which of the others it is really better than."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from custom.evaluation.modality import Modality
from custom.evaluation.records import by_patient
from custom.evaluation.scoring import NOT_AVAILABLE, Metric
from custom.metrics.statistics import PairedDifference, bootstrap_interval, paired_difference

LEVEL = 0.05


_NOT_JUDGED = ("ssim_legacy", "detail")
"""SSIM once more, as another paper's code measured it; and how sharp an image looks, where repeating one is perfect."""


@dataclass(frozen=True)
class Verdict:
    """On one measure at one factor.

    Attributes:
        factor: steps per gap.
        metric: the measure.
        best: the best method, oracles apart.
        value: its mean over patients.
        beaten: methods it is significantly better than.
        level: methods from which it is not told apart.
        tested: by a Wilcoxon test (Holm); else, with few patients, by whether a paired 95 % interval leaves out 0.
        patients: their number; with one, nothing can be said.
    """

    factor: int
    metric: Metric
    best: str
    value: float
    beaten: tuple[str, ...]
    level: tuple[str, ...]
    tested: bool
    patients: int


def verdicts(rows: Sequence[Mapping[str, str]], modality: Modality) -> list[Verdict]:
    """The best method by every available measure at every factor.

    Args:
        rows: of `metrics.csv`, as text.
        modality: which measures.
    """
    cells: dict[int, dict[str, list[Mapping[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["kind"] == "method":
            cells[int(row["factor"])][row["method"]].append(row)
    found = []
    for factor in sorted(cells):
        for metric in modality.metrics:
            known = all(mine[0][metric.key] != NOT_AVAILABLE for mine in cells[factor].values())
            if known and metric.key not in _NOT_JUDGED:
                found.append(_verdict(factor, metric, cells[factor]))
    return found


def _verdict(factor: int, metric: Metric, rows: Mapping[str, list[Mapping[str, str]]]) -> Verdict:
    values = {name: by_patient(mine, metric.key) for name, mine in rows.items()}
    good = {
        name: {patient: [metric.goodness(float(np.mean(v)))] for patient, v in patients.items()}
        for name, patients in values.items()
    }
    best = max(good, key=lambda name: np.mean(list(good[name].values())))
    differences = {name: paired_difference(good[best], good[name]) for name in good if name != best}
    tested = bool(differences) and all(d.p_value is not None for d in differences.values())
    beaten = _holm(differences) if tested else {n for n, d in differences.items() if d.low is not None and d.low > 0}
    level = tuple(name for name in differences if name not in beaten)
    value = bootstrap_interval(values[best]).mean
    ahead = tuple(name for name in differences if name in beaten)
    return Verdict(factor, metric, best, value, ahead, level, tested, len(values[best]))


def _holm(differences: Mapping[str, PairedDifference]) -> set[str]:
    """Holm (1979): in the order of their p-values, as long as p is below LEVEL / (tests not yet passed)."""
    beaten: set[str] = set()
    for name in sorted(differences, key=lambda name: differences[name].p_value):
        if differences[name].p_value > LEVEL / (len(differences) - len(beaten)):
            break
        beaten.add(name)
    return beaten


def sentence(verdict: Verdict) -> str:
    """A verdict in words."""
    text = f"{verdict.metric.label}: {verdict.best} is best, {verdict.metric.show(verdict.value)}."
    if verdict.patients == 1:
        return f"{text} One patient: no difference can be told from chance."
    if not verdict.tested:
        few = f"{verdict.patients} patients are too few for a test"
        ahead = f"; by the paired 95 % interval it is ahead of {_list(verdict.beaten)}" if verdict.beaten else ""
        return f"{text} {few}{ahead}."
    beaten = _list(verdict.beaten) if verdict.beaten else "none"
    text += f" Significantly better than {beaten} (Wilcoxon over {verdict.patients} patients, Holm, p < {LEVEL})."
    return f"{text} Not told apart from {_list(verdict.level)}." if verdict.level else text


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
