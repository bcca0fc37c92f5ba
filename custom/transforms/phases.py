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
