# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Burnt-in marks of a whole pullback: what stands still, what is in single frames, and both filled."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from custom.importers.oct.display import MIN_STATIC_FRAMES, fill_overlay, static_overlay, white_of

WHITE = 0.98
"""Of the value of white: a label is as bright as the display can be."""
BRIGHT = 0.8
"""Of the value of white: where as much anatomy is brighter than this as is white, white is anatomy."""
HALO = 3
"""Pixels around a label that scaling and JPEG have brightened."""
MIN_LABEL = 12
"""White pixels that touch; fewer are specks of anatomy that a display has cut off at white."""
SPECKS = 20
"""Brightest pixels of a frame that do not count."""
RISE, LEAST = 0.04, 0.6
"""Of the value of white: a label is so much brighter than frames without one, and at least so bright."""
MAX_LABELLED = 0.25
"""Of the frames: what is white in more of them is anatomy, or stands still."""
GENERATION = ndimage.generate_binary_structure(2, 2)


def fill_marks(
    frames: np.ndarray, marks: np.ndarray, is_display: bool
) -> tuple[np.ndarray, np.ndarray, dict[int, int]]:
    """Fill the marks that are known, that stand still, and that are in single frames.

    Args:
        frames: gray `(H, W, F)`.
        marks: `(H, W)` bool, known ones.
        is_display: the frames show a disc, as displays do, on which marks stand and labels are put.

    Returns:
        The frames, the mask `(H, W)` of what is filled in all of them, and pixels filled besides in single frames.
    """
    if is_display:
        marks = marks | static_overlay(frames)
    marks = ndimage.binary_dilation(marks)  # scaling and JPEG smear the marks
    filled = fill_overlay(frames, marks)
    labels = single_labels(frames, marks) if is_display else {}
    for k, label in labels.items():
        filled[..., k : k + 1] = fill_overlay(frames[..., k : k + 1], marks | label)
    return filled, marks, {k: int((label & ~marks).sum()) for k, label in labels.items()}


def too_few_frames(frames: np.ndarray) -> bool:
    """Whether gray marks that stand still cannot be told from anatomy."""
    return frames.shape[2] < MIN_STATIC_FRAMES


def single_labels(frames: np.ndarray, known: np.ndarray) -> dict[int, np.ndarray]:
    """White labels and pointers that are in some frames only.

    They are as white as white can be in some pieces, while little else comes near it. Where anatomy does (metal, a
    display with much gain), or most frames have such pieces, white is taken for anatomy.

    Args:
        frames: gray `(H, W, F)`.
        known: `(H, W)` bool, marks that are known already.

    Returns:
        Frame to the mask `(H, W)` of its labels, their halo included.
    """
    if frames.dtype.kind == "f":
        return {}
    white, count = white_of(frames), frames.shape[2]
    around_known = ndimage.binary_dilation(known, GENERATION, HALO)
    whites, usual = {}, []
    for k in range(count):
        frame = np.where(around_known, 0, frames[..., k])
        pieces, number = ndimage.label(frame >= WHITE * white, GENERATION)
        sizes = np.bincount(pieces.ravel(), minlength=number + 1)[1:]
        if (sizes >= MIN_LABEL).any():
            whites[k] = int(sizes.sum())
        else:
            usual.append((int((frame >= BRIGHT * white).sum()), np.partition(frame, -SPECKS, axis=None)[-SPECKS]))
    if not whites or len(whites) > max(1, MAX_LABELLED * count) or not usual:
        return {}
    bright, top = np.mean([n for n, _ in usual]), max(value for _, value in usual)
    if bright >= np.mean(list(whites.values())):
        return {}
    # A frame with labels has thin and gray ones too: all that is brighter than any other frame.
    least = max(float(top) + RISE * white, LEAST * white)
    return {k: ndimage.binary_dilation(frames[..., k] > least, GENERATION, HALO) for k in whites}
