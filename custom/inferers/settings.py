# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What shapes a result, read off the objects that make it: nothing is listed by hand, so nothing is forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Number
from typing import Any

from torch import nn

from custom.command_line import SWITCHES

IGNORED = {"training", "batch_size", "output_dir", "print_log", "log_level", "axis", "cudnn_benchmark"}
"""Attributes that do not change what comes out, or not beyond rounding; the axis is told as found (`slice_axis`)."""
OWN = (__name__.partition(".")[0],)


def settle_switches(thing: Any) -> None:
    """Make truth values of an object's public attributes that are the text of one."""
    for name, value in vars(thing).items():
        if name[0] != "_" and isinstance(value, str) and value in SWITCHES:
            setattr(thing, name, SWITCHES[value])


def settings_of(network: nn.Module, inferer: Any, transforms: Iterable[Any]) -> dict[str, Any]:
    """Every plain public attribute of a network, its parts, an inferer and transforms, by name; JSON values.

    Args:
        network: of its submodules those of this project count, and of MONAI's and PyTorch's nothing: what their
            arguments are follows from ours and from the weights.
        inferer: what asks the network.
        transforms: before and after it.
    """
    found = {f"inferer.{name}": value for name, value in _plain(inferer).items()}
    for name, module in network.named_modules():
        if _is_ours(module):
            found |= {".".join(filter(None, (name, key))): value for key, value in _plain(module).items()}
    for place, transform in enumerate(transforms):
        where = f"transform{place}.{type(transform).__name__}"
        found[where] = type(transform).__module__
        found |= {f"{where}.{key}": value for key, value in _plain(transform, OWN + ("monai",)).items()}
    return found


def options_of(network: nn.Module) -> dict[str, Any]:
    """The network's own options: its plain public attributes that are not those of a class."""
    return _plain(network)


def _plain(thing: Any, packages: tuple[str, ...] = OWN) -> dict[str, Any]:
    """Plain public attributes of an object, and of the helpers from `packages` that it holds."""
    public = {name: value for name, value in vars(thing).items() if name[0] != "_" and name not in IGNORED}
    found = {name: _value(value) for name, value in public.items() if _is_plain(value)}
    for name, value in public.items():
        if _is_from(value, packages) and not isinstance(value, nn.Module) and hasattr(value, "__dict__"):
            inner = _plain(value, packages)
            found |= inner if _is_from(value, OWN) else {f"{name}.{key}": entry for key, entry in inner.items()}
    return found


def _is_ours(thing: Any) -> bool:
    return _is_from(thing, OWN)


def _is_from(thing: Any, packages: tuple[str, ...]) -> bool:
    return type(thing).__module__.partition(".")[0] in packages


def _is_plain(value: Any) -> bool:
    if isinstance(value, (str, bool, Number, type(None))):
        return True
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(entry) for key, entry in value.items())
    return isinstance(value, (tuple, list)) and all(map(_is_plain, value))


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _value(entry) for key, entry in value.items()}
    if isinstance(value, (tuple, list)):
        return [_value(entry) for entry in value]
    return value
