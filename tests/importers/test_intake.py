# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import csv

import pytest

from custom.errors import InputError
from custom.importers.intake import check_apart, check_arguments, write_fates


def command(input, output_dir, drop_incomplete=False):
    """A script's function."""


@pytest.mark.parametrize("wrong", ["--outptu_dir", "--output-dri=x", "-inptu"])
def test_unknown_options_are_refused_with_the_nearest_name(capsys, wrong):
    with pytest.raises(SystemExit) as caught:
        check_arguments(command, ["--input", "a", wrong, "b"])
    line = capsys.readouterr().err
    assert caught.value.code == 2 and "did you mean --" in line and line.count("\n") == 1


@pytest.mark.parametrize(
    "right",
    [["a", "b"], ["--input", "a", "--output-dir=b"], ["--input=a", "--nodrop_incomplete"], ["--help"], ["--", "--x"]],
)
def test_options_that_exist_pass(right):
    check_arguments(command, right)


def test_more_values_than_options_are_refused():
    with pytest.raises(SystemExit):
        check_arguments(command, ["a", "b", "c", "d"])


@pytest.mark.parametrize(
    ("output", "told"), [("in", "is"), ("in/a/out", "lies inside"), (".", "holds"), ("link", "is")]
)
def test_outputs_and_inputs_are_apart(tmp_path, output, told):
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    with pytest.raises(InputError, match=f": {told} --input"):
        check_apart({"--input": tmp_path / "in"}, tmp_path / output)
    check_apart({"--input": tmp_path / "in"}, tmp_path / "in2")


def test_fates_of_other_sources_stay(tmp_path):
    row = {"source": "a", "place": "1", "patient": "p", "fate": "failed", "outputs": "", "reason": "bad"}
    write_fates(tmp_path, [row])
    write_fates(tmp_path, [{**row, "place": "2"}])
    path = write_fates(tmp_path, [{**row, "fate": "converted", "reason": ""}])
    with open(path) as file:
        assert [(r["place"], r["fate"]) for r in csv.DictReader(file)] == [("1", "converted"), ("2", "failed")]
