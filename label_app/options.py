# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a client may choose for one request: options of the bundle's command, checked before a config sees them.

MONAI configs evaluate strings that begin with `$`: a value that came over the network must never reach one unchecked.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

from custom.command_line import EXCLUSIVE
from custom.interpolators.named import CLASSICAL

OFFERED = {
    "factor": "whole",
    "target_spacing": "number",
    "num_inference_steps": "whole",
    "num_samples": "whole",
    "realism": "number",
    "texture": "number",
    "refine": "yes or no",
    "method": "name",
    "seed": "whole",
    "slice_axis": "whole",
}
"""Options of `inference.json` that a request may set, and of what kind their values are."""
FOR_THE_SERVER = {
    "client_id", "description", "device", "image", "label_tag", "logging", "model", "result_compress", "result_dtype",
    "result_extension", "save_label", "scan", "session", "session_id", "timeout",
}  # fmt: skip
"""What clients of MONAI Label send besides: no options of a bundle. Results are NIfTI whatever `result_...` says."""
MOST_SAMPLES = 64
"""Of one request: each takes as long as a whole interpolation."""


def offered(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a bundle has, with its defaults, as `/info` shows them.

    Args:
        config: its `inference.json`.
    """
    return {name: config[name] for name in OFFERED if name in config}


def chosen(params: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a request, checked, without those that are as they are anyway.

    Args:
        params: of the request, as decoded from JSON.
        defaults: what `offered` gave.

    Returns:
        Overrides for the config.

    Raises:
        ValueError: an option that the bundle does not have, or a value of the wrong kind.
    """
    found = {}
    for name, value in params.items():
        if name in FOR_THE_SERVER:
            continue
        if name not in defaults:
            near = difflib.get_close_matches(name, defaults, 1)
            remedy = f"did you mean {near[0]}?" if near else f"this model has {', '.join(defaults)}"
            raise ValueError(f"{name}: no such option; {remedy}")
        if value != defaults[name] or isinstance(value, bool) != isinstance(defaults[name], bool):
            found[name] = _checked(name, value, defaults[name])
    for pair in EXCLUSIVE:
        if all(found.get(name) is not None for name in pair):
            raise ValueError(f"{' and '.join(pair)} ask for the same thing in two ways; leave one of them out")
    if found.get("num_samples", 1) > MOST_SAMPLES:
        raise ValueError(f"num_samples must be at most {MOST_SAMPLES}, got {found['num_samples']}")
    return found


def _checked(name: str, value: Any, default: Any) -> Any:
    """The value, if it is of the option's kind; its range is checked where it is used, as on the command line."""
    kind = OFFERED[name]
    if value is None and default is None:
        return None
    if kind == "whole":
        right, wanted = isinstance(value, int) and not isinstance(value, bool), "a whole number"
    elif kind == "number":
        right, wanted = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value), "a number"
    elif kind == "yes or no":
        right, wanted = isinstance(value, bool), "true or false"
    else:
        right, wanted = isinstance(value, str) and value in CLASSICAL, f"one of {', '.join(CLASSICAL)}"
    if not right:
        raise ValueError(f"{name} must be {wanted}, got {value!r}")
    return value
