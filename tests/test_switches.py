# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""`--name false` reaches a config as text: every switch that a user can set takes it for what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from custom.switches import is_on

CONFIGS = sorted((Path(__file__).parents[1] / "bundles").glob("*/configs/*.json"))
NETWORK_SWITCHES = sorted(
    (path, name)
    for path in CONFIGS
    if path.stem in ("train", "inference")
    for name, value in ConfigParser.load_config_file(path).items()
    if isinstance(value, bool) and f"@{name}" in ConfigParser.load_config_file(path)["network_def"].values()
)


@pytest.mark.parametrize(
    ("path", "name"), NETWORK_SWITCHES, ids=[f"{path.parts[-3]}-{path.stem}-{name}" for path, name in NETWORK_SWITCHES]
)
def test_switches_of_networks_are_what_the_text_says(path, name):
    parser = ConfigParser(ConfigParser.load_config_file(path))
    for written, meant in (("false", False), ("true", True)):
        parser.update({name: written})
        assert getattr(parser.get_parsed_content("network_def"), name) is meant
        parser.parse(reset=True)


def test_a_switch_is_on_as_text_or_not():
    assert is_on("true") and is_on(True) and not is_on("false") and not is_on(False)
