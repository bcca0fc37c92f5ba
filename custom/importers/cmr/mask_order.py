# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a mask says of its own numbers: myocardium surrounds the left ventricle, and what is never drawn is unknown."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation

from custom.importers.notes import Doubt
from custom.scans.labels import CLASS_NAMES, CmrLabel, mask_numbers

CLEARLY = 0.25
"""Of the border: by how much more of it a cavity must touch myocardium than the other one does."""


def order_doubt(label: np.ndarray, numbering: str) -> Doubt | None:
    """A doubt if the right ventricle of a mask is surrounded by myocardium, and the left one is not.

    Args:
        label: `(N, T, H, W)` with the numbers of the file.
        numbering: `--masks`.
    """
    ours = {here: there for there, here in mask_numbers(numbering).items()}
    if not {CmrLabel.LV_CAVITY, CmrLabel.MYOCARDIUM, CmrLabel.RV_CAVITY} <= ours.keys():
        return None
    muscle = label == ours[CmrLabel.MYOCARDIUM]
    left, right = (_enclosed(label == ours[k], muscle) for k in (CmrLabel.LV_CAVITY, CmrLabel.RV_CAVITY))
    if left is None or right is None or right < left + CLEARLY:
        return None
    lv, rv = ours[CmrLabel.LV_CAVITY], ours[CmrLabel.RV_CAVITY]
    swapped = {**{there: here for here, there in ours.items()}, lv: CmrLabel.RV_CAVITY, rv: CmrLabel.LV_CAVITY}
    remedy = ",".join(f"{theirs}={int(here)}" for theirs, here in sorted(swapped.items()))
    told = f"myocardium surrounds number {rv} (here the right ventricle) of the mask"
    return Doubt(f"{told}: if it is the left one, say --masks {remedy}")


def absence_doubt(label: np.ndarray, numbering: str) -> Doubt | None:
    """A doubt if a mask, whose numbers were taken for ours unasked, lacks a structure in all slices.

    Args:
        label: `(N, T, H, W)` with the numbers of the file.
        numbering: `--masks`.
    """
    drawn = {k for k in CLASS_NAMES if (label == k).any()}
    if numbering != "ours" or not drawn or drawn == set(CLASS_NAMES):
        return None
    absent = " and ".join(CLASS_NAMES[k] for k in CLASS_NAMES if k not in drawn)
    remedy = "lv_cavity" if drawn == {CmrLabel.LV_CAVITY} else ",".join(f"{k}={k}" for k in sorted(drawn))
    return Doubt(f"the mask draws no {absent}, which counts as absent; if nobody drew it, say so with --masks {remedy}")


def _enclosed(cavity: np.ndarray, muscle: np.ndarray) -> float | None:
    """How much of a cavity's border touches myocardium, 0 to 1; None where there is no cavity."""
    structure = np.zeros((3, 3, 3, 3), bool)
    structure[1, 1] = [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    border = binary_dilation(cavity, structure) & ~cavity
    return float(muscle[border].mean()) if border.any() else None
