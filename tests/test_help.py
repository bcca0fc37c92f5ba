# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What `--help` tells of every command is what its docstring says, whole."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from pathlib import Path

import fire.docstrings
import pytest

from custom.errors import InputError
from custom.evaluation.__main__ import COMMANDS, main
from custom.papers.paper import names

ROOT = Path(__file__).resolve().parents[1]


def commands():
    """Functions that `fire` makes a command of, by name of their file and their own."""
    yield from (("custom.evaluation", command) for command in COMMANDS.values())
    for path in sorted([*ROOT.glob("data_scripts/*.py"), *ROOT.glob("custom/*/*.py")]):
        (name,) = re.findall(r"fire\.Fire\((\w+)\)", path.read_text(encoding="utf-8")) or (None,)
        if name is not None:
            yield path.relative_to(ROOT).as_posix(), name


@pytest.mark.parametrize(("where", "command"), commands(), ids=str)
def test_every_option_is_told_to_its_end(where, command, monkeypatch):
    """A colon in the second line of an argument ends it there: fire takes what is before it for another argument."""
    if isinstance(command, str):
        monkeypatch.syspath_prepend(str(ROOT / "data_scripts"))
        spec = importlib.util.spec_from_file_location("command_under_test", ROOT / where)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        command = getattr(module, command)
    told = {argument.name for argument in fire.docstrings.parse(inspect.getdoc(command)).args or ()}
    assert told <= set(inspect.signature(command).parameters)


@pytest.mark.parametrize("name", names())
def test_help_of_a_table_or_figure_tells_of_it_and_runs_nothing(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["paper", name, "--help"])
    text = capsys.readouterr().out
    assert f"paper {name} [--output_dir" in text and "set here:" in text and "Args:" in text
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="no table or figure"):
        main(["paper", "calid_table_9", "--help"])


@pytest.mark.parametrize("words", [["compare", "--modality", "cmr", "--help"], ["cost", "--bundle", "calid", "-h"]])
def test_help_after_other_options_is_help(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0 and "output_dir" in "".join(capsys.readouterr()).lower()
