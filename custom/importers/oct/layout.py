# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""How a pullback's frames are laid out: A-lines as rows, or a disc, alone or beside other things on a screen.

A disc is lit inside and dark in the corners of the square around it. A polar frame goes round: its last A-line
resembles its first one as it does its neighbour. What is neither is a doubt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from custom.errors import InputError
from custom.importers.notes import Doubt

DARK = 0.02
"""Of the range of values, above the lowest one: what is below counts as dark."""
MIN_DARK_CORNERS = 0.9
MIN_LIT_DISC = 0.2
"""Share of a disc's pixels that are lit in some frame: less is no disc but darkness."""
COARSE = 48
"""Pixels of the longer side on which a disc is looked for; it is then refined on twice as many, and so on."""
MIN_DISC = 0.4
"""Of the shorter side: smaller discs are not looked for."""
NEIGHBOURS = 2.5
"""Times the usual difference between neighbouring rows that the first and the last row may differ."""
MANY_FRAMES = 32
_CROP = re.compile(r"(\d+):(\d+),(\d+):(\d+)")
_OVERRULE = "--layout and --crop top:bottom,left:right overrule it"


@dataclass(frozen=True)
class Layout:
    """How frames are laid out.

    Args:
        name: "polar" or "cartesian".
        note: why, a `Doubt` where it may be wrong.
        window: (top, bottom, left, right) of the part of the frame that counts; None for all of it.
    """

    name: str
    note: str
    window: tuple[int, int, int, int] | None = None


def parse_crop(text: str | None) -> tuple[int, int, int, int] | None:
    """`top:bottom,left:right` in pixels; Fire hands over a string.

    Raises:
        InputError: it is something else.
    """
    if text is None:
        return None
    match = _CROP.fullmatch(re.sub(r"[\s()'\"]", "", str(text)))
    top, bottom, left, right = (int(number) for number in match.groups()) if match else (0, 0, 0, 0)
    if top >= bottom or left >= right:
        raise InputError("--crop", f"is {text}", "give top:bottom,left:right in pixels, for instance 0:512,0:512")
    return top, bottom, left, right


def find_layout(frames: np.ndarray, stated: str | None = None, asked: str = "auto", transpose: bool = False) -> Layout:
    """The layout of frames.

    Args:
        frames: gray `(H, W, F)`.
        stated: "polar" or "cartesian" as the file says, None where it does not.
        asked: "polar", "cartesian", or "auto" to find out. Cartesian frames that are no square are cut to their disc.
        transpose: polar frames have their A-lines in columns, as the user says.
    """
    if asked == "polar" or (asked == "cartesian" and frames.shape[0] == frames.shape[1]):
        return Layout(asked, f"{asked} frames, by --layout")
    height, width, count = frames.shape
    picked = frames[..., np.linspace(0, count - 1, min(count, MANY_FRAMES)).round().astype(int)]
    if stated == "polar" and asked == "auto":
        return Layout("polar", "polar frames, as the header says")
    low, high = float(picked.min()), float(picked.max())
    lit = (picked > low + DARK * (high - low)).mean(axis=2)
    if height == width and _is_disc(lit, 0, 0, height):
        return Layout("cartesian", "Cartesian frames: dark corners around a disc")
    window = _inscribed(lit) if height != width else None
    if window is None:
        window = _disc_inside(lit)
    if window is not None:
        top, bottom, left, right = window
        told = f"the disc at rows {top}:{bottom}, columns {left}:{right} is cut out of {height} x {width} pixels"
        return Layout("cartesian", Doubt(f"Cartesian frames: {told}; {_OVERRULE}"), window)
    if asked == "cartesian":
        return Layout(asked, "Cartesian frames, by --layout")
    if stated:
        return Layout(stated, f"{stated} frames, as the header says")
    lines, others = ("row", "column")[:: -1 if transpose else 1]
    turned = picked.swapaxes(0, 1)
    if goes_round(turned if transpose else picked):
        return Layout("polar", "polar frames: the last A-line continues the first")
    if goes_round(picked if transpose else turned):
        why = f"polar frames whose A-lines seem to be {others}s: the last {others} continues the first, not the last"
        remedy = "leave out --transpose" if transpose else "say --transpose"
        return Layout("polar", Doubt(f"{why} {lines}; {remedy} if so, else --layout"))
    why = f"frames of {height} x {width} pixels are taken for polar ones, since they have no disc with dark corners"
    return Layout("polar", Doubt(f"{why}, but their last {lines} does not continue the first; {_OVERRULE}"))


def goes_round(frames: np.ndarray) -> bool:
    """Whether the last row continues the first: they are lit, and as alike as neighbours, not as any two rows.

    Args:
        frames: `(rows, columns, F)`.
    """
    rows = frames.astype(np.float32)
    rows = rows - rows.min()
    level = rows.mean(axis=(1, 2))
    if min(level[0], level[-1]) < 0.25 * np.median(level):
        return False

    def apart(step: int) -> np.ndarray:
        return np.abs(rows - np.roll(rows, step, axis=0)).mean(axis=(1, 2))

    neighbours, strangers = apart(1), np.median(apart(max(2, len(rows) // 3)))
    usual = float(np.median(neighbours[1:]))
    return bool(usual < 0.75 * strangers and neighbours[0] <= min(NEIGHBOURS * usual, 0.9 * strangers))


def _is_disc(lit: np.ndarray, top: int, left: int, size: int) -> bool:
    square = lit[top : top + size, left : left + size]
    inside = _disc(size)
    return bool(1 - square[~inside].mean() > MIN_DARK_CORNERS and (square[inside] > 0).mean() > MIN_LIT_DISC)


@lru_cache(maxsize=8)
def _disc(size: int) -> np.ndarray:
    offset = np.arange(size) - (size - 1) / 2
    return np.hypot(offset[:, None], offset) <= size / 2 + 1


def _inscribed(lit: np.ndarray) -> tuple[int, int, int, int] | None:
    """The square as wide as the shorter side that holds a disc and dark corners, if there is one."""
    size = min(lit.shape)
    best, window = -np.inf, None
    kernel = np.where(_disc(size), 1.0, -1.0)
    for start in range(max(lit.shape) - size + 1):
        top, left = (start, 0) if lit.shape[0] > size else (0, start)
        if not _is_disc(lit, top, left, size):
            continue
        # More that is lit inside, less outside; of equals the one that is most alike when turned by half.
        square = (lit[top : top + size, left : left + size] > 0).astype(float)
        score = (square * kernel).mean() - 0.1 * np.abs(square - square[::-1, ::-1]).mean()
        if score > best:
            best, window = score, (top, top + size, left, left + size)
    return window


def _disc_inside(lit: np.ndarray) -> tuple[int, int, int, int] | None:
    """A disc anywhere in a frame with other things around it, looked for from coarse to fine; None if there is none."""
    scale = 2 ** max(0, int(np.ceil(np.log2(max(lit.shape) / COARSE))))
    bright = (lit > 0).astype(np.float32)
    small = _shrunk(bright, scale)
    low = int(MIN_DISC * min(small.shape))
    candidates = [
        (y, x, size)
        for size in range(max(8, low), min(small.shape) + 1)
        for y in range(small.shape[0] - size + 1)
        for x in range(small.shape[1] - size + 1)
    ]
    found = max(candidates, key=lambda c: _score(small, *c), default=None)
    while found is not None and scale > 1:
        scale //= 2
        small = _shrunk(bright, scale)
        around = [(2 * found[0] + a, 2 * found[1] + b, 2 * found[2] + c) for a, b, c in np.ndindex(3, 3, 5)]
        around = [(y - 1, x - 1, size - 2) for y, x, size in around]
        found = max(around, key=lambda c: _score(small, *c))
    if found is None or _score(bright, *found) <= 0:
        return None
    top, left, size = found
    return (top, top + size, left, left + size) if _is_disc(lit, top, left, size) else None


def _score(bright: np.ndarray, top: int, left: int, size: int) -> float:
    """How well a disc fits: the area that is lit inside, less what is lit in the corners and dark inside."""
    if top < 0 or left < 0 or size < 8 or top + size > bright.shape[0] or left + size > bright.shape[1]:
        return -np.inf
    square = bright[top : top + size, left : left + size]
    inside = _disc(size)
    lit, spilt = square[inside].sum(), square[~inside].sum()
    return float(2 * lit - inside.sum() - 4 * spilt)


def _shrunk(image: np.ndarray, scale: int) -> np.ndarray:
    height, width = (n // scale for n in image.shape)
    return image[: height * scale, : width * scale].reshape(height, scale, width, scale).mean(axis=(1, 3))
