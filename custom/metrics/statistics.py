# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Uncertainty of a mean over patients: frames of one patient are no independent witnesses, so patients are the unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap, wilcoxon

# Below this, even a Wilcoxon test in which every patient agrees cannot reach p = 0.05 (two-sided: 2 / 2^5 = 0.0625).
MIN_PATIENTS_FOR_TEST = 6


class Interval(NamedTuple):
    """A mean over patients and its confidence interval; `low` and `high` are None where there is only one patient."""

    mean: float
    low: float | None
    high: float | None


class PairedDifference(NamedTuple):
    """Mean of a - b over patients, its confidence interval, and the p-value of a two-sided Wilcoxon signed-rank test.

    `low` and `high` are None for one patient, `p_value` is None below `MIN_PATIENTS_FOR_TEST` patients.
    """

    mean: float
    low: float | None
    high: float | None
    p_value: float | None


def bootstrap_interval(
    values_by_patient: Mapping[str, Sequence[float]], num_resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Mean of the patients' means, with a percentile bootstrap interval from resampling patients.

    Each patient counts once, however many frames it has.

    Args:
        values_by_patient: patient to the values of its frames.
        num_resamples: bootstrap resamples.
        level: confidence level, in (0, 1).
        seed: of the resampling.

    Raises:
        ValueError: no patient, or a patient without values.
    """
    means = np.array(list(_patient_means(values_by_patient).values()))
    if len(means) == 1:
        return Interval(float(means[0]), None, None)
    result = bootstrap(
        (means,), np.mean, n_resamples=num_resamples, confidence_level=level, method="percentile", rng=seed
    )
    low, high = result.confidence_interval
    return Interval(float(means.mean()), float(low), float(high))


def paired_difference(
    a_by_patient: Mapping[str, Sequence[float]],
    b_by_patient: Mapping[str, Sequence[float]],
    num_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    """Mean difference a - b of two methods on the same frames of the same patients.

    Args:
        a_by_patient: patient to the values of its frames, first method.
        b_by_patient: the same frames, second method.
        num_resamples: bootstrap resamples.
        level: confidence level, in (0, 1).
        seed: of the resampling.

    Raises:
        ValueError: patients or their numbers of frames differ, or there are none.
    """
    if {p: len(v) for p, v in a_by_patient.items()} != {p: len(v) for p, v in b_by_patient.items()}:
        raise ValueError("A paired difference needs the same patients, with the same number of values, on both sides.")
    a, b = _patient_means(a_by_patient), _patient_means(b_by_patient)
    differences = {patient: a[patient] - b[patient] for patient in a}
    interval = bootstrap_interval({p: [d] for p, d in differences.items()}, num_resamples, level, seed)
    values = np.array(list(differences.values()))
    if len(values) < MIN_PATIENTS_FOR_TEST:
        return PairedDifference(*interval, None)
    p_value = float(wilcoxon(values).pvalue) if values.any() else 1.0  # scipy has no answer to no difference at all
    return PairedDifference(*interval, p_value)


def _patient_means(values_by_patient: Mapping[str, Sequence[float]]) -> dict[str, float]:
    if not values_by_patient or any(len(values) == 0 for values in values_by_patient.values()):
        raise ValueError("Statistics by patient need at least one patient, and at least one value for each.")
    return {patient: float(np.mean(values)) for patient, values in values_by_patient.items()}
