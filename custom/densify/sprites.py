# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""All slices and phases of an output as sheets of small pictures in JPEG, of bounded size, for one page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from custom.densify.planes import Turn, gray, stored_slices
from custom.scans.scan import Scan

MAX_SIDE = 768
"""Pixels of a picture; larger slices are shown smaller."""
MAX_PIXELS = 48_000_000
"""Of all pictures of a page: a browser holds each pixel in four bytes."""
MAX_BYTES = 24 * 2**20
"""Of all sheets of a page, as JPEG; the page is a third larger (base64)."""
MIN_SCALE = 0.5
"""Phases of a cine are left out before its slices are shown smaller than this."""
SHEET_SIDE, BLOCK = 4096, 8
"""Pixels of a sheet, and of JPEG's blocks: pictures begin at a block, so that none shines into the next."""
QUALITIES = (85, 72)


@dataclass
class Sprites:
    """Pictures of a volume.

    Attributes:
        size: (height, width) of a picture.
        pitch: (height, width) of its place on a sheet.
        columns: places in a row of a sheet.
        per_sheet: places of a sheet.
        sheets: for each phase shown its sheets, as JPEG.
        phases: which phases are shown.
        reductions: what a page cannot show of the volume, each a phrase.
    """

    size: tuple[int, int]
    pitch: tuple[int, int]
    columns: int
    per_sheet: int
    sheets: list[list[bytes]]
    phases: list[int]
    reductions: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For the page's script, sheets as data URIs."""
        sheets = [[f"data:image/jpeg;base64,{base64.b64encode(s).decode()}" for s in phase] for phase in self.sheets]
        return {
            "size": self.size,
            "pitch": self.pitch,
            "columns": self.columns,
            "perSheet": self.per_sheet,
            "sheets": sheets,
            "phases": self.phases,
        }


@dataclass(frozen=True)
class Budget:
    """What a page may hold; see the constants of this module."""

    pixels: int = MAX_PIXELS
    num_bytes: int = MAX_BYTES
    side: int = MAX_SIDE


def sprites_of(scan: Scan, turn: Turn, window: tuple[float, float], budget: Budget | None = None) -> Sprites:
    """The pictures of a volume, as large as a budget allows.

    Args:
        scan: the volume.
        turn: how its slices are shown.
        window: stored values that become black and white.
        budget: of the page; the usual one by default.

    Raises:
        InputError: the file cannot be read.
    """
    budget = budget or Budget()
    shape = scan.plane[::-1] if turn.transpose else scan.plane
    scale, every = _reduction(shape, scan.num_slices, scan.num_phases, budget)
    size = _scaled(shape, scale)
    phases = list(range(0, scan.num_phases, every))
    pictures = np.stack([gray(turn(planes[phases]), window, size) for planes in stored_slices(scan)])
    attempt = 0
    while True:
        quality = QUALITIES[min(attempt, len(QUALITIES) - 1)]
        sprites = _encode(pictures, phases, quality)
        if sum(len(sheet) for phase in sprites.sheets for sheet in phase) <= budget.num_bytes or max(size) <= 16:
            break
        attempt += 1
        if attempt >= len(QUALITIES):
            size = _scaled(size, 0.75)
            pictures = np.stack([gray(planes, (0, 255), size) for planes in pictures])
    if tuple(size) != tuple(shape):
        told = f"slices of {shape[0]} x {shape[1]} pixels are shown with {size[0]} x {size[1]}"
        sprites.reductions.append(told)
    if every > 1:
        sprites.reductions.append(f"of {scan.num_phases} phases, {len(phases)} are shown")
    sprites.reductions.append(
        f"gray levels: 256, JPEG of quality {quality}; {window[0]:g} is black, {window[1]:g} white"
    )
    return sprites


def _reduction(shape: Sequence[int], slices: int, phases: int, budget: Budget) -> tuple[float, int]:
    """By how much slices are scaled, and which phases are kept, every first, second, ..."""
    scale, every = min(1.0, budget.side / max(shape)), 1
    while True:
        pixels = shape[0] * shape[1] * slices * len(range(0, phases, every))
        fitting = min(scale, (budget.pixels / pixels) ** 0.5)
        if fitting >= MIN_SCALE * scale or every >= phases:
            return fitting, every
        every += 1


def _scaled(shape: Sequence[int], scale: float) -> tuple[int, int]:
    height, width = (max(1, int(side * scale)) for side in shape)
    return height, width


def _encode(pictures: np.ndarray, phases: list[int], quality: int) -> Sprites:
    """Sheets of pictures `(N, T, h, w)`."""
    count, _, height, width = pictures.shape
    pitch = tuple(-(-side // BLOCK) * BLOCK for side in (height, width))
    columns = min(max(1, SHEET_SIDE // pitch[1]), count)
    rows = max(1, SHEET_SIDE // pitch[0])
    per_sheet = columns * rows
    border = ((0, 0), (0, pitch[0] - height), (0, pitch[1] - width))
    sheets = [
        [
            _jpeg(np.pad(pictures[first : first + per_sheet, place], border, mode="edge"), columns, quality)
            for first in range(0, count, per_sheet)
        ]
        for place in range(len(phases))
    ]
    return Sprites((height, width), pitch, columns, per_sheet, sheets, phases)


def _jpeg(pictures: np.ndarray, columns: int, quality: int) -> bytes:
    """A sheet of pictures `(n, h, w)`."""
    count, height, width = pictures.shape
    rows = -(-count // columns)
    sheet = np.zeros((rows * columns, height, width), np.uint8)
    sheet[:count] = pictures
    sheet = sheet.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "JPEG", quality=quality, optimize=True)
    return file.getvalue()
