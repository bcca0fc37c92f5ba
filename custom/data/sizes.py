# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Options of data sets that are numbers or lists of them, as a command line gives them."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

from custom.errors import InputError
from custom.networks.padding import nearest_sizes


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


def check_item_size(
    item: Sequence[int], units: int | Sequence[int], fixed: int | None = None, option: str = "--crop_size"
) -> None:
    """Refuse what a data set draws if a network does not take it, before anything is trained on it.

    Args:
        item: shape of an image, `(..., [n,] h, w)`.
        units: what its last sizes must be multiples of: one number for height and width, or one per axis, of which with
            three the first is of the phases.
        fixed: the only height and width that the network takes.
        option: that says how large a crop is.

    Raises:
        InputError: names the option and the nearest sizes that fit.
    """
    units = (units, units) if isinstance(units, Integral) else tuple(units)
    plane = tuple(item[-2:])
    if fixed is not None and plane != (fixed, fixed):
        raise InputError(option, f"gives {list(plane)}", f"give [{fixed},{fixed}], all that this network takes")
    for name, size, unit in (("--phases", tuple(item[-len(units) : -2]), units[:-2]), (option, plane, units[-2:])):
        if any(edge % whole for edge, whole in zip(size, unit, strict=True)):
            given, wanted = (", ".join(map(str, numbers)) for numbers in (size, unit))
            raise InputError(
                name,
                f"gives {given}, and this network takes multiples of {wanted}",
                f"the nearest that it takes: {nearest_sizes(size, unit)}",
            )
