# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Parts of a composite network: given as a module, or as what differs from the network that ships."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from torch import nn

Part = TypeVar("Part", bound=nn.Module)


def build_part(given: Part | Mapping[str, Any] | None, kind: type[Part], **defaults: Any) -> Part:
    """A part of a composite network.

    Args:
        given: the module itself, or arguments of `kind`, such as a config's `{"channels": [8, 16]}`; None for no
            argument.
        kind: what to make of a mapping.
        defaults: arguments that differ from `kind`'s own defaults here, unless `given` names them. They follow from
            the other parts, or belong to the method.
    """
    if isinstance(given, nn.Module):
        return given
    return kind(**{**defaults, **(given or {})})
