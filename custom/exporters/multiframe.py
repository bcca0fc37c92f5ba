# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A derived file of several frames: a dense OCT pullback, or a dense stack of enhanced MR.

Where the source describes each frame (functional groups), so does the derived file, and says of each frame whether it
is synthetic (`custom.exporters.functional_groups`). Where it does not, `FrameLabelVector` says so.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from custom.errors import InputError
from custom.exporters.derived import (
    OTHER_SCAN,
    DerivedSeries,
    burn_in,
    decimals,
    mark,
    name_instance,
    new_uid,
    reference,
    spacing_between,
    stored_pixels,
)
from custom.exporters.functional_groups import Source, describe_frames, referenced_series

MAX_BYTES = 2**32 - 2
"""Of the pixels of one file, by the standard."""
_OF_TIME = ("StartTrim", "StopTrim", "FrameDelay", "EffectiveDuration", "RepresentativeFrameNumber", "CineRate")
_OF_PARTS = (
    "ConcatenationUID",
    "InConcatenationNumber",
    "InConcatenationTotalNumber",
    "ConcatenationFrameOffsetNumber",
)
_ALWAYS_PRIMARY = ("Enhanced", "Intravascular")
"""SOP classes whose ImageType has PRIMARY for its second value, derived or not (PS3.3 C.8.16.1.2, C.8.27.1.1)."""


@dataclass(frozen=True)
class Frame:
    """A frame of the derived file.

    Args:
        place: slice of the dense scan, counted from 0.
        phase: of the heart cycle, counted from 0.
        first: frame of the source at or before it, counted from 0.
        last: frame of the source at or after it.
        fraction: where between the two it lies, 0 at the first; that of an acquired one is 0.
    """

    place: int
    phase: int
    first: int
    last: int
    fraction: float

    @property
    def nearest(self) -> int:
        """Frame of the source that is closest, the first of two that are equally close."""
        return self.first if self.fraction <= 0.5 else self.last


def frames_of(acquired: np.ndarray, factor: int) -> list[Frame]:
    """The frames of a dense scan, slice after slice and in each phase after phase.

    Args:
        acquired: `(N, T)`, which frame of the source shows acquired slice `n` in phase `t`.
        factor: dense steps per gap.
    """
    found = []
    for place in range((len(acquired) - 1) * factor + 1):
        gap, step = divmod(place, factor)
        for phase in range(acquired.shape[1]):
            ends = acquired[gap : gap + 2 if step else gap + 1, phase]
            found.append(Frame(place, phase, int(ends[0]), int(ends[-1]), step / factor))
    return found


@dataclass(frozen=True)
class DenseFrames:
    """What a derived file is made of.

    Args:
        volume: the dense scan's file, for messages.
        source: data set of the source, with its pixels.
        pixels: `(frames, rows, columns)` of the source.
        acquired: see `frames_of`.
        plane: gives the volume's values `(rows, columns)` of a slice and a phase.
        rescales: of each frame of the source, slope and intercept that the volume's values have undergone.
    """

    volume: Path
    source: Dataset
    pixels: np.ndarray
    acquired: np.ndarray
    plane: Callable[[int, int], np.ndarray]
    rescales: list[tuple[float, float]]


def write_frames(path: Path, dense: DenseFrames, series: DerivedSeries, spacing_mm: float, burnt_in: bool) -> None:
    """Write the derived file; its pixels go to disk frame by frame.

    Args:
        path: to write.
        dense: what it is made of.
        series: the series that it is the one image of.
        spacing_mm: between neighbouring acquired slices.
        burnt_in: write the word SYNTHETIC into synthetic frames.

    Raises:
        InputError: an acquired frame differs from the source's; more than DICOM has room for.
        OSError: a full disk.
    """
    frames = frames_of(dense.acquired, series.factor)
    size = len(frames) * dense.pixels[0].nbytes
    if size > MAX_BYTES:
        fault = f"has {size >> 20} MiB of pixels, DICOM files hold {MAX_BYTES >> 20}"
        raise InputError(dense.volume, fault, "ask for a smaller factor")
    source = Source(dense.source.SOPClassUID, dense.source.SOPInstanceUID, dense.source.SeriesInstanceUID)
    header = Dataset()
    header.update({element.tag: element for element in dense.source if element.keyword != "PixelData"})
    header.file_meta = dense.source.file_meta
    series.describe(header)
    if any(word in header.SOPClassUID.name for word in _ALWAYS_PRIMARY):
        header.ImageType = ["DERIVED", "PRIMARY", *header.ImageType[2:]]
    header.ReferencedSeriesSequence = referenced_series(source)
    for name in (*_OF_TIME, *_OF_PARTS):
        header.pop(name, None)
    header.NumberOfFrames, header.InstanceNumber = len(frames), 1
    _densify_time(header, series.factor)
    if "SpacingBetweenSlices" in header:
        header.SpacingBetweenSlices = spacing_between(spacing_mm, series.factor)
    told = f"SYNTHETIC frames between acquired ones, interpolated by {series.made_by}: all but every "
    told += f"{series.factor}th, counted from frame 1" if dense.acquired.shape[1] == 1 else "those labelled ACQUIRED"
    mark(header, [reference(source.sop_class, source.sop)], told)
    if "PerFrameFunctionalGroupsSequence" in header:
        describe_frames(header, frames, series, spacing_mm, source)
    else:
        header.FrameLabelVector = ["SYNTHETIC" if frame.fraction else "ACQUIRED" for frame in frames]
    name_instance(header, new_uid(series.uid, "1"))
    header.save_as(path, enforce_file_format=True)
    with open(path, "ab") as file:
        word = dense.pixels.itemsize > 1
        file.write(struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW" if word else b"OB", 0, size + size % 2))
        for frame in frames:
            file.write(_pixels(dense, frame, burnt_in).tobytes())
        file.write(b"\0" * (size % 2))


def _pixels(dense: DenseFrames, frame: Frame, burnt_in: bool) -> np.ndarray:
    """Little-endian pixels of a frame; an acquired one is the source's, and the volume must say the same."""
    values = dense.plane(frame.place, frame.phase)
    stored = stored_pixels(dense.source, values, dense.rescales[frame.nearest])
    if frame.fraction:
        return burn_in(stored) if burnt_in else stored
    if not np.array_equal(stored, dense.pixels[frame.first]):
        fault = f"has other values in slice {frame.place + 1} than frame {frame.first + 1} of its source"
        remedy = f"{OTHER_SCAN}; pullbacks are prepared for it with --to keep --nofill_overlay"
        raise InputError(dense.volume, fault, remedy)
    return stored


def _densify_time(header: Dataset, factor: int) -> None:
    """Frames of a pullback are as much closer in time as in space."""
    if header.get("FrameTime"):
        header.FrameTime = decimals([float(header.FrameTime) / factor])[0]
    steps = header.get("FrameTimeVector")
    if steps:
        later = [float(step) / factor for step in list(steps)[1:] for _ in range(factor)]
        header.FrameTimeVector = decimals([0.0, *later])
    if header.get("RecommendedDisplayFrameRate"):
        header.RecommendedDisplayFrameRate = int(header.RecommendedDisplayFrameRate) * factor
