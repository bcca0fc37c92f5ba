# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What every bundle command does first: options that exist, a device that exists, one line for a mistake, no chatter.

In `initialize` of every config, after the bundle's folder was put on the path, where a packed bundle has this package:
`["$sys.path.insert(0, @bundle_root)", {"_target_": "custom.command_line.start", "device": "@device"}, ...]`. MONAI
itself puts it there when `initialize` is over.
"""

from __future__ import annotations

import ast
import difflib
import logging
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import torch
from monai.bundle import ConfigParser

from custom.errors import report_input_errors
from custom.memory import keep_freed_memory
from custom.paths import check_one_code
from custom.switches import SWITCHES

RUN_OPTIONS = {
    "run_id", "init_id", "final_id", "meta_file", "config_file", "logging_file", "tracking", "args_file",
    "workflow_name", "workflow_type", "properties_path", "bundle_root",
}  # fmt: skip
"""What `python -m monai.bundle run` takes besides the ids of the config."""
EXCLUSIVE = (("factor", "target_spacing"),)
MAY_BE_EMPTY = ("steps", "dense_factors")
"""Lists of what an evaluation measures besides; empty, it leaves that out."""
NONE = "$None"
"""How nothing is written on a command line: MONAI leaves out an option whose value is None, and null is a word."""


def start(device: torch.device | str | None = None) -> None:
    """Check the command line of `python -m monai.bundle run` and the code, and make the process speak to its user.

    Args:
        device: where the networks go.

    Raises:
        SystemExit: code 2, with one line on stderr: an option that no config has, a device that is not there, or code
            that is not this bundle's.
    """
    report_input_errors()
    logging.getLogger("ignite").setLevel(logging.WARNING)
    for module in ("monai", "ignite", "torch"):
        warnings.filterwarnings("ignore", module=module)
    use_own_gpu()
    if is_command(sys.argv):
        keep_freed_memory()
    try:
        check_options(sys.argv)
        check_device(device)
        check_one_code()
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def is_command(arguments: Sequence[str]) -> bool:
    """Whether `sys.argv` is that of `python -m monai.bundle run`, and not of another program that runs a config."""
    return bool(arguments) and "monai" in arguments[0] and "run" in arguments[1:]


def check_options(arguments: Sequence[str]) -> None:
    """Raise ValueError if a `monai.bundle run` command line names an option that none of its configs has, or a None.

    MONAI adds an id that it does not know to the config, where nothing reads it: a misspelt option would be ignored.
    So would one that is None. Where the configs have numbers, text would fail in the middle of some expression.

    Args:
        arguments: as `sys.argv`; of another program they are not looked at.
    """
    if not is_command(arguments):
        return
    options = dict(options_in(arguments[1:]))
    if "config_file" not in options or "args_file" in options:
        return
    files = options["config_file"]
    files = ast.literal_eval(files) if files.startswith("[") else files
    config = ConfigParser.load_config_files(files)
    known = set(config) | RUN_OPTIONS
    for one, other in EXCLUSIVE:
        given = [name for name in (one, other) if options.get(name, NONE) != NONE]
        if len(given) == 2:
            raise ValueError(f"--{one} and --{other} ask for the same thing in two ways; leave one of them out")
    for name, value in options.items():
        if value in ("None", "null"):
            raise ValueError(f"--{name} {value} would change nothing; write --{name} '{NONE}'")
        _check_kind(name, value, config.get(name))
        top = name.lstrip("+").replace("::", "#").partition("#")[0]
        if top not in known:
            near = difflib.get_close_matches(top, known, 1)
            remedy = f"did you mean --{near[0]}?" if near else f"the options are the ids at the top of {files}"
            raise ValueError(f"--{name}: no such option; {remedy}")


def _check_kind(name: str, value: str, default: Any) -> None:
    """Raise ValueError if an option whose default is a number, numbers or a switch is given as something else."""
    many = isinstance(default, list) and bool(default)
    if not all(isinstance(item, Real) for item in (default if many else [default])) or value[:1] in ("$", "@"):
        return
    switch = isinstance(default, bool)
    if switch and (not value or value.startswith("--")):  # the name alone switches it on
        return
    try:
        given = ast.literal_eval(value)
    except (SyntaxError, ValueError):
        given = SWITCHES.get(value, value)
    items = given if many and isinstance(given, (list, tuple)) else [given]
    if not all(isinstance(item, Real) for item in items) or not (items or name in MAY_BE_EMPTY):
        kind = "True or False" if switch else f"{'numbers' if many else 'a number'}, for instance {default}"
        raise ValueError(f"--{name}: is {value}; give {kind}")


def options_in(arguments: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Names and values of `--name value` and `--name=value`."""
    arguments = list(arguments)
    for place, argument in enumerate(arguments):
        if argument.startswith("--"):
            name, equals, value = argument[2:].partition("=")
            if not equals:
                value = arguments[place + 1] if place + 1 < len(arguments) else ""
            yield name if "#" in name or "::" in name else name.replace("-", "_"), value


def use_own_gpu() -> None:
    """Under `torchrun` make "cuda" the GPU of this process: else all of them would crowd the first one."""
    if "LOCAL_RANK" in os.environ and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())


def check_device(device: torch.device | str | None) -> None:
    """Raise ValueError if a device is misnamed or not there."""
    try:
        kind = torch.device(device).type if device is not None else "cpu"
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"--device {device}: no such device; give cpu, cuda or cuda:1") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"--device {device}: PyTorch finds no CUDA device here; leave --device out, or give cpu")
