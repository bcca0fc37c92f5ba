# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What `--help` prints of a command: its docstring, laid out for a terminal. Fire's own tells of types and groups."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Callable, Mapping

import fire.docstrings

WIDTH = (60, 100)
INDENT = 24


def help_of(program: str, name: str, command: Callable) -> str:
    """The help of a command.

    Args:
        program: how it is called.
        name: of the command.
        command: a function with a docstring in Google's style; what `**options` says is told last.
    """
    width = max(WIDTH[0], min(WIDTH[1], shutil.get_terminal_size().columns))
    parts = fire.docstrings.parse(inspect.getdoc(command))
    told = {argument.name: " ".join(argument.description.split()) for argument in parts.args or ()}
    parameters = inspect.signature(command).parameters.values()
    places = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    options = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    rest = [p.name for p in parameters if p.kind is p.VAR_KEYWORD]
    paragraphs = [" ".join(text.split()) for text in (parts.description or "").split("\n\n")]
    lines = [f"usage: {program} {name} {' '.join(map(str.upper, places))} [--option value ...]", ""]
    for paragraph in [parts.summary, *paragraphs]:
        lines += [*textwrap.wrap(paragraph, width), ""]
    lines += ["arguments:", *(_entry(place.upper(), told[place], width) for place in places), "", "options:"]
    lines += [_entry(_flag(option), told[option.name], width) for option in options]
    lines += [_entry("--... VALUE", told[option], width) for option in rest]
    return "\n".join(lines)


def overview(program: str, commands: Mapping[str, Callable]) -> str:
    """The help of a program: its commands, a line each."""
    summaries = {name: fire.docstrings.parse(inspect.getdoc(command)).summary for name, command in commands.items()}
    entries = [_entry(name, summary, WIDTH[1]) for name, summary in summaries.items()]
    first = f"usage: {program} COMMAND ..."
    return "\n".join([first, "", "commands:", *entries, "", f"{program} COMMAND --help tells more."])


def _flag(option: inspect.Parameter) -> str:
    if isinstance(option.default, bool):
        return f"--no{option.name}" if option.default else f"--{option.name}"
    kind = str(option.annotation).partition(" ")[0]
    return f"--{option.name} " + {"int": "N", "float": "X"}.get(kind, "WORD")


def _entry(head: str, text: str, width: int) -> str:
    wrapped = textwrap.wrap(text, width - INDENT) or [""]
    first = f"  {head}".ljust(INDENT)
    if len(first) > INDENT or first[-1] != " ":
        wrapped, first = ["", *wrapped], first.rstrip()
    return "\n".join([first + wrapped[0], *(" " * INDENT + line for line in wrapped[1:])])
