# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Images that were left out of a stack although they belong to it: a stack that lacks them must not be written.

An image belongs to a stack if it is of its series, or lies where its grid goes on, and the stack has nothing there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from custom.errors import InputError
from custom.importers.cmr.dicom import DicomImage, LeftOut
from custom.importers.cmr.joining import like
from custom.importers.cmr.lines import SAME_POSITION_MM
from custom.importers.cmr.slices import AT_AN_END, SPACING_TOLERANCE, SortedStack
from custom.importers.notes import Doubt

MAX_GAPS = 2
"""How many gaps beyond the ends of a stack an image of another series is still taken for a part of it."""
ON_LINE_MM = 1.0
NEARLY_PARALLEL = 0.03
"""Of direction cosines, about 2 degrees."""
SAME_PIXEL = 1e-2


@dataclass(frozen=True)
class Candidate:
    """An image that is in no stack.

    Args:
        series_key: of its series.
        told: its series, for messages.
        reason: why it was left out.
        path: of the file.
        image: its geometry, if it has one.
        is_fault: its header is wrong, rather than that of another kind of image.
    """

    series_key: tuple[str, int]
    told: str
    reason: str
    path: Path
    image: DicomImage | None
    is_fault: bool = False


def candidates(left_out: Sequence[LeftOut], groups: Sequence[tuple[Sequence[DicomImage], str]]) -> list[Candidate]:
    """All images that are in no stack: those that are no images of a stack, and groups that are too small for one."""
    found = [Candidate(i.series_key, i.told, i.reason, i.path, i.image, i.is_fault) for i in left_out]
    for images, reason in groups:
        found += [Candidate(image.series_key, image.told(), reason, image.path, image) for image in images]
    return found


def missing_images(where: Path, stack: SortedStack, left_out: Sequence[Candidate]) -> InputError | None:
    """The fault of a stack that lacks images, or None.

    Args:
        where: folder or zip, for messages.
        stack: in order.
        left_out: all images of the study that are in no stack, those that the user left out excepted.
    """
    series = {image.series_key for image in stack.flat}
    words = {like(image.told()) for image in stack.flat}
    lacking: dict[tuple[str, str, str], list[Path]] = {}
    for item in left_out:
        lies = None if item.image is None else _lies(stack, item.image)
        if lies == "covered":
            continue
        if item.series_key in series:
            how = "are of this series"
        elif item.is_fault and item.image is None and like(item.told) in words:
            how = "are of a series of the same name"
        elif lies == "continues":
            how = f"continue the grid of {stack.series()}"
        else:
            continue
        lacking.setdefault((item.told, item.reason, how), []).append(item.path)
    if not lacking:
        return None
    (told, reason, how), paths = next(iter(lacking.items()))
    fault = f"left out {len(paths)} images of {told} ({paths[0].name}): {reason}, but they {how}"
    if len(lacking) > 1:
        fault += f"; and {sum(map(len, lacking.values())) - len(paths)} more"
    remedy = f"mend them, or remove them {AT_AN_END}"
    if how.startswith("continue"):
        remedy = "take them in with --join all, or leave their series out with --series"
    return InputError(where, f"{stack.told()}: {fault}", remedy)


def continued_stacks(stacks: Sequence[SortedStack], join: str = "like") -> list[Doubt]:
    """Stacks that go on where another ends, at its spacing: they may be one, cut in pieces.

    Args:
        stacks: of a study, or of several studies of one patient.
        join: the option `--join` that kept them apart, for the remedy.
    """
    found = []
    for k, stack in enumerate(stacks):
        for other in stacks[k + 1 :]:
            ends = [other.images[0][0], other.images[-1][0]]
            again = [stack.images[0][0], stack.images[-1][0]]
            whole = any(_lies(stack, image) == "continues" for image in ends)
            if not (whole and any(_lies(other, image) == "continues" for image in again)):
                continue
            told = f"{other.series()} continues the grid of {stack.series()}, taken as stacks of their own"
            remedy = "if they are one, say --join all" if join != "all" else "look for slices that are missing"
            found.append(Doubt(f"{told}; {remedy}"))
    return found


def _lies(stack: SortedStack, image: DicomImage) -> str | None:
    """Where an image lies: "covered" by a slice of the stack, where it "continues", or (None) elsewhere."""
    first, last = stack.images[0][0], stack.images[-1][0]
    if np.abs(image.orientation - first.orientation).max() > NEARLY_PARALLEL:
        return None
    step = (last.position - first.position) / (len(stack.images) - 1)
    spacing = float(np.linalg.norm(step))
    place = float((image.position - first.position) @ step) / spacing**2
    beside = image.position - first.position - place * step
    if np.linalg.norm(beside) > ON_LINE_MM:
        return None
    nearest = round(place)
    if 0 <= nearest < len(stack.images) and abs(place - nearest) * spacing <= SAME_POSITION_MM:
        return "covered"
    beyond = max(-nearest, nearest - len(stack.images) + 1)
    on_grid = abs(place - nearest) <= SPACING_TOLERANCE * max(1, beyond) and 1 <= beyond <= MAX_GAPS
    same_pixel = np.allclose(image.spacing, first.spacing, rtol=SAME_PIXEL) and image.shape == first.shape
    return "continues" if on_grid and same_pixel else None
