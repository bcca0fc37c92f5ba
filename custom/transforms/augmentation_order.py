# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Random order of the slices of an item: a stack has no direction."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform


class RandReverseSlicesd(RandomizableTransform, MapTransform):
    """Give the slices of a triplet, or the frames of a window, in reverse order (methods.md B19).

    Phases of the heart cycle keep theirs: of an item with "phases" n the channels are slices times n phases.

    Args:
        keys: items `(slices * phases, H, W)`.
        prob: of a reversal.
        allow_missing_keys: do not complain of an absent key.
    """

    def __init__(self, keys: KeysCollection, prob: float = 0.5, allow_missing_keys: bool = False) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return `data`, reversed or not; "positions" `(slices,)` in [0, 1], where there are any, follow the slices."""
        data = dict(data)
        self.randomize(None)
        if self._do_transform:
            for key in self.key_iterator(data):
                data[key] = data[key].unflatten(0, (-1, data.get("phases", 1))).flip(0).flatten(0, 1)
            if "positions" in data:
                data["positions"] = 1 - data["positions"].flip(0)
        return data
