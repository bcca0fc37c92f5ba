# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The grid of an interpolated volume."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from custom.geometry import affine_for_counts
from custom.transforms.layout import check_axis, slice_axis, slice_dim


class DenseGridd(MapTransform):
    """Give interpolated volumes the affine that their slices have in the world.

    The spacing along `axis` becomes `spacing * (n - 1) / (m - 1)` for `n` slices in the reference and `m` in the
    prediction, read from the two shapes; the end slices stay where they were, obliquely or not. An inferer cannot do
    this: it meets the affine as `(4, 4)` in MONAI Label and collated to `(B, 4, 4)` in an engine. Here both are right.

    Follow it with `SaveImaged(resample=False)`: resampled, the volume would go back to the slices it came from.

    Args:
        keys: where present, interpolated volumes `([B,] C, X, Y, Z)` or cines `([B,] C, X, Y, Z, T)`.
        ref_key: the `MetaTensor` that they come from; its metadata is taken over.
        axis: the interpolated array axis, 0, 1 or 2; None for the through-plane axis of the reference's affine.
        allow_missing_keys: do not complain of an absent key.
    """

    def __init__(
        self,
        keys: KeysCollection = ("pred", "pred_std"),
        ref_key: str = "image",
        axis: int | None = 2,
        allow_missing_keys: bool = True,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        check_axis(axis)
        self.ref_key, self.axis = ref_key, axis

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return `data` with each of `keys` as a `MetaTensor` on its dense grid."""
        data = dict(data)
        reference = data[self.ref_key]
        axis, dim = slice_axis(reference, self.axis), slice_dim(reference, self.axis)
        for key in self.key_iterator(data):
            counts = reference.shape[dim], data[key].shape[dim]
            affines = reference.affine.cpu().numpy()
            dense = [affine_for_counts(affine, axis, *counts) for affine in affines.reshape(-1, 4, 4)]
            meta = {name: value for name, value in reference.meta.items() if name != "original_affine"}
            meta["loaded_slices"] = counts[0]
            meta["spatial_shape"] = np.array(data[key].shape[dim - axis :][:3])
            volume = MetaTensor(torch.as_tensor(data[key]), meta=meta)
            volume.affine = torch.from_numpy(np.stack(dense).reshape(affines.shape))
            data[key] = volume
        return data
