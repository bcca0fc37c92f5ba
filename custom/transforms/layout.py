# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Where slices and phases lie in a tensor of volumes.

Volumes are `([B,] C, X, Y, Z)`, cines `([B,] C, X, Y, Z, T)`; slices lie on one of the three spatial axes, which count
0, 1, 2 as in `custom.geometry`. MONAI reads a 4D NIfTI with its phases as channels: see `custom.transforms.phases`.
"""

from __future__ import annotations

import numpy as np
import torch

from custom.geometry import spacing_from_affine, through_plane_axis


def check_axis(axis: int | None) -> None:
    """Raise ValueError unless `axis` is 0, 1, 2 or None."""
    if axis not in (0, 1, 2, None):
        raise ValueError(f"axis must be 0, 1, 2 or None (the through-plane axis), got {axis!r}")


def slice_axis(volume: torch.Tensor, axis: int | None) -> int:
    """The interpolated spatial axis of a volume: what its metadata says, or else `axis`, or else that of its affine.

    Args:
        volume: a `MetaTensor` if `axis` is None; of a collated batch the first affine counts.
        axis: 0, 1, 2 or None.

    Raises:
        ValueError: an axis out of range, or no affine to look at.
    """
    check_axis(axis)
    said = getattr(volume, "meta", {}).get("slice_axis", axis)
    return through_plane_axis(_affine(volume)) if said is None else int(said)


def slice_spacing(volume: torch.Tensor, axis: int) -> float:
    """Distance of slice centres in mm along a spatial axis; ValueError where the volume has no affine."""
    return float(spacing_from_affine(_affine(volume))[axis])


def slice_dim(reference: torch.Tensor, axis: int | None) -> int:
    """Which dimension of a volume holds its slices, for `axis` as in `slice_axis`.

    A collated batch is told from one volume by its affines, `(B, 4, 4)`: their shapes alone can be those of a cine.
    """
    leading = 2 if getattr(reference, "affine", None) is not None and reference.affine.ndim == 3 else 1
    return leading + slice_axis(reference, axis)


def _affine(volume: torch.Tensor) -> np.ndarray:
    if getattr(volume, "affine", None) is None:
        raise ValueError("the volume has no affine: give a MetaTensor, or both axis and factor")
    # (4, 4) in MONAI Label, collated to (B, 4, 4) in an engine
    return volume.affine.reshape(-1, 4, 4)[0].cpu().numpy()


def slices_first(volumes: torch.Tensor, axis: int, takes_phases: bool) -> torch.Tensor:
    """A view of a batch of volumes as a row of slices.

    Args:
        volumes: `(B, C, X, Y, Z)` or `(B, C, X, Y, Z, T)`.
        axis: the interpolated spatial axis, 0, 1 or 2.
        takes_phases: the method takes a slice's phases together, as `(T, H, W)`; else they are to join the batch.

    Returns:
        `(N, B, C, T, H, W)` if the method takes phases, else `(N, B, T, C, H, W)`, `T` being 1 for volumes without
        phases. `H` and `W` are the two other spatial axes, in their order.

    Raises:
        ValueError: other dimensions, or volumes without phases where the method takes them.
    """
    if volumes.ndim not in (5, 6):
        raise ValueError(f"volumes are (B, C, X, Y, Z) or cines (B, C, X, Y, Z, T), got {tuple(volumes.shape)}")
    if takes_phases and volumes.ndim == 5:
        raise ValueError("this method takes the phases of a cine together: give (B, C, X, Y, Z, T)")
    if volumes.ndim == 5:
        volumes = volumes.unsqueeze(-1)
    return volumes.movedim(2 + axis, 0).movedim(-1, 3 if takes_phases else 2)
