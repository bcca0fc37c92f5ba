# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from custom.densify.method import interpolator_for
from custom.errors import InputError


@pytest.mark.parametrize(
    ("kind", "method", "bundle", "classical"),
    [
        ("stack", None, "motion", None),
        ("pullback", None, "motion_oct", None),
        ("pullback", "motion", "motion_oct", None),
        ("stack", "linear", "motion", "linear"),
        ("pullback", "flow", "motion_oct", "flow"),
    ],
)
def test_a_method_is_that_of_the_bundle_for_the_kind_of_scan(kind, method, bundle, classical):
    evaluator = interpolator_for(kind, method)
    assert evaluator.made_by["bundle"] == bundle and evaluator.method == classical
    assert (evaluator.weights_sha256 is None) == (classical is not None)
    assert evaluator.loader.kind == evaluator.saver.kind == kind


def test_options_reach_the_objects_that_the_config_makes():
    evaluator = interpolator_for("stack", "linear", factor=3, options={"seed": 7, "num_samples": 2, "device": "cpu"})
    assert (evaluator.inferer.factor, evaluator.inferer.seed, evaluator.inferer.num_samples) == (3, 7, 2)
    assert interpolator_for("stack", "linear", spacing=2.5).inferer.target_spacing == 2.5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"options": {"num_sample": 2}}, "--num_sample: no such option of motion; did you mean --num_samples?"),
        ({"options": {"facter": 2}}, "did you mean --factor?"),
        ({"options": {"zigzag": True}}, "--zigzag: no such option of motion; it has "),
        ({"options": {"output_dir": "x"}}, "--output_dir: no such option"),
        ({"options": {"network_def": {}}}, "--network_def: no such option"),
        ({"options": {"device": "tpu"}}, "--device tpu: no such device"),
        ({"options": {"checkpoint": "nowhere.pt"}}, "nowhere.pt: no trained weights"),
        ({"options": {"num_samples": 0}}, "num_samples must be"),
        ({"factor": 1}, "factor must be"),
        ({"spacing": -1.0}, "target_spacing must be"),
        ({"method": "cardiointerp"}, "cardiointerp is not for a short-axis stack"),
        ({"method": "medformer_sax"}, "medformer_sax does not interpolate"),
        ({"method": "magic"}, "magic: is no classical method and no bundle"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(given, words):
    with pytest.raises(ValueError) as error:
        interpolator_for("stack", **given)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_method_for_stacks_is_refused_for_pullbacks():
    with pytest.raises(InputError, match="calid is not for an OCT pullback"):
        interpolator_for("pullback", "calid")
