# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The methods that learn nothing, by the names that every command takes: `--method flow`, `--methods linear,flow`."""

from __future__ import annotations

from custom.errors import InputError
from custom.interpolators.base import Interpolator
from custom.interpolators.classical import CubicFrames, LinearFrames, NearestFrame
from custom.interpolators.optical_flow import FlowMidpoint

#: Name -> label in the tables and class.
CLASSICAL: dict[str, tuple[str, type[Interpolator]]] = {
    "nearest": ("Nearest", NearestFrame),
    "linear": ("Linear", LinearFrames),
    "cubic": ("Cubic", CubicFrames),
    "flow": ("TV-L1 flow", FlowMidpoint),
}


def classical(name: str) -> Interpolator:
    """A method that needs no weights.

    Args:
        name: nearest, linear, cubic or flow.

    Raises:
        InputError: no such method.
    """
    if name not in CLASSICAL:
        remedy = f"choose from {', '.join(CLASSICAL)}, or leave it out for the bundle's own"
        raise InputError("--method", f"{name!r} is no method without weights", remedy)
    return CLASSICAL[name][1]().eval()
