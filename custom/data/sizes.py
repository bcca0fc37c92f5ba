# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Options of data sets that are numbers or lists of them, as a command line gives them."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

from custom.errors import InputError


def whole_numbers(option: str, value: int | Sequence[int]) -> tuple[int, ...]:
    """Whole numbers of at least 1; a single one stands for a list of one.

    Args:
        option: it was given with, such as `--strides`.
        value: as given.

    Raises:
        InputError: it is something else, or nothing.
    """
    given = value if isinstance(value, (list, tuple)) else (value,)
    if not given or not all(isinstance(item, Integral) and not isinstance(item, bool) and item > 0 for item in given):
        raise InputError(option, f"is {value}", "give whole numbers of at least 1, for instance [1,2,3]")
    return tuple(map(int, given))


def plane_size(option: str, value: int | Sequence[int] | None) -> tuple[int, int] | None:
    """(height, width) in pixels; a single number stands for a square, None for the whole plane.

    Raises:
        InputError: it is something else.
    """
    if value is None:
        return None
    size = whole_numbers(option, value)
    if len(size) > 2:
        raise InputError(option, f"is {value}", "give the height and the width in pixels, for instance [64,64]")
    return size[0], size[-1]
