# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Movies: frames side by side, each with the border of what it is, as an animated GIF."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from custom.errors import InputError
from custom.files import atomic
from custom.pictures.plotting import ACQUIRED, SYNTHETIC

HEIGHT = 320  # pixels of every panel
BORDER, BAR = 4, 16  # pixels: around a panel, and for the text above it
FRAME_MS = 100
MAX_FRAMES = 300


@dataclass(frozen=True)
class Shot:
    """One panel of one moment.

    Attributes:
        frame: `(h, w)`, 0 is black and 1 white.
        synthetic: True for the dashed border of synthetic frames, False for the solid one of acquired frames, None for
            none.
        text: above it.
        cursor: column that is marked, such as where in a longitudinal cut the frame beside it lies.
        height: of the panel in pixels.
    """

    frame: np.ndarray
    synthetic: bool | None
    text: str
    cursor: float | None = None
    height: int = HEIGHT


def write_gif(moments: Iterable[Sequence[Shot]], path: str | Path, stacked: bool = False) -> None:
    """Write a movie that starts again when it ends.

    Args:
        moments: the panels of each moment, of the same sizes at all moments.
        path: `.gif` file.
        stacked: panels below each other instead of side by side.

    Raises:
        InputError: the file is no `.gif`, or cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".gif":
        raise InputError(path, "is no name of a movie", "end it in .gif")
    pages = [_page([_panel(shot) for shot in shots], stacked) for shots in moments]
    with atomic(path) as temporary:
        pages[0].save(
            temporary, format="GIF", save_all=True, append_images=pages[1:], duration=FRAME_MS, loop=0, optimize=False
        )


def thinned(count: int) -> range:
    """Moments of a long scan: every one, or every n-th so that there are at most `MAX_FRAMES`."""
    return range(0, count, -(-count // MAX_FRAMES))


def _panel(shot: Shot) -> Image.Image:
    """A panel with its border and text."""
    gray = Image.fromarray((np.clip(shot.frame, 0, 1) * 255).round().astype(np.uint8))
    width = max(1, round(shot.height * gray.width / gray.height))
    picture = gray.resize((width, shot.height), Image.Resampling.BILINEAR).convert("RGB")
    page = Image.new("RGB", (width + 2 * BORDER, shot.height + 2 * BORDER + BAR))
    page.paste(picture, (BORDER, BORDER + BAR))
    draw = ImageDraw.Draw(page)
    if shot.cursor is not None:
        x = BORDER + (shot.cursor + 0.5) / shot.frame.shape[1] * width
        draw.line((x, BAR + BORDER, x, page.height - BORDER), fill=ImageColor.getrgb("#f0e442"), width=2)
    colour = "white"
    if shot.synthetic is not None:
        colour = SYNTHETIC if shot.synthetic else ACQUIRED
        _border(draw, (0, BAR, page.width - 1, page.height - 1), colour, dashed=shot.synthetic)
    kind = {True: "synthetic, ", False: "acquired, ", None: ""}[shot.synthetic]
    draw.text((BORDER, 2), kind + shot.text, fill=ImageColor.getrgb(colour))
    return page


def _border(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], colour: str, dashed: bool) -> None:
    left, top, right, bottom = box
    dash = 12 if dashed else max(right - left, bottom - top)
    for start in range(left, right, 2 * dash if dashed else dash):
        for y in (top, bottom - BORDER + 1):
            draw.rectangle((start, y, min(start + dash, right), y + BORDER - 1), fill=colour)
    for start in range(top, bottom, 2 * dash if dashed else dash):
        for x in (left, right - BORDER + 1):
            draw.rectangle((x, start, x + BORDER - 1, min(start + dash, bottom)), fill=colour)


def _page(panels: Sequence[Image.Image], stacked: bool) -> Image.Image:
    """Panels in one picture."""
    if stacked:
        page = Image.new("RGB", (max(p.width for p in panels), sum(p.height for p in panels)))
    else:
        page = Image.new("RGB", (sum(p.width for p in panels), max(p.height for p in panels)))
    at = 0
    for panel in panels:
        page.paste(panel, (0, at) if stacked else (at, 0))
        at += panel.height if stacked else panel.width
    return page
