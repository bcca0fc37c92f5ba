# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import pytest
import torch
from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser
from monai.bundle.scripts import update_kwargs

from custom.command_line import check_device, check_options, start

PROGRAM = ".../monai/bundle/__main__.py"


@pytest.fixture
def config(tmp_path):
    for name, content in {"train": {"factor": 2, "phantom": {}}, "overlay": {"checkpoint": None}}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def test_a_misspelt_option_is_told_with_the_nearest_right_one(config):
    with pytest.raises(ValueError, match="--factr: no such option; did you mean --factor?"):
        check_options([PROGRAM, "run", "--config_file", f"{config}/train.json", "--factr", "3"])
    with pytest.raises(ValueError, match="--phantm#num_phases: no such option; did you mean --phantom?"):
        check_options([PROGRAM, "run", f"--config_file={config}/train.json", "--phantm#num_phases=3"])


@pytest.mark.parametrize("word", ["None", "null"])
def test_an_option_that_is_none_is_told_how_it_is_written(config, word):
    typed = [PROGRAM, "run", "--config_file", f"{config}/train.json", "--factor"]
    with pytest.raises(ValueError, match=rf"--factor {word} would change nothing; write --factor '\$None'"):
        check_options([*typed, word])
    check_options([*typed, "$None"])
    parser = ConfigParser({"factor": 3, "use": "@factor"})
    # As MONAI takes what is typed: by Fire, and without what is None.
    parser.update(update_kwargs(None, factor=DefaultParseValue("None")))
    assert parser.get_parsed_content("use") == 3, "why it is refused"
    parser.update(update_kwargs(None, factor=DefaultParseValue("$None")))
    parser.parse(reset=True)
    assert parser.get_parsed_content("use") is None


def test_right_options_pass(config):
    files = f"['{config}/train.json', '{config}/overlay.json']"
    options = ["--factor", "3", "--phantom#num_phases", "2", "--phantom::size=3", "--checkpoint", "x"]
    check_options([PROGRAM, "run", "--config_file", files, "--tracking", "mlflow", "--run-id", "go", *options])


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("factor", "two", "--factor: is two; give a number, for instance 2"),
        ("factor", "[2,3]", "--factor: is .2,3.; give a number, for instance 2"),
        ("gaps", "[2,a]", "--gaps: is .2,a.; give numbers, for instance .2, 4."),
        ("gaps", "[]", "--gaps: is ..; give numbers"),
        ("amp", "of", "--amp: is of; give True or False"),
    ],
)
def test_text_where_the_config_has_numbers_is_told_before_anything_reads_it(config, name, value, line):
    (config / "numbers.json").write_text(json.dumps({"factor": 2, "gaps": [2, 4], "amp": True, "device": "cpu"}))
    command = [PROGRAM, "run", "--config_file", f"{config}/numbers.json"]
    with pytest.raises(ValueError, match=line):
        check_options([*command, f"--{name}", value])
    right = ["--factor=1e-1", "--gaps", "[3,5]", "--device", "cuda", "--amp", "--factor", "@gaps", "--amp=false"]
    check_options([*command, *right])
    check_options([*command, "--factor", "$None", "--gaps", "4", "--amp"])


def test_an_evaluation_may_be_told_to_measure_nothing_besides(config):
    (config / "lists.json").write_text(json.dumps({"dense_factors": [2, 4, 8], "steps": [1, 8]}))
    check_options([PROGRAM, "run", "--config_file", f"{config}/lists.json", "--dense_factors", "[]", "--steps=[]"])


def test_other_programs_are_left_alone():
    check_options(["pytest", "--factr"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_told():
    with pytest.raises(ValueError, match="finds no CUDA device"):
        check_device("cuda")


def test_a_device_that_nobody_knows_is_told(monkeypatch, capsys):
    check_device(torch.device("cpu"))
    with pytest.raises(ValueError, match="no such device"):
        check_device("gpu0")
    monkeypatch.setattr("sys.excepthook", None)
    with pytest.raises(SystemExit) as stop:
        start("gpu0")
    assert stop.value.code == 2 and capsys.readouterr().err.count("\n") == 1
