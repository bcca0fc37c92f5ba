# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Make the hearts of the cardiac phantom (`custom/phantoms/assets/heart_shapes.npz`) from the label maps of HVSMR-2.0.

    python data_scripts/make_heart_shapes.py --labels heart_labels --output custom/phantoms/assets/heart_shapes.npz

`--labels` is a folder of `pat<NN>_labels.nii.gz` as HVSMR-2.0 gives them (1 LV, 2 RV, 3 LA, 4 RA, 5 AO, 6 PA, 7 SVC,
8 IVC). Each heart is turned into the heart coordinates of the phantom, resampled and packed; one that has a small or no
ventricle or a huge atrium, or lies in the chest the other way round, is left out, and the log says why.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import NamedTuple

import fire
import nibabel as nib
import numpy as np
from scipy.ndimage import affine_transform, binary_dilation, gaussian_filter
from scipy.ndimage import label as components

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from custom.errors import InputError
from custom.files import atomic
from custom.importers.intake import as_typed, check_arguments

logger = logging.getLogger("make_heart_shapes")

SPACING_MM = 1.5
LV, RV, LA, RA = 1, 2, 3, 4
LEAST_ML = {LV: 50.0, RV: 20.0}
MOST_ML = {RA: 300.0}
LEAST_RIGHT = 0.7  # volume of the right ventricle over that of the left
ABOVE_BASE_MM = 60.0  # what lies higher is cut off: no slice gets there
SMOOTH_MM = 0.8
TOUCH_MM = 2.0  # label maps leave a voxel or two free between chambers


class Unusable(Exception):
    """Why a heart is left out."""


class Frame(NamedTuple):
    """Heart coordinates in the patient: rows of `axes` are unit vectors x, y, z (RAS+); `apex` is their origin, mm."""

    axes: np.ndarray
    apex: np.ndarray
    length: float


def heart_frame(labels: np.ndarray, affine: np.ndarray) -> Frame:
    """Where the left ventricle points: z from its apex to the mitral valve, x away from the right ventricle, y down.

    Args:
        labels: HVSMR-2.0 numbers, (X, Y, Z).
        affine: voxels to mm, RAS+.

    Raises:
        Unusable: a ventricle is small or an atrium huge, the left atrium does not touch the left ventricle, or the
            heart is mirrored.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    for number in (*LEAST_ML, *MOST_ML):
        volume = np.sum(labels == number) * spacing.prod() / 1000
        if not LEAST_ML.get(number, 0) <= volume <= MOST_ML.get(number, np.inf):
            raise Unusable(f"label {number} holds {volume:.0f} ml")
    if np.sum(labels == RV) < LEAST_RIGHT * np.sum(labels == LV):
        raise Unusable("the right ventricle is small against the left")

    def places(mask: np.ndarray) -> np.ndarray:
        return np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]

    steps = max(1, round(TOUCH_MM / spacing.min()))
    valve = places((labels == LV) & binary_dilation(labels == LA, iterations=steps))
    if len(valve) < 50:
        raise Unusable("the left atrium does not touch the left ventricle")
    mitral, cavity = valve.mean(axis=0), places(labels == LV)
    gap = np.linalg.norm(cavity - mitral, axis=1)
    apex = cavity[gap > np.quantile(gap, 0.997)].mean(axis=0)
    length = np.linalg.norm(mitral - apex)
    z = (mitral - apex) / length
    right = places(labels == RV)
    height = (right - apex) @ z
    right = right[(height > 0.15 * length) & (height < 0.85 * length)].mean(axis=0) - apex
    right -= right @ z * z
    x = -right / np.linalg.norm(right)
    y = np.cross(z, x)
    if x[0] > -0.1 or y[2] > -0.3 or z[1] > 0:
        raise Unusable("it lies in the chest in an unusual way")
    return Frame(np.stack([x, y, z]), apex, float(length))


def in_heart_coordinates(labels: np.ndarray, affine: np.ndarray, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Resample a label map to `SPACING_MM` along the axes of the heart, cropped to what is labelled.

    Returns:
        Labels, uint8 (x, y, z), and the heart coordinates of voxel 0 in mm, (3,).
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    corners = (np.argwhere(labels > 0) @ affine[:3, :3].T + affine[:3, 3] - frame.apex) @ frame.axes.T
    low = np.floor(corners.min(axis=0) / SPACING_MM - 1) * SPACING_MM
    high = np.minimum(corners.max(axis=0) + SPACING_MM, (np.inf, np.inf, frame.length + ABOVE_BASE_MM))
    shape = tuple((np.ceil((high - low) / SPACING_MM) + 1).astype(int))
    # Voxel of the new grid -> heart mm -> patient mm -> voxel of the label map.
    inverse = np.linalg.inv(affine)
    matrix = inverse[:3, :3] @ frame.axes.T * SPACING_MM
    offset = inverse[:3, :3] @ (frame.axes.T @ low + frame.apex) + inverse[:3, 3]
    share, winner = np.full(shape, 0.5, np.float32), np.zeros(shape, np.uint8)
    for number in range(1, 9):
        soft = gaussian_filter((labels == number).astype(np.float32), SMOOTH_MM / spacing)
        soft = affine_transform(soft, matrix, offset, shape, np.float32, order=1)
        winner[soft > share] = number
        share = np.maximum(share, soft)
    kept = np.zeros_like(winner)
    for number in (LV, RV):  # crumbs of a ventricle would become ventricles of their own
        parts, count = components(winner == number)
        if count:
            largest = 1 + np.argmax(np.bincount(parts.ravel())[1:])
            kept[parts == largest] = number
    return np.where(np.isin(winner, (LV, RV)), kept, winner), low


def make_heart_shapes(labels: str, output: str) -> None:
    """Pack all usable hearts of a folder.

    Args:
        labels: folder of pat<NN>_labels.nii.gz.
        output: .npz to write: `spacing_mm`, and for each heart its labels, uint8 (x, y, z), with `<name>_origin_mm`,
            the heart coordinates of its voxel 0, and `<name>_length_mm`, from apex to mitral valve.
    """
    paths = sorted(Path(labels).glob("pat*_labels.nii.gz"))
    if not paths:
        raise InputError(labels, "has no pat<NN>_labels.nii.gz", "name the folder of HVSMR-2.0's label maps")
    packed: dict[str, np.ndarray] = {"spacing_mm": np.float32(SPACING_MM)}
    for path in paths:
        image, name = nib.load(path), path.name.split("_")[0]
        numbers = np.asanyarray(image.dataobj).astype(np.uint8)
        try:
            frame = heart_frame(numbers, image.affine)
        except Unusable as reason:
            logger.info("%s is left out: %s", path.name, reason)
            continue
        packed[name], origin = in_heart_coordinates(numbers, image.affine, frame)
        packed[f"{name}_origin_mm"], packed[f"{name}_length_mm"] = origin.astype(np.float32), np.float32(frame.length)
        logger.info("%s: %s voxels, %.0f mm long", path.name, packed[name].shape, frame.length)
    with atomic(output) as temporary:
        np.savez_compressed(temporary, **packed)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    check_arguments(make_heart_shapes, sys.argv[1:])
    try:
        fire.Fire(as_typed(make_heart_shapes))
    except InputError as error:
        sys.exit(f"ERROR {error}")
