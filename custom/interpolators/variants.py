# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""One set of weights, asked in several ways: in another number of steps, refined, with less noise."""

from __future__ import annotations

import copy
from typing import TypeVar

from custom.interpolators.base import Interpolator

Method = TypeVar("Method", bound=Interpolator)


def variant(network: Method, **options: object) -> Method:
    """The same network, weights shared, with other sampling options.

    Args:
        network: the method.
        options: attributes to change: `num_inference_steps`, `refine`, `noise_scale`, ...

    Raises:
        ValueError: an option that the method does not have.
    """
    twin = copy.copy(network)
    for name, value in options.items():
        if name not in vars(network):
            raise ValueError(f"{type(network).__name__} has no option {name!r}.")
        setattr(twin, name, value)
    return twin
