# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The same frames of a pullback, sampled as different systems and exports would: what a method must not depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from skimage.transform import resize

from custom.errors import InputError
from custom.importers.oct.conversion import ConversionOptions, convert
from custom.importers.oct.reading import read_source
from custom.importers.oct.sources import FindOptions, find_sources
from custom.scans.coordinates import cartesian_to_polar


@dataclass(frozen=True)
class Sampling:
    """How frames are sampled.

    Attributes:
        label: in tables.
        shape: A-lines of a turn and depths of the whole radius; of Cartesian frames rows and columns.
        polar: whether frames are polar: their last row is then a neighbour of the first.
        depths: [start, stop) of the depths that are kept; None for all.
    """

    label: str
    shape: tuple[int, int]
    polar: bool = True
    depths: tuple[int, int] | None = None

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Cartesian frames `(N, N, F)` so sampled: `(rows, columns, F)` of the same dtype."""
        if self.polar:
            return cartesian_to_polar(frames, *self.shape)[:, slice(*self.depths or (None,))]
        shape = (*self.shape, frames.shape[2])
        return resize(frames, shape, order=1, anti_aliasing=self.shape[0] < len(frames), preserve_range=True).astype(
            frames.dtype
        )


#: Key -> the samplings of the robustness table. Of the two with 256 A-lines either has one half of the depths.
SAMPLINGS = {
    "polar_497x375": Sampling("polar, 497x375", (497, 375)),
    "polar_512x512": Sampling("polar, 512x512", (512, 512)),
    "polar_256_near": Sampling("polar, 256x256 from depth 0", (256, 512), depths=(0, 256)),
    "polar_256_far": Sampling("polar, 256x256 from mid-depth", (256, 512), depths=(256, 512)),
    "cartesian_375": Sampling("Cartesian, 375x375", (375, 375), polar=False),
}
#: At a scanner's own size.
FULL_SIZE = {
    "polar_497x1025": Sampling("polar, 497x1025", (497, 1025)),
    "cartesian_1024": Sampling("Cartesian, 1024x1024", (1024, 1024), polar=False),
}


def read_frames(path: str | Path, first: int, last: int) -> np.ndarray:
    """Cartesian gray frames of a pullback as exported, burnt-in marks filled.

    Args:
        path: whatever `data_scripts/prepare_oct.py` takes as one pullback.
        first: number of the first frame, from 1 on.
        last: number of the last one.

    Returns:
        `(N, N, last - first + 1)` uint8.

    Raises:
        InputError: it cannot be read, or has no such frames.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(path, "no such file or folder", "give --frames a pullback")
    found = find_sources(path, FindOptions())
    if len(found) > 1:
        raise InputError(path, f"holds {len(found)} pullbacks", "give --frames one of them")
    if isinstance(found[0], InputError):
        raise found[0]
    source = read_source(found[0])
    if not 1 <= first <= last <= len(source.frames):
        fault = f"has frames 1 to {len(source.frames)}, not {first} to {last}"
        raise InputError(path, fault, "give a range within them, such as --range 1:30")
    # Marks are found by standing still: in all frames, not in the few that are asked for.
    options = ConversionOptions(to="cartesian", depth_spacing_mm=1.0, frame_pitch_mm=1.0)  # neither is asked here
    frames = convert(path, source, options).frames[..., first - 1 : last]
    return frames if frames.dtype == np.uint8 else np.rint(255 * (frames / frames.max())).astype(np.uint8)


def frame_range(text: str | Sequence[int]) -> tuple[int, int]:
    """`101:130`, the numbers of the first and the last frame.

    Raises:
        InputError: it is no such range.
    """
    parts = text.split(":") if isinstance(text, str) else [str(part) for part in text]
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts) or int(parts[0]) > int(parts[1]):
        raise InputError("--range", f"is {text}", "give FIRST:LAST, numbers from 1 on, such as 101:130")
    return int(parts[0]), int(parts[1])
