# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The phases of a cine between MONAI's readers and writers, which take them for channels, and ours."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monai.transforms import MapTransform


class PhasesLastd(MapTransform):
    """Cines as `LoadImaged` and `EnsureChannelFirstd` give them, `(T, X, Y, Z)`, to `(1, X, Y, Z, T)`.

    Volumes, `(1, X, Y, Z)`, stay as they are. Images of one channel only: phases and colours look alike.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return `data` with the phases last."""
        data = dict(data)
        for key in self.key_iterator(data):
            if data[key].ndim != 4:
                raise ValueError(f"{key} is (T, X, Y, Z) or (1, X, Y, Z), got {tuple(data[key].shape)}")
            if data[key].shape[0] > 1:
                data[key] = data[key].movedim(0, -1).unsqueeze(0)
        return data


class PhasesFirstd(MapTransform):
    """The inverse of `PhasesLastd`, before `SaveImaged`, which would drop all phases of `(1, X, Y, Z, T)` but one."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return `data` with the phases as channels."""
        data = dict(data)
        for key in self.key_iterator(data):
            if data[key].ndim == 5:
                data[key] = data[key].squeeze(0).movedim(-1, 0)
        return data
