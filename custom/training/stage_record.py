# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What made a stage, in a form that can be stored with it and compared: data, weights, options, version of the code."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.transforms import Transform
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from custom.data.fingerprint import datalist_fingerprint, file_fingerprint
from custom.version import VERSION

_NOT_SHAPING = ("data", "num_draws", "cache_gib")
"""Arguments of a data set that do not change what it draws; "data" is taken by its content."""
_OF_USE = (
    "training", "batch_size", "clip_clean", "error_scale", "eta", "guidance_weight",
    "inversion_condition", "inversion_steps",
    "morphology_mixing", "num_inference_steps", "realism", "refine", "resampling", "slerp_per_phase", "texture",
    "tile_overlap", "tile_size",
)  # fmt: skip
"""Attributes of composite networks that say how they are asked for slices: training is the same whatever they are."""
_SHOWN = 3
"""Differences that are told in full."""
_LONGEST_VALUE = 40
"""Characters of a value that still goes into a line."""


def stage_record(
    data: Dataset | Sequence[Mapping[str, Any]],
    options: Mapping[str, Any],
    weights: Mapping[str, str | Path | None] | None = None,
) -> dict[str, Any]:
    """What a stage is made by.

    Args:
        data: what it is trained on: entries of a datalist (`custom.data.fingerprint.datalist_fingerprint`), or a data
            set that has them as `data`; its other arguments then count as options, except for the length of an epoch
            and the size of its cache.
        options: what else shapes it, by name, as :func:`described` takes it. Not where files go, how often something is
            logged, or on how many workers it runs. Not the learning rate schedule and the number of epochs:
            `StageCheckpoint` knows those.
        weights: files that it starts from or builds on, by name; None where there is none.

    Returns:
        Mappings, lists, strings and numbers, as JSON has them.

    Raises:
        InputError: a file is not there or cannot be read.
        TypeError: an option of which nothing can be said.
    """
    hashes = {name: None if path is None else file_fingerprint(path) for name, path in (weights or {}).items()}
    record = {"code": VERSION, "weights": hashes, **described(options)}
    if isinstance(data, Dataset):
        shaping = {name: item for name, item in _arguments(data).items() if name not in _NOT_SHAPING}
        record["dataset"] = {"class": _name(type(data)), **described(shaping)}
        data = data.data
    record["data"] = datalist_fingerprint(data)
    return json.loads(json.dumps(record))


def described(value: Any) -> Any:
    """A value as JSON has it.

    Args:
        value: None, a number, text, a path, a device or dtype, a class or function; a tensor or array (its hash); a
            module (class, public attributes that are settings of its training, buffers that are not saved, children);
            an optimizer (class and defaults); another object of MONAI or of this package (class and constructor
            arguments, not what a random transform drew last); mappings and sequences of these.

    Raises:
        TypeError: anything else, and an object of this package that does not keep an argument under its name.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (Path, torch.device, torch.dtype)):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (torch.Tensor, np.ndarray)):
        array = np.ascontiguousarray(torch.as_tensor(value).detach().cpu())
        return [str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
    if isinstance(value, Mapping):
        return {str(key): described(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [described(item) for item in value]
    if isinstance(value, Optimizer):
        return {"class": _name(type(value)), **described(value.defaults)}
    if isinstance(value, nn.Module):
        public = {name: item for name, item in vars(value).items() if name[0] != "_" and name not in _OF_USE}
        settings = {name: item for name, item in public.items() if _is_setting(item)}
        # Schedules and weights of losses: tensors that follow from settings, and are not saved.
        settings |= {name: value.get_buffer(name) for name in sorted(value._non_persistent_buffers_set)}
        return {"class": _name(type(value)), **described(settings), **described(dict(value.named_children()))}
    if inspect.isclass(value) or inspect.isroutine(value):
        return _name(value)
    if type(value).__module__.split(".")[0] in ("custom", "monai"):
        return {"class": _name(type(value)), **described(_arguments(value))}
    raise TypeError(f"{type(value).__name__} cannot be described; give its options as numbers, text and mappings.")


def difference(stored: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """In a few words how two records differ, the stored one first; None if they do not."""
    before, after = _flat(stored), _flat(now)
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    # Of another object only its class is told.
    others = tuple(name.removesuffix("class") for name in names if name.endswith(".class"))
    names = [name for name in names if not any(name.startswith(other) for other in others if other + "class" != name)]
    # The data in one word, whatever of it differs.
    words = ["other data"] if any(name.startswith("data.") for name in names) else []
    for name in (name for name in names if not name.startswith("data.")):
        old, new = (str(values.get(name)) for values in (before, after))
        if name.endswith(".class"):
            name, old, new = name.removesuffix(".class"), old.rpartition(".")[2], new.rpartition(".")[2]
        told = len(old) + len(new) <= _LONGEST_VALUE
        words.append(f"{name} {old}, now {new}" if told else f"other {name}")
    if len(words) > _SHOWN:
        words[_SHOWN:] = [f"{len(words) - _SHOWN} more"]
    return "; ".join(words) or None


def _flat(record: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(record, list) and any(isinstance(item, (dict, list)) for item in record):
        record = {str(place): item for place, item in enumerate(record)}
    if not isinstance(record, dict):
        return {prefix: record}
    return {
        name: leaf
        for key, value in record.items()
        for name, leaf in _flat(value, f"{prefix}.{key}" if prefix else key).items()
    }


def _name(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def _is_setting(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_setting(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _arguments(value: Any) -> dict[str, Any]:
    """The constructor arguments of an object, found by their names in it or in the transforms it is made of."""
    kind = type(value)
    parameters = inspect.signature(kind.__init__).parameters.values()
    names = {p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)} - {"self"}
    found: dict[str, Any] = {}
    within = [value]
    for part in within:
        found = {name: item for name, item in vars(part).items() if name in names} | found
        within += [item for item in vars(part).values() if isinstance(item, Transform)]
    lost = sorted(names - found.keys())
    # MONAI keeps what matters, but not all: whether it works lazily, for one.
    if lost and kind.__module__.startswith("custom."):
        raise TypeError(f"{kind.__name__} does not keep {', '.join(lost)}: what made a stage cannot be told.")
    return dict(sorted(found.items()))
