# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The picture of a preview, for the configs; matplotlib is imported only where one is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from custom.switches import is_on


def of_stack(on: bool | str) -> Callable[..., Any] | None:
    """What draws a densified stack, see `custom.pictures.stack.picture_of`; None unless `on`."""
    return import_module("custom.pictures.stack").picture_of if is_on(on) else None


def of_pullback(on: bool | str) -> Callable[..., Any] | None:
    """What draws an interpolated pullback, see `custom.pictures.pullback.picture_of`; None unless `on`."""
    return import_module("custom.pictures.pullback").picture_of if is_on(on) else None
