# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from custom.evaluation.oct_sampling import SAMPLINGS, read_frames
from custom.metrics.speckle import KNEE, REAL, despeckled, speckle_statistics


def speckled(contrast, sigma, gray=0.3, shape=(2, 200, 160), seed=0):
    """Frames of one gray whose amplitude deviates by `contrast`, log-normally, with a Gaussian grain."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), (0, *sigma), mode="wrap")
    amplitude = np.expm1(gray / KNEE) * np.exp(contrast * noise / noise.std())
    return (KNEE * np.log1p(amplitude)).astype(np.float32)


@pytest.mark.parametrize("gray", [0.2, 0.35])
def test_contrast_is_that_of_the_amplitude_whatever_the_gray(gray):
    for contrast in (0.1, 0.3):
        assert speckle_statistics(speckled(contrast, (0.8, 1.2), gray)).contrast == pytest.approx(contrast, rel=0.08)


def test_lengths_are_where_the_correlation_is_one_over_e():
    found = speckle_statistics(speckled(0.3, (0.75, 1.25)))  # the correlation of a Gaussian kernel is e^-1 at 2 sigma
    assert found.lateral == pytest.approx(1.5, rel=0.1) and found.axial == pytest.approx(2.5, rel=0.1)


def test_edges_and_the_dark_are_no_speckle():
    frames = speckled(0.3, (0.8, 1.2))
    plain = speckle_statistics(frames)
    frames[:, :, :60] = 0.02 * np.random.default_rng(1).random((2, 200, 60))  # a lumen
    frames[:, 80:120, 60:] = 0.9  # a wire
    found = speckle_statistics(frames)
    assert found.contrast == pytest.approx(plain.contrast, rel=0.1)
    assert found.axial == pytest.approx(plain.axial, rel=0.1)
    assert all(np.isnan(list(vars(speckle_statistics(np.zeros((1, 40, 40), np.float32))).values())))


def test_without_speckle_the_truth_under_it_is_left():
    truth = np.full((1, 120, 120), 0.3, np.float32)
    truth[:, :, 60:] = 0.15
    noisy = np.log1p(np.expm1(truth / KNEE) * np.expm1(speckled(0.35, (0.8, 1.2), 0.3, truth.shape) / KNEE)
                     / np.expm1(0.3 / KNEE)) * KNEE  # fmt: skip
    clean, blurred = despeckled(noisy), gaussian_filter(noisy, (0, 2, 2))
    error = [np.sqrt(np.square(x - truth).mean()) for x in (noisy, blurred, clean)]
    assert error[2] < 0.5 * error[0] and error[2] < error[1]
    step = [abs(x[0, :, 60].mean() - x[0, :, 59].mean()) for x in (blurred, clean)]
    assert step[1] > 2 * step[0]
    dark = np.zeros((1, 30, 30), np.float32)
    assert np.array_equal(despeckled(dark), dark)


def test_the_target_is_measured_from_real_frames(real_pullback):
    frames = SAMPLINGS["polar_497x375"](read_frames(real_pullback, 1, 100)[..., ::9]).transpose(2, 0, 1) / 255
    for name, value in vars(speckle_statistics(frames)).items():
        assert value == pytest.approx(getattr(REAL, name), rel=0.08), name
    averages = (frames[1:] + frames[:-1]) / 2
    assert speckle_statistics(averages).contrast == pytest.approx(REAL.contrast / np.sqrt(2), rel=0.1)
