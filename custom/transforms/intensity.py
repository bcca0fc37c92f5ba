# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Intensities of a volume to [0, 1] for the network, and back into the input's own units and dtype."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type, convert_to_numpy, ensure_tuple

from custom.scans.pullback_reader import ROBUST_PERCENTILES
from custom.scans.scan import Scan
from custom.scans.scans import inspect_scan, percentile_range
from custom.scans.stacks import excess, from_unit
from custom.scans.tissue import tissue_range
from custom.transforms.layout import check_axis, slice_dim


class IntensityScale(NamedTuple):
    """What [0, 1] stands for, named as in `custom.scans.stacks.Scan`.

    Attributes:
        intensity_range: (low, high) in the volume's units, low < high.
        dtype: of the volume.
    """

    intensity_range: tuple[float, float]
    dtype: np.dtype


def intensity_scale(volume: torch.Tensor, percentiles: Sequence[float] | None = None) -> IntensityScale:
    """What [0, 1] stands for in a volume.

    Args:
        volume: any shape.
        percentiles: of its tissue, that map to 0 and 1, or the extremes if they are equal. None: (0, 255) for uint8,
            else the 0.1 and 99.9 percentiles.

    Raises:
        ValueError: the volume is constant.
    """
    values = convert_to_numpy(volume)
    if percentiles is None and values.dtype == np.uint8:
        return IntensityScale((0.0, 255.0), values.dtype)
    chosen = ROBUST_PERCENTILES if percentiles is None else tuple(percentiles)
    return IntensityScale(tissue_range(values, chosen), values.dtype)


def restore_slice(
    scale: IntensityScale | Scan, values: np.ndarray, before: np.ndarray, after: np.ndarray, share: float
) -> np.ndarray:
    """A synthetic slice in the stored dtype and units.

    What the intensity range cut off its acquired neighbours, such as the very bright, is mixed linearly and added: else
    bright fat would be darker in every synthetic slice than in the acquired ones beside it.

    Args:
        scale: what [0, 1] stands for.
        values: the slice in [0, 1], any shape.
        before: the acquired slice before it, as stored, the same shape.
        after: the acquired slice after it.
        share: how far the slice lies from `before` to `after`, in (0, 1).
    """
    low, high = scale.intensity_range
    cut = (1 - share) * excess(scale, before) + share * excess(scale, after)
    return from_unit(scale, np.clip(values, 0, 1) + cut.astype(np.float64) / (high - low))


class UnitIntensityd(MapTransform):
    """Map volumes to float32 in [0, 1].

    Originals are kept as `<key>_acquired` and their (low, high) as `<key>_range`, both for `RestoreIntensityd`.

    Args:
        keys: volumes or cines, any shape; one range serves all of it.
        percentiles: what maps to 0 and 1, of the whole file even where `LoadScand` has read a part of it. None: the
            range that `LoadScand` tells, or where there is none the rule of `intensity_scale`.
        allow_missing_keys: do not complain of an absent key.
    """

    def __init__(
        self, keys: KeysCollection, percentiles: Sequence[float] | None = None, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.percentiles = percentiles

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return `data` with scaled volumes, their originals and their ranges."""
        data = dict(data)
        for key in self.key_iterator(data):
            low, high = self._range(data[key])
            data[f"{key}_acquired"], data[f"{key}_range"] = data[key], (low, high)
            data[key] = ((data[key].to(torch.float32) - low) / (high - low)).clamp(0, 1)
        return data

    def _range(self, volume: torch.Tensor) -> tuple[float, float]:
        meta = getattr(volume, "meta", {})
        if self.percentiles is None:
            return meta.get("intensity_range") or intensity_scale(volume).intensity_range
        if "num_slices" in meta and volume.shape[1 + meta["slice_axis"]] < meta["num_slices"]:
            scan = inspect_scan(meta["filename_or_obj"], meta["kind"], meta["slice_axis"])
            return percentile_range(scan, tuple(self.percentiles))
        return intensity_scale(volume, self.percentiles).intensity_range


class RestoreIntensityd(MapTransform):
    """Bring interpolated volumes in [0, 1] back to the units and the dtype of the input; acquired slices bit-identical.

    Args:
        keys: interpolated volumes `(C, X, Y, Z)` or cines `(C, X, Y, Z, T)`, no batch of several; every
            `(m - 1) / (n - 1)`-th of their slices is acquired.
        ref_key: the original that `UnitIntensityd` kept.
        range_key: the (low, high) that `UnitIntensityd` kept.
        axis: the interpolated array axis, 0, 1 or 2; None for the through-plane axis of the original's affine.
        deviation_keys: standard deviations of predictions in [0, 1]: become float32 in the image's physical units.
        keep_excess: add to synthetic slices what the range cut off (`restore_slice`), as is done for cardiac MR. OCT
            frames are clipped instead: their brightest speckle does not go on from frame to frame.
        allow_missing_keys: do not complain of an absent key.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        ref_key: str = "image_acquired",
        range_key: str = "image_range",
        axis: int | None = 2,
        keep_excess: bool = False,
        deviation_keys: KeysCollection = "pred_std",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        check_axis(axis)
        self.ref_key, self.range_key, self.axis, self.keep_excess = ref_key, range_key, axis, keep_excess
        self.deviation_keys = ensure_tuple(deviation_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return `data` with restored volumes."""
        data = dict(data)
        original = data[self.ref_key]
        dim = slice_dim(original, self.axis)
        acquired = np.moveaxis(convert_to_numpy(original), dim, 0)
        low, high = (float(value) for value in data[self.range_key])
        scale = IntensityScale((low, high), acquired.dtype)
        for key in self.key_iterator(data):
            values = np.moveaxis(convert_to_numpy(data[key]), dim, 0)
            factor = (len(values) - 1) // (len(acquired) - 1)
            restored = np.empty(values.shape, scale.dtype)
            restored[::factor] = acquired
            for index in range(len(values)):
                gap, step = divmod(index, factor)
                if step and self.keep_excess:
                    ends = acquired[gap], acquired[gap + 1]
                    restored[index] = restore_slice(scale, values[index], *ends, step / factor)
                elif step:
                    restored[index] = from_unit(scale, np.clip(values[index], 0, 1))
            restored = torch.from_numpy(np.ascontiguousarray(np.moveaxis(restored, 0, dim)))
            data[key], *_ = convert_to_dst_type(restored, dst=data[key], dtype=restored.dtype)
        for key in data.keys() & set(self.deviation_keys):
            data[key] = data[key] * float(np.float32((high - low) * abs(original.meta.get("slope", 1.0))))
        return data
