# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Options of `data_scripts/prepare_oct.py` as their values: ranges of frames, a mask of burnt-in marks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from skimage.io import imread

from custom.data.datalist import SECTIONS
from custom.errors import InputError

Ranges = Mapping[str, tuple[int, int]]
"""Section to (start, stop) of its frames."""


def parse_range(name: str, text: str, least: int = 1) -> tuple[int, int]:
    """`start:stop`.

    Raises:
        InputError: it is something else, empty, or of less than `least` frames.
    """
    match = re.fullmatch(r"(\d+):(\d+)", str(text).strip())
    if not match or int(match[1]) >= int(match[2]):
        raise InputError(name, f"is {text}", "give start:stop with start below stop, for instance 0:100")
    if int(match[2]) - int(match[1]) < least:
        raise InputError(name, f"is {text}, one frame", "give at least two frames")
    return int(match[1]), int(match[2])


def parse_ranges(text: str) -> Ranges:
    """`training=0:100,test=100:130`.

    Raises:
        InputError: unknown sections, or sections that share frames.
    """
    sections = {}
    for part in text.split(","):
        section, _, interval = part.partition("=")
        if section.strip() not in SECTIONS:
            raise InputError("--ranges", f'names the section "{section}"', f"choose from {', '.join(SECTIONS)}")
        sections[section.strip()] = parse_range("--ranges", interval)
    intervals = sorted(sections.values())
    if any(before[1] > after[0] for before, after in zip(intervals, intervals[1:], strict=False)):
        raise InputError("--ranges", "has sections that share frames", "keep them apart")
    return sections


def by_ranges(item: Mapping[str, Any], sections: Ranges, count: int, path: Path) -> dict[str, list[dict[str, Any]]]:
    """The datalist of one pullback of `count` frames.

    Raises:
        InputError: the sections ask for more frames.
    """
    last = max(stop for _, stop in sections.values())
    if last > count:
        raise InputError(path, f"has {count} frames, --ranges asks for {last}", "shorten the ranges")
    return {s: [{**item, "frames": list(sections[s])}] if s in sections else [] for s in SECTIONS}


def read_mask(path: Path) -> np.ndarray:
    """The mask `(H, W)` bool of burnt-in marks in an image, of which opacity does not count, or a `.npy` file.

    Raises:
        InputError: it cannot be read, or marks every pixel.
    """
    try:
        mask = np.load(path) if path.suffix == ".npy" else imread(path)
        if mask.ndim not in (2, 3):
            raise ValueError(f"its shape is {mask.shape}")
    except Exception as error:  # of the readers of many formats
        raise InputError(path, "cannot be read as an overlay mask", "give an image or a .npy file") from error
    channels = mask.reshape(*mask.shape[:2], -1)
    if path.suffix != ".npy" and channels.shape[2] in (2, 4):
        channels = channels[..., :-1]
    if channels.any(axis=2).all():
        raise InputError(path, "marks every pixel", "give a mask that is 0 where a frame shows what it should")
    return channels.any(axis=2)
