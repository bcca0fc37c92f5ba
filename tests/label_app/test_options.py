# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from pathlib import Path

import pytest

from label_app.options import OFFERED, chosen, offered

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
DEFAULTS = {
    "factor": 4, "target_spacing": None, "num_inference_steps": 8, "num_samples": 1, "refine": False, "method": None,
    "seed": 0, "realism": None, "texture": 0.5,
}  # fmt: skip


def test_every_bundle_offers_what_its_command_has_and_nothing_else():
    for path in BUNDLES.glob("*/configs/inference.json"):
        config = json.loads(path.read_text())
        found = offered(config)
        assert found == {name: config[name] for name in config.keys() & OFFERED.keys()}, path
        assert chosen(found, found) == {}, "the defaults, sent back as they came, change nothing"
        for name, value in found.items():
            assert not isinstance(value, str), f"{name} would need a check of what may be said"


def test_values_pass_as_they_are_and_what_the_server_gets_is_left_out():
    wish = {
        "factor": 3,
        "num_inference_steps": 2,
        "refine": True,
        "method": "flow",
        "seed": 7,
        "realism": 0.5,
        "texture": 1,
    }
    assert chosen({**wish, "model": "calid", "client_id": "x", "result_extension": ".nrrd"}, DEFAULTS) == wish
    assert chosen({"target_spacing": 2, "factor": 4}, DEFAULTS) == {"target_spacing": 2}
    assert chosen({"target_spacing": None}, DEFAULTS) == {}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"factor": "$__import__('os').system('true')"}, "factor must be a whole number"),
        ({"factor": "@seed"}, "factor must be a whole number"),
        ({"factor": True}, "factor must be a whole number, got True"),
        ({"seed": False}, "seed must be a whole number, got False"),
        ({"factor": 2.5}, "factor must be a whole number"),
        ({"factor": None}, "factor must be a whole number, got None"),
        ({"target_spacing": float("nan")}, "target_spacing must be a number, got nan"),
        ({"target_spacing": [1]}, "target_spacing must be a number"),
        ({"refine": 1}, "refine must be true or false"),
        ({"refine": 0}, "refine must be true or false"),
        ({"method": "$1"}, "method must be one of nearest, linear, cubic, flow"),
        ({"method": ["flow"]}, "method must be one of"),
        ({"num_samples": 65}, "num_samples must be at most 64"),
        ({"factr": 2}, "factr: no such option; did you mean factor?"),
        ({"checkpoint": "/etc/passwd"}, "checkpoint: no such option; this model has factor"),
        ({"network_def#_target_": "os.system"}, "no such option"),
        ({"factor": 3, "target_spacing": 2.0}, "factor and target_spacing ask for the same thing"),
    ],
)
def test_what_may_not_reach_a_config(params, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        chosen(params, DEFAULTS)
