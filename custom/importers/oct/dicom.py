# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Pullbacks in DICOM files: one file of many frames, or a series of files of one frame each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset

from custom.errors import InputError
from custom.importers.decoding import decoded, unreadable
from custom.importers.dicom_files import open_dicom
from custom.importers.notes import Doubt
from custom.importers.oct.dicom_headers import SYNTHETIC
from custom.importers.oct.regions import region_spacing
from custom.importers.oct.source import SourcePullback

SAME = 0.02
"""Relative difference up to which two statements of one length agree."""
UNEVEN = 0.1
"""Of the time between frames: larger differences are told."""


def read_dicom(paths: Sequence[Path], take_synthetic: bool = False) -> SourcePullback:
    """Read a pullback.

    Args:
        paths: one file, or those of single frames in their order.
        take_synthetic: take frames that were made by interpolation (`custom.exporters.dicom`) for acquired ones.

    Raises:
        InputError: it cannot be read; frames of different shapes; synthetic frames.
    """
    first = _open(paths[0])
    if first.get("SyntheticData") == "YES" and not take_synthetic:
        raise InputError(paths[0], SYNTHETIC, "give the acquired pullback instead")
    notes: list[str] = []
    frames = _frames(paths[0], first, notes)
    if len(paths) > 1:
        found = [frames]
        for path in paths[1:]:
            found.append(_frames(path, _open(path), []))
            if found[-1].shape[1:] != frames.shape[1:] or found[-1].dtype != frames.dtype:
                fault = f"has frames {found[-1].shape[1:]}, those of the first file are {frames.shape[1:]}"
                raise InputError(path, fault, "put each pullback into its own folder")
        frames = np.concatenate(found)
    polar = first.get("Modality") == "IVOCT" and first.get("PresentationIntentType") == "FOR PROCESSING"
    of_spacing: list[str] = []
    of_pitch: list[str] = []
    spacing, pitch = _spacing(first, polar, of_spacing), _pitch(first, of_pitch)
    layout = "polar" if polar else None
    return SourcePullback(frames, spacing, pitch, layout, None, tuple(notes), tuple(of_spacing), tuple(of_pitch))


def _open(path: Path) -> Dataset:
    try:
        return open_dicom(path)
    except MemoryError:
        raise
    except Exception as error:  # pydicom has many kinds
        raise unreadable(path, error) from error


def _frames(path: Path, dataset: Dataset, notes: list[str]) -> np.ndarray:
    """`(F, H, W)`, or `(F, H, W, 3)` of colours: palettes are applied, YBR comes as RGB, MONOCHROME1 is inverted."""
    try:
        _count_frames(dataset, notes)
        interpretation = dataset.PhotometricInterpretation
    except Exception as error:  # empty or missing elements
        raise unreadable(path, error) from error
    from pydicom.pixels import apply_color_lut, pixel_array  # not in pydicom 2, which MONAI Label needs

    frames = decoded(path, dataset, pixel_array)
    if interpretation == "PALETTE COLOR":
        _mend_palette(dataset)
        frames = decoded(path, dataset, lambda dataset: apply_color_lut(frames, dataset))
        if frames.dtype == np.uint16:  # the value is in the high byte, or lower where that is empty: 12 bits, 8 bits
            frames = (frames >> next(k for k in (0, 4, 8) if frames.max() >> k < 256)).astype(np.uint8)
    elif interpretation == "MONOCHROME1":
        frames = ~frames if dataset.PixelRepresentation else 2**dataset.BitsStored - 1 - frames
    colour = dataset.get("SamplesPerPixel", 1) > 1 or interpretation == "PALETTE COLOR"
    return frames[None] if frames.ndim == (3 if colour else 2) else frames


def _mend_palette(dataset: Dataset) -> None:
    """Say 16 bits where tables of words are said to have fewer: the standard knows 8 and 16, exports say 12."""
    for colour in ("Red", "Green", "Blue"):
        descriptor = dataset.get(f"{colour}PaletteColorLookupTableDescriptor")
        words = dataset.get(f"{colour}PaletteColorLookupTableData")
        if descriptor and words and descriptor[2] not in (8, 16) and len(words) == 2 * descriptor[0]:
            setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [*descriptor[:2], 16])


def _count_frames(dataset: Dataset, notes: list[str]) -> None:
    """Mend a NumberOfFrames that is missing or empty, from the length of uncompressed pixel data."""
    if dataset.get("NumberOfFrames") or "PixelData" not in dataset or dataset.file_meta.TransferSyntaxUID.is_compressed:
        return
    pixel = dataset.get("SamplesPerPixel", 1) * dataset.BitsAllocated // 8
    dataset.NumberOfFrames = max(1, len(dataset.PixelData) // (dataset.Rows * dataset.Columns * pixel))
    if dataset.NumberOfFrames > 1:
        notes.append(f"the header has no NumberOfFrames; there are pixels of {dataset.NumberOfFrames} frames")


def _spacing(dataset: Dataset, polar: bool, notes: list[str]) -> float | None:
    """Distance of columns in mm, from the first element that states one; others that contradict it are told."""
    measures = _first_item(_first_item(dataset, "SharedFunctionalGroupsSequence"), "PixelMeasuresSequence")
    stated: dict[str, tuple[float, ...]] = {}
    if polar and (depth := _positive(dataset.get("ALinePixelSpacing"))):
        stated["ALinePixelSpacing"] = (depth,)
    if not polar:
        for name, holder in (("PixelSpacing", dataset), ("PixelMeasuresSequence", measures)):
            # pydicom gives an element of one value as a number
            pair = tuple(_positive(value) for value in np.atleast_1d(holder.get("PixelSpacing") or []).tolist())
            if len(pair) == 2 and all(pair):
                stated[name] = (pair[1], pair[0])
        if pair := region_spacing(dataset, notes):
            stated["SequenceOfUltrasoundRegions"] = pair
    if not stated:
        return None
    name, values = next(iter(stated.items()))
    notes.append(f"pixel spacing {values[0]:g} mm, by {name}")
    if len(values) > 1 and abs(values[1] - values[0]) > SAME * values[0]:
        told = f"{name} states {values[0]:g} mm between columns and {values[1]:g} mm between rows"
        notes.append(Doubt(f"{told}; {values[0]:g} mm is taken for both (--depth_spacing_mm)"))
    for other, found in stated.items():
        if abs(found[0] - values[0]) > SAME * values[0]:
            told = f"{other} states {found[0]:g} mm, {name} {values[0]:g} mm"
            notes.append(Doubt(f"{told}: {values[0]:g} mm is taken (--depth_spacing_mm)"))
    return values[0]


def _pitch(dataset: Dataset, notes: list[str]) -> float | None:
    """Distance of frames in mm: stated, or pullback rate times the time of a frame."""
    measures = _first_item(_first_item(dataset, "SharedFunctionalGroupsSequence"), "PixelMeasuresSequence")
    spacings = (_positive(holder.get("SpacingBetweenSlices")) for holder in (dataset, measures))
    stated = next((value for value in spacings if value), None)
    rate, frame_ms = _positive(dataset.get("IVUSPullbackRate")), _frame_ms(dataset, notes)
    computed = rate * frame_ms / 1000 if rate and frame_ms else None  # mm/s times ms
    if stated and computed and abs(stated - computed) > SAME * stated:
        told = f"SpacingBetweenSlices is {stated:g} mm, pullback rate times frame time {computed:g} mm"
        notes.append(Doubt(f"{told}: {stated:g} mm is taken (--frame_pitch_mm)"))
    if stated or computed:
        by = "SpacingBetweenSlices" if stated else f"{rate:g} mm/s times {frame_ms:g} ms"
        notes.append(f"frame pitch {stated or computed:g} mm, by {by}")
    return stated or computed


def _frame_ms(dataset: Dataset, notes: list[str]) -> float | None:
    """Time from frame to frame, ms: FrameTime, or the median of FrameTimeVector, whose first entry is 0."""
    if time := _positive(dataset.get("FrameTime")):
        return time
    vector = dataset.get("FrameTimeVector")
    # pydicom gives a vector of one value as a number
    steps = [float(step) for step in np.atleast_1d(vector if vector is not None else []).tolist()][1:]
    if not steps or (middle := float(np.median(steps))) <= 0:
        return None
    if max(steps) - min(steps) > UNEVEN * middle:
        told = f"frames are {min(steps):g} to {max(steps):g} ms apart; {middle:g} is taken for all"
        notes.append(Doubt(f"{told} (--frame_pitch_mm)"))
    return middle


def _positive(value: object) -> float | None:
    """A number above 0, else None: exports write 0 for what they do not know."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < float("inf") else None


def _first_item(dataset: Dataset, keyword: str) -> Dataset:
    sequence = dataset.get(keyword)
    return sequence[0] if sequence else Dataset()
