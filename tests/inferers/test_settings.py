# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a sidecar says of the method: all that shapes the result, nothing that does not, and no long lists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from custom.inferers.settings import options_of, settings_of, settle_switches

BUNDLES = Path(__file__).parents[2] / "bundles"
NAMES = sorted(path.parts[-3] for path in BUNDLES.glob("*/configs/inference.json"))


def said(name, **options):
    config = ConfigParser.load_config_file(BUNDLES / name / "configs" / "inference.json")
    parser = ConfigParser(config | {"device": "cpu"})
    parser.update(options)
    network, inferer = (parser.get_parsed_content(part) for part in ("network_def", "inferer"))
    return options_of(network), settings_of(network, inferer, [])


@pytest.mark.parametrize("name", NAMES)
def test_the_batch_size_is_no_setting(name):
    assert said(name, batch_size=3) == said(name, batch_size=5)


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_told_in_a_few_words(name):
    for told in said(name):
        assert all(len(json.dumps(value)) < 200 for value in told.values())


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("calid", "network_def#denoiser#schedule", {"beta_end": 0.02}),
        ("diffae", "network_def#schedule", {"beta_end": 0.01}),
        ("calid", "tile_size", [32, 32]),
        ("flavr_oct", "network_def#most_steps", 4),
        ("cardiointerp", "eta", 0.5),
    ],
)
def test_what_shapes_the_result_is_a_setting(name, option, value):
    assert said(name, **{option: value})[1] != said(name)[1]


def test_switches_given_as_text_become_truth_values():
    thing = type("Thing", (), {})()
    thing.both_ways, thing.refine, thing.name = "false", "true", "false friend"
    settle_switches(thing)
    assert vars(thing) == {"both_ways": False, "refine": True, "name": "false friend"}
