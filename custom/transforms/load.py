# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A scan from disk into a dictionary of tensors."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import MetaKeys

from custom.errors import InputError
from custom.scans.scan import Scan
from custom.scans.scans import inspect_scan, read_scan_slices

SLICES = "slices"
"""Key of the items: (first, stop) of the slices to load; absent for all of them."""


class LoadScand(MapTransform):
    """Read stacks, cines and pullbacks as they are stored.

    MONAI's `LoadImaged` takes the phases of a cine for channels, scales values and cannot read a part of a file. Here a
    path becomes a `MetaTensor` `(1, X, Y, Z)` or `(1, X, Y, Z, T)` in the stored dtype and units, with the affine of
    what was loaded and with this in its `meta`:

    - `slice_axis`: the array axis with the slices; `num_slices`: of the whole file; `first_slice`: the first loaded;
    - `kind`: as given here;
    - `intensity_range`: (low, high) of the whole file in stored units, what [0, 1] is to stand for;
    - `coordinates`: "polar", "cartesian" or "unknown".

    Args:
        keys: of paths.
        kind: "stack" (short-axis stacks and cines) or "pullback" (OCT, frames on the last axis); says which files are
            right, and which range is theirs, see `custom.scans.scans.inspect_scan`.
        axis: the array axis on which slices lie; None for the one of largest spacing, or the last of a pullback.
        allow_missing_keys: do not complain of an absent key.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        kind: str = "stack",
        axis: int | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.kind, self.axis = kind, axis

    def inspect(self, path: str) -> Scan:
        """What is in a file; InputError where it is not what `kind` says."""
        return inspect_scan(path, self.kind, self.axis)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return `data` with volumes in place of paths."""
        data = dict(data)
        for key in self.key_iterator(data):
            scan = self.inspect(str(data[key]))
            first, stop = data.get(SLICES, (0, scan.num_slices))
            slices = read_scan_slices(scan, first, stop)  # (N, T, H, W)
            volume = np.moveaxis(slices, (0, 1), (scan.axis, 3))
            volume = volume if len(scan.shape) == 4 else volume[..., 0]
            affine = scan.affine.copy()
            affine[:3, 3] += first * affine[:3, scan.axis]
            meta = {
                MetaKeys.ORIGINAL_AFFINE: affine,
                MetaKeys.AFFINE: affine,
                MetaKeys.SPATIAL_SHAPE: np.array(volume.shape[:3]),
                "filename_or_obj": str(scan.path),
                "kind": self.kind,
                "slice_axis": scan.axis,
                "num_slices": scan.num_slices,
                "first_slice": first,
                "intensity_range": scan.intensity_range,
                "slope": scan.slope,
                "coordinates": scan.coordinates,
            }
            data[key] = MetaTensor(_tensor(scan, volume)[None], affine=torch.from_numpy(affine), meta=meta)
        data.pop(SLICES, None)
        return data


def _tensor(scan: Scan, volume: np.ndarray) -> torch.Tensor:
    """The values of a file as a tensor of the same dtype; PyTorch has no foreign byte order and no long double."""
    try:
        return torch.from_numpy(np.ascontiguousarray(volume, volume.dtype.newbyteorder("=")))
    except TypeError as error:
        raise InputError(
            scan.path, f"holds {volume.dtype}, which PyTorch does not know", "save it as float32"
        ) from error
