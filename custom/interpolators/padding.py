# Copyright 2026 The CardioInterp Bundles Authors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.


"""Slices of any size for networks that take whole cells only."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def pad_slices(slices: torch.Tensor, units: Sequence[int]) -> tuple[torch.Tensor, tuple[slice, ...]]:
    """Grow slices on all sides to the next multiples of `units`.

    The edge of a slice is continued outwards; phases go round, as the heart does.

    Args:
        slices: `(..., H, W)`, or cine slices `(..., T, H, W)`.
        units: what the sizes must be multiples of, one number per spatial axis.

    Returns:
        The grown slices, and where the original lies in their spatial axes.
    """
    window = []
    for axis, unit in zip(range(-len(units), 0), units, strict=True):
        extent = slices.shape[axis]
        spare = -extent % unit
        first = spare // 2
        place = torch.arange(-first, extent + spare - first, device=slices.device)
        place = place % extent if axis == -3 else place.clamp(0, extent - 1)
        slices = slices.index_select(axis, place) if spare else slices
        window.append(slice(first, first + extent))
    return slices, tuple(window)
