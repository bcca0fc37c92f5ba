# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Long-axis planes through a short-axis stack of the cardiac phantom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates

# Points of a heart that planes pass through: on the long axis, and at the height of the valves.
LANDMARKS = ("apex", "mitral", "aortic", "right", "inferior")
# The 4 chamber plane passes through both ventricles and atria, the 3 chamber plane through the aortic valve, the
# 2 chamber plane through the inferior and anterior walls.
VIEWS = {"2ch": "inferior", "3ch": "aortic", "4ch": "right"}


@dataclass(frozen=True)
class CmrStack:
    """A short-axis stack and its truth.

    Args:
        image: int16 (X, Y, Z, T), slices from the apex to the base.
        labels: `CmrLabel` ids of the plane in the middle of each slice, uint8 of the same shape.
        affine: voxels to mm, RAS+, (4, 4).
        landmarks: points in mm, (3,) each, that long-axis planes pass through.
        interval_ms: duration of the heartbeat.
    """

    image: np.ndarray
    labels: np.ndarray
    affine: np.ndarray
    landmarks: dict[str, np.ndarray]
    interval_ms: float

    def long_axis_views(self, size: int = 128, spacing: float = 1.0) -> dict[str, np.ndarray]:
        """The 2, 3 and 4 chamber views: name -> float32 (size, size, T), see `cut_long_axis`."""
        return {view: cut_long_axis(self, view, size, spacing) for view in VIEWS}


def cut_long_axis(
    stack: CmrStack, view: str, size: int = 128, spacing: float = 1.0, array: np.ndarray | None = None
) -> np.ndarray:
    """Cut a long-axis view by linear interpolation, apex up; what lies outside the stack is 0.

    Args:
        stack: a stack, dense for a faithful cut.
        view: ``2ch``, ``3ch`` or ``4ch``.
        size: pixels of the cut along either axis.
        spacing: of the cut, mm.
        array: cut this instead of the stack's image, (X, Y, Z, T) on the stack's grid; integers that name labels
            (uint8) are taken from the nearest voxel.

    Returns:
        (size, size, T), float32, or uint8 for labels.

    Raises:
        ValueError: no such view.
    """
    if view not in VIEWS:
        raise ValueError(f"The long-axis views are {', '.join(VIEWS)}; got {view}.")
    array = stack.image if array is None else array
    apex, mitral, mark = (stack.landmarks[name] for name in ("apex", "mitral", VIEWS[view]))
    down = (mitral - apex) / np.linalg.norm(mitral - apex)
    side = (mark - apex) - (mark - apex) @ down * down
    # The landmark lies on the left of the picture, as readers are used to: right heart left, outflow left.
    side = -side / np.linalg.norm(side)
    offsets = (np.arange(size) - (size - 1) / 2) * spacing
    centre = (apex + mitral) / 2 + 6.0 * down
    world = centre[:, None, None] + down[:, None, None] * offsets[:, None] + side[:, None, None] * offsets[None, :]
    inverse = np.linalg.inv(stack.affine)
    voxels = np.tensordot(inverse[:3, :3], world, 1) + inverse[:3, 3][:, None, None]
    labels = array.dtype == np.uint8
    cut = [
        map_coordinates(array[..., t] if labels else array[..., t].astype(np.float32), voxels, order=0 if labels else 1)
        for t in range(array.shape[-1])
    ]
    return np.stack(cut, axis=-1)
