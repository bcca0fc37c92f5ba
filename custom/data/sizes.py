# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Options that are numbers or lists of them, as a command line gives them, checked before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real

from custom.errors import InputError
from custom.networks.padding import nearest_sizes


def number(option: str, value: float, least: float = 0, most: float = math.inf, open_ends: bool = False) -> float:
    """A number between bounds, such as the weight of a loss or a probability.

    Args:
        option: it was given with, such as `--ssim_weight`.
        value: as given.
        least: of what is taken.
        most: likewise.
        open_ends: neither bound is itself taken.

    Raises:
        InputError: it is something else.
    """
    fits = isinstance(value, Real) and not isinstance(value, bool) and least <= value <= most and value != math.inf
    if not fits or (open_ends and value in (least, most)):
        bounds = [f"{'above' if open_ends else 'of at least'} {least:g}"]
        if most != math.inf:
            bounds = [f"between {least:g} and {most:g}" if open_ends else f"from {least:g} to {most:g}"]
        raise InputError(option, f"is {value}", f"give a number {bounds[0]}")
    return value


def whole_number(option: str, value: int, least: int = 1, most: float = math.inf) -> int:
    """A whole number between bounds.

    Args:
        option: see `number`.
        value: as given.
        least: of what is taken.
        most: likewise.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or not least <= value <= most:
        bounds = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise InputError(option, f"is {value}", f"give a whole number {bounds}")
    return int(value)


def distances(option: str, value: Sequence[float]) -> tuple[float, float]:
    """Least and most of a distance in mm.

    Raises:
        InputError: it is something else than two numbers above 0, the least first.
    """
    given = value if isinstance(value, (list, tuple)) else ()
    if len(given) != 2 or not all(isinstance(item, Real) for item in given) or not 0 < given[0] <= given[1]:
        raise InputError(option, f"is {value}", "give the least and then the most in mm, for instance [2,10.5]")
    return given[0], given[1]


def whole_numbers(option: str, value: int | Sequence[int], least: int = 1, single: bool = True) -> tuple[int, ...]:
    """Whole numbers, all of at least `least`.

    Args:
        option: it was given with, such as `--strides`.
        value: as given.
        least: of what is taken.
        single: whether one number stands for a list of one.

    Raises:
        InputError: it is something else, or nothing.
    """
    given = value if isinstance(value, (list, tuple)) else (value,) * single
    if not given or not all(isinstance(n, Integral) and not isinstance(n, bool) and n >= least for n in given):
        example = f"[{least},{least + 1},{least + 2}]"
        raise InputError(option, f"is {value}", f"give whole numbers of at least {least}, for instance {example}")
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
