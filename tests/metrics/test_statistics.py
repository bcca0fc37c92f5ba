# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from custom.metrics.statistics import bootstrap_interval, paired_difference


def cohort(num_patients: int, seed: int = 0, shift: float = 0.0) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    return {f"P{k:02d}": list(rng.normal(30 + rng.normal(0, 2), 0.5, size=5) + shift) for k in range(num_patients)}


def test_interval_covers_the_truth_as_often_as_it_says():
    hits = 0
    for seed in range(100):
        interval = bootstrap_interval(cohort(25, seed), num_resamples=400)
        assert interval.low < interval.mean < interval.high
        hits += interval.low <= 30 <= interval.high
    assert 85 <= hits <= 99


def test_patients_not_frames_are_resampled():
    """Frames repeated a hundredfold are no new evidence."""
    values = cohort(8)
    repeated = {patient: v * 100 for patient, v in values.items()}
    assert bootstrap_interval(repeated) == pytest.approx(bootstrap_interval(values))


def test_patients_count_once_each():
    assert bootstrap_interval({"a": [0.0] * 99, "b": [1.0]}).mean == 0.5


def test_interval_is_reproducible():
    values = cohort(8)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values)
    wide, narrow = bootstrap_interval(values, level=0.99), bootstrap_interval(values, level=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_one_patient_has_a_mean_and_no_interval():
    assert bootstrap_interval({"a": [1.0, 3.0]}) == (2.0, None, None)
    assert paired_difference({"a": [1.0, 3.0]}, {"a": [0.0, 0.0]}) == (2.0, None, None, None)


def test_paired_difference_sees_what_patients_hide():
    """A gain of 0.3 dB under a spread of 2 dB between patients: only the pairing shows it."""
    a = cohort(12, shift=0.3)
    b = cohort(12)
    rng = np.random.default_rng(9)
    a = {patient: [v + rng.normal(0, 0.1) for v in values] for patient, values in a.items()}
    result = paired_difference(a, b)
    assert result.mean == pytest.approx(0.3, abs=0.05)
    assert 0 < result.low < result.mean < result.high
    assert result.p_value < 0.01
    backwards = paired_difference(b, a)
    assert backwards.mean == pytest.approx(-result.mean) and backwards.p_value == pytest.approx(result.p_value)


def test_no_p_value_for_few_patients():
    assert paired_difference(cohort(5, shift=1.0), cohort(5)).p_value is None
    assert paired_difference(cohort(6, shift=1.0), cohort(6)).p_value == pytest.approx(2 / 2**6)


def test_a_method_against_itself_shows_nothing():
    assert paired_difference(cohort(7), cohort(7)) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    "call",
    (
        lambda: bootstrap_interval({}),
        lambda: bootstrap_interval({"a": [1.0], "b": []}),
        lambda: paired_difference({"a": [1.0]}, {"b": [1.0]}),
        lambda: paired_difference({"a": [1.0]}, {"a": [1.0, 2.0]}),
    ),
)
def test_unusable_input_is_refused(call):
    with pytest.raises(ValueError, match="patient"):
        call()
