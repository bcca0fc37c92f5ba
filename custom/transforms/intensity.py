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


"""Intensities of a volume to [0, 1] for the network, and back into the input's own units and dtype."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type, convert_to_tensor

from custom.data.pullback_reader import ROBUST_PERCENTILES


def intensity_range(volume: torch.Tensor) -> tuple[float, float]:
    """What [0, 1] stands for: (0, 255) for uint8, else the 0.1 and 99.9 percentiles (the extremes if those are equal).

    Raises:
        ValueError: the volume is constant.
    """
    if volume.dtype == torch.uint8:
        return 0.0, 255.0
    values = convert_to_tensor(volume, track_meta=False).cpu().numpy()
    low, high = np.percentile(values, ROBUST_PERCENTILES)
    if low == high:
        low, high = values.min(), values.max()
    if low == high:
        raise ValueError(f"The volume is constant, every value is {low}.")
    return float(low), float(high)


class UnitIntensityd(MapTransform):
    """Map volumes to float32 in [0, 1], and keep the originals as `<key>_acquired` for `RestoreIntensityd`.

    Load with `LoadImaged(dtype=None)`, so that the originals are in the dtype of the file.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return `data` with scaled volumes and their originals."""
        data = dict(data)
        for key in self.key_iterator(data):
            low, high = intensity_range(data[key])
            data[f"{key}_acquired"] = data[key]
            data[key] = ((data[key].to(torch.float32) - low) / (high - low)).clamp(0, 1)
        return data


class RestoreIntensityd(MapTransform):
    """Bring interpolated volumes in [0, 1] back to the units and the dtype of the input; acquired slices bit-identical.

    Args:
        keys: interpolated volumes, slices on the last axis, every `(m - 1) / (n - 1)`-th of them acquired.
        ref_key: the original that `UnitIntensityd` kept.
        allow_missing_keys: do not complain of an absent key.
    """

    def __init__(
        self, keys: KeysCollection = "pred", ref_key: str = "image_acquired", allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.ref_key = ref_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return `data` with restored volumes."""
        data = dict(data)
        acquired = data[self.ref_key]
        low, high = intensity_range(acquired)
        acquired = convert_to_tensor(acquired, track_meta=False)
        for key in self.key_iterator(data):
            values = convert_to_tensor(data[key], track_meta=False).to(acquired.device, torch.float64)
            values = values.clamp(0, 1) * (high - low) + low
            restored = (values if acquired.is_floating_point() else values.round()).to(acquired.dtype)
            factor = (restored.shape[-1] - 1) // (acquired.shape[-1] - 1)
            restored[..., ::factor] = acquired
            data[key], *_ = convert_to_dst_type(restored, dst=data[key], dtype=restored.dtype)
        return data
