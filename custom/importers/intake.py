# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What every script that takes in data shares: options that exist, folders that are apart, a list of all sources."""

from __future__ import annotations

import csv
import difflib
import hashlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fire.decorators import SetParseFn

from custom.errors import InputError
from custom.files import atomic
from custom.scans.provenance import sha256_of

FATES = "sources.csv"
FATE_COLUMNS = ("source", "place", "patient", "fate", "outputs", "reason")
_OPTION = re.compile(r"^--?[A-Za-z]")


def check_arguments(function: Callable[..., Any], arguments: Sequence[str]) -> None:
    """Refuse options that a function does not have, before Fire calls it: Fire complains only afterwards.

    A function that takes any option (`**options`) checks them itself; values too many are refused all the same.

    Args:
        function: that Fire will call.
        arguments: of the command line, without the program.

    Raises:
        SystemExit: code 2, with one line on stderr that tells the nearest right name.
    """
    parameters = inspect.signature(function).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    places = sum(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in parameters.values())
    positional, expects_value = 0, False
    for argument in arguments:
        if argument == "--":
            break
        if not _OPTION.match(argument):
            positional += not expects_value
            expects_value = False
            continue
        name, equals, _ = argument.lstrip("-").partition("=")
        name = name.replace("-", "_")
        expects_value = not equals
        negated = name.removeprefix("no")
        is_negated = name != negated and negated in parameters and isinstance(parameters[negated].default, bool)
        if name in parameters or name in ("help", "h") or is_negated or takes_any:
            continue
        near = difflib.get_close_matches(name, parameters, 1, 0.5)
        remedy = f"did you mean --{near[0]}?" if near else "--help lists the options"
        _refuse(f"{argument.partition('=')[0]}: no such option; {remedy}")
    if positional > places:
        _refuse(f"{positional} values without an option; write --name value")


def _refuse(line: str) -> None:
    print(f"ERROR {line}", file=sys.stderr)
    raise SystemExit(2)


def as_typed(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose options of text Fire takes as they are typed: it would make a number of a folder named 2024.

    Args:
        function: with annotations that are text, as `from __future__ import annotations` makes them.
    """
    parameters = inspect.signature(function).parameters.values()
    return SetParseFn(_text, *(p.name for p in parameters if p.annotation in ("str", "str | None")))(function)


def _text(typed: str) -> str | None:
    return None if typed == "None" else typed


def check_apart(inputs: Mapping[str, str | Path], output_dir: str | Path) -> None:
    """Refuse an output folder that is an input, lies in one, or holds one: outputs would replace or become inputs.

    Args:
        inputs: option to file or folder.
        output_dir: need not be there yet.

    Raises:
        InputError: they are not apart, links followed.
    """
    output = Path(os.path.realpath(output_dir))
    for option, path in inputs.items():
        source = Path(os.path.realpath(path))
        relation = None
        if _same(output, source):
            relation = "is"
        elif any(_same(parent, source) for parent in output.parents):
            relation = "lies inside"
        elif any(_same(parent, output) for parent in source.parents):
            relation = "holds"
        if relation:
            fault = f"{relation} {option} {path}, outputs and inputs would mix"
            raise InputError(output_dir, fault, "choose an --output_dir beside it, for instance a new folder")


def _same(first: Path, second: Path) -> bool:
    """Whether two paths are one place, told by the file system where both are there."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return first == second


def place_of(*paths: str | Path, words: Iterable[str] = ()) -> str:
    """Tells where files lie, without saying it: paths can name people and machines.

    Args:
        paths: of the files or folders.
        words: what else tells a source from others in the same place.
    """
    told = [*(os.path.realpath(path) for path in paths), *words]
    return hashlib.sha256(";".join(told).encode()).hexdigest()[:16]


def source_sha256(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's visible files."""
    if path.is_file():
        return sha256_of(path)
    digest = hashlib.sha256()
    for file in sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith(".")):
        digest.update(f"{file.name} {sha256_of(file)}\n".encode())
    return digest.hexdigest()


def write_fates(folder: Path, fates: Iterable[Mapping[str, str]]) -> Path:
    """Write what became of each source as `sources.csv`; rows of sources of earlier runs stay.

    Args:
        folder: of the outputs.
        fates: rows of `FATE_COLUMNS`.

    Raises:
        InputError: it cannot be written.
    """
    path = folder / FATES
    rows = {(row["place"], row["source"]): row for row in [*_read_fates(path), *fates]}
    with atomic(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, FATE_COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())
    return path


def _read_fates(path: Path) -> list[dict[str, str]]:
    try:
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error):
        return []
    return [row for row in rows if row.get("source") and row.get("place") is not None]
