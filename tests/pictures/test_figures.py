# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np

from custom.evaluation.modality import MODALITIES
from custom.pictures.figures import comparison, longitudinal, sequence
from custom.pictures.plotting import DPI


def example(factor, methods):
    draw = np.random.default_rng(factor)
    truth = draw.uniform(size=(2, factor + 1, 12, 10))
    return truth, {
        f"method {k}": truth[:, 1:-1] + 0.1 * draw.uniform(size=truth[:, 1:-1].shape) for k in range(methods)
    }


def test_figures_of_many_methods_are_two_screens_tall_at_most_and_leave_nobody_out():
    methods = 12
    examples = {factor: example(factor, methods) for factor in (2, 4)}
    drawn = {
        "one factor": comparison({2: examples[2]}, "polar"),
        "factors": comparison(examples, "polar"),
        "gap": sequence(examples[4], "polar"),
        "along": longitudinal(examples[4], "polar", MODALITIES["oct"]),
    }
    for name, figure in drawn.items():
        width, height = figure.get_size_inches() * DPI
        assert height <= 2 * 1080 + 1 and width >= 400, name
        pictures = sum(len(axes.get_images()) for axes in figure.axes)
        assert pictures >= methods + 1, name
