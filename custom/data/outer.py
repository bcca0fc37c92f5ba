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


"""Known frames beyond a gap, for methods that read four neighbours."""

from __future__ import annotations


def with_outer(first: int, gap: int, stride: int, usable: range) -> list[int]:
    """Indices of a window and, at either end, of the known frame one gap beyond it.

    Args:
        first: known frame or slice before the gap.
        gap: steps from there to the known one after it.
        stride: frames per step.
        usable: frames that may be used; where the one beyond is not among them, the end is replicated.

    Returns:
        `gap + 3` indices in order.
    """
    last, span = first + gap * stride, gap * stride
    before = first - span if first - span >= usable.start else first
    after = last + span if last + span < usable.stop else last
    return [before, *range(first, last + 1, stride), after]
