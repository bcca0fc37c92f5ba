# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Options that are on or off, as a command line gives them."""

from __future__ import annotations

SWITCHES = {"true": True, "false": False}
"""The command line of MONAI takes Python's `True`, and hands on JSON's `true` as text: "false" would count as true."""


def is_on(option: bool | str) -> bool:
    """Whether a switch is on, as text or not."""
    return bool(SWITCHES.get(option, option))
