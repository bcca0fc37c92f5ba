# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Long-axis planes through short-axis stacks: where the left ventricle's axis lies, and what a cut along it shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import map_coordinates

from custom.errors import InputError
from custom.geometry import spacing_from_affine
from custom.scans.heart_centre import motion_centre
from custom.scans.labels import CmrLabel
from custom.scans.stacks import inspect_stack

#: Degrees that each plane is turned about the long axis, from the one towards the right ventricle.
VIEWS = {"4ch": 0.0, "2ch": 60.0, "3ch": 120.0}
#: Signs of the direction from base to apex in a NIfTI's world (right, front, head); least share of each in a normal.
TO_APEX, MIN_OBLIQUE = np.array([-1.0, 1.0, -1.0]), 0.1
LV_CAVITY, RV_CAVITY = CmrLabel.LV_CAVITY, CmrLabel.RV_CAVITY  # other label files need the first only


@dataclass(frozen=True, eq=False)
class Volume:
    """A stack in memory.

    Attributes:
        values: `(X, Y, Z, T)`, T = 1 for one volume.
        affine: `(4, 4)`, voxel index to mm.
        axis: the through-plane array axis.
    """

    values: np.ndarray
    affine: np.ndarray
    axis: int

    @property
    def count(self) -> int:
        """Slices along `axis`."""
        return self.values.shape[self.axis]

    def world(self, voxels: np.ndarray) -> np.ndarray:
        """Millimetres `(n, 3)` of voxel indices `(n, 3)`."""
        return voxels @ self.affine[:3, :3].T + self.affine[:3, 3]

    def voxels(self, world: np.ndarray) -> np.ndarray:
        """Voxel indices, fractional, `(n, 3)` of millimetres `(n, 3)`."""
        inverse = np.linalg.inv(self.affine)
        return world @ inverse[:3, :3].T + inverse[:3, 3]


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane that holds the long axis.

    Attributes:
        centre: a point on the axis, in the middle of the stack, mm `(3,)`.
        down: unit vector along the axis, downwards in pictures `(3,)`.
        across: unit vector to the right in pictures `(3,)`.
        half_length: half of what the stack covers along the axis, mm.
    """

    centre: np.ndarray
    down: np.ndarray
    across: np.ndarray
    half_length: float

    def turned(self) -> Plane:
        """The same plane upside down, turned and not mirrored."""
        return Plane(self.centre, -self.down, -self.across, self.half_length)


def read_volume(path: str | Path, axis: int | None = None) -> Volume:
    """Read a stack or a cine in physical units.

    Args:
        path: NIfTI file.
        axis: the through-plane array axis; by default that of largest spacing, which is wrong for a stack whose slices
            lie closer together than its pixels.

    Raises:
        InputError: see `custom.scans.stacks.inspect_stack`.
    """
    info = inspect_stack(path, axis)
    values = np.asarray(nib.load(path).dataobj, dtype=np.float32).reshape(*info.shape[:3], info.num_phases)
    return Volume(values, info.affine, info.axis)


def read_labels(path: str | Path, axis: int) -> Volume:
    """Read a label file; a mask of the left ventricle alone will do.

    Raises:
        InputError: it has no left ventricle, label 1.
    """
    labels = read_volume(path, axis)
    if not (labels.values[..., 0] == LV_CAVITY).any():
        raise InputError(path, f"has no left ventricle (label {LV_CAVITY})", "give the labels of this heart, or none")
    return labels


def long_axis_planes(stack: Volume, labels: Volume | None = None) -> dict[str, Plane]:
    """Planes like the 4, 2 and 3 chamber views.

    With labels, the axis is the line through the centres of the left ventricle's slices at the first phase, the base,
    where it is wider, is down, and the 4 chamber plane passes through the right ventricle, shown on the left. Without,
    it is the stack's normal through the middle of what beats (a cine) or of the volume, and the angles count from
    the first array axis that lies in the plane: long axes, but not the standard views.

    Args:
        stack: the stack that is to be cut.
        labels: of the same heart, on any grid.

    Returns:
        "4ch", "2ch", "3ch" -> plane.
    """
    normal = stack.affine[:3, stack.axis] / np.linalg.norm(stack.affine[:3, stack.axis])
    in_plane = next(axis for axis in range(3) if axis != stack.axis)
    reference = stack.affine[:3, in_plane]
    if labels is None:
        point, down = stack.world(_middle(stack)[None])[0], normal
    else:
        point, down = _ventricle_axis(labels, normal)
        right = np.argwhere(labels.values[..., 0] == RV_CAVITY)
        if len(right):
            reference = point - labels.world(right).mean(0)
    # The middle of the stack along the axis, and how much of the axis the slices cover.
    ends = np.tile(stack.voxels(point[None]), (2, 1))
    ends[:, stack.axis] = 0, stack.values.shape[stack.axis] - 1
    first, last = ((end - point) @ normal / (down @ normal) for end in stack.world(ends))
    centre, half_length = point + down * (first + last) / 2, abs(last - first) / 2
    across = reference - (reference @ down) * down
    across /= np.linalg.norm(across)
    beside = np.cross(down, across)
    return {
        view: Plane(centre, down, np.cos(angle) * across + np.sin(angle) * beside, half_length)
        for view, angle in ((view, np.deg2rad(degrees)) for view, degrees in VIEWS.items())
    }


def apex_at(stack: Volume) -> int | None:
    """The slice at the apex, 0 or the last, by the stack's place in the patient; None where the header leaves it open.

    From base to apex a heart points to the left, to the front and to the feet, and so does one normal of every oblique
    short-axis stack. Stacks whose orientation was lost have normals along an axis of the world.
    """
    normal = stack.affine[:3, stack.axis] / np.linalg.norm(stack.affine[:3, stack.axis])
    towards_apex = normal * TO_APEX
    if (towards_apex > MIN_OBLIQUE).all():
        return stack.values.shape[stack.axis] - 1
    return 0 if (towards_apex < -MIN_OBLIQUE).all() else None


def cut(
    volume: Volume, plane: Plane, phase: int, through: str = "linear", width_mm: float = 140.0, spacing_mm: float = 1.0
) -> np.ndarray:
    """A picture of a plane at true proportions.

    Args:
        volume: what is cut.
        plane: where.
        phase: of the heart cycle.
        through: between slices, "linear", or "nearest" for blocks as they were acquired. In plane always linear.
        width_mm: of the picture.
        spacing_mm: of its pixels, in both directions.

    Returns:
        `(h, w)` float32, NaN outside the volume.
    """
    rows = np.arange(-plane.half_length, plane.half_length + spacing_mm / 2, spacing_mm)
    columns = np.arange(-width_mm / 2, width_mm / 2 + spacing_mm / 2, spacing_mm)
    points = plane.centre + rows[:, None, None] * plane.down + columns[None, :, None] * plane.across
    voxels = volume.voxels(points.reshape(-1, 3)).T.reshape(3, len(rows), len(columns))
    last = np.array(volume.values.shape[:3])[:, None, None] - 1
    inside = ((voxels >= -1e-3) & (voxels <= last + 1e-3)).all(axis=0)
    if through == "nearest":
        voxels[volume.axis] = voxels[volume.axis].round()
    picture = map_coordinates(volume.values[..., phase], voxels.clip(0, last), order=1)
    return np.where(inside, picture, np.nan).astype(np.float32)


def end_systole(stack: Volume, labels: Volume | None = None) -> int:
    """The phase of the smallest left ventricle; without labels of every phase, the one least like phase 0."""
    if labels is not None and labels.values.shape[3] == stack.values.shape[3]:
        return int((labels.values == LV_CAVITY).sum(axis=(0, 1, 2)).argmin())
    difference = [abs(stack.values[..., t] - stack.values[..., 0]).mean() for t in range(stack.values.shape[3])]
    return int(np.argmax(difference))


def _middle(stack: Volume) -> np.ndarray:
    """Voxel `(3,)` in the middle of what beats, or of one phase the centre."""
    centre = (np.array(stack.values.shape[:3]) - 1) / 2
    in_plane = [axis for axis in range(3) if axis != stack.axis]
    spacing = spacing_from_affine(stack.affine)[in_plane]
    heart = motion_centre([np.moveaxis(stack.values, (stack.axis, 3), (0, 1))], tuple(spacing))
    if heart is not None:
        centre[in_plane] = heart
    return centre


def _ventricle_axis(labels: Volume, normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A point on the left ventricle's axis and the unit vector from apex to base."""
    mask = np.moveaxis(labels.values[..., 0] == LV_CAVITY, labels.axis, 0)
    areas = mask.sum(axis=(1, 2))
    slices = np.flatnonzero(areas)
    centres = []
    for k in slices:
        voxel = np.argwhere(mask[k]).mean(axis=0)
        centres.append(labels.world(np.insert(voxel, labels.axis, k)[None])[0])
    centres = np.array(centres)
    point = centres.mean(axis=0)
    # A ventricle seen in one slice or two has no axis of its own.
    axis = np.linalg.svd(centres - point)[2][0] if len(slices) > 2 else normal
    wider = np.sign(np.cov((centres - point) @ axis, areas[slices])[0, 1]) if len(slices) > 1 else 1.0
    return point, axis * (wider or 1.0)
