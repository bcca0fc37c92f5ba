# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Pullbacks as users have them: DICOM, folders of images, TIFF stacks, NumPy arrays."""

from __future__ import annotations

import logging
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import tifffile
from pydicom.misc import is_dicom
from pydicom.pixels import apply_color_lut, pixel_array
from skimage.io import imread

from custom.errors import InputError

logger = logging.getLogger(__name__)

IMAGES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
ARRAYS = (".npz", ".npy")


@dataclass(frozen=True)
class SourcePullback:
    """Frames in acquisition order and what their file says of them.

    Args:
        frames: gray `(F, H, W)`, or RGB `(F, H, W, 3)` uint8.
        pixel_spacing_mm: of the columns; for polar frames of the depths. None where not stated.
        frame_pitch_mm: None where not stated.
        layout: "polar" or "cartesian"; None where not stated.
        overlay: mask `(H, W)` of burnt-in marks; None where not given.
    """

    frames: np.ndarray
    pixel_spacing_mm: float | None = None
    frame_pitch_mm: float | None = None
    layout: str | None = None
    overlay: np.ndarray | None = None


def natural_key(path: Path) -> list[int | str]:
    """Sort key with numbers by value: frame 2 before frame 10."""
    return [int(part) if part.isdigit() else part.lower() for part in re.split(r"(\d+)", path.name)]


def find_sources(root: Path) -> list[Path]:
    """The pullbacks below `root`, which may be one itself.

    A DICOM, array or multi-page TIFF file is a pullback; so is a folder of single images, one per frame.

    Raises:
        InputError: nothing there.
    """
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise InputError(root, "no such file or folder", "check --input")
    found = []
    for folder in [root, *sorted(path for path in root.rglob("*") if path.is_dir() and path.name[0] != ".")]:
        files = _visible_files(folder)
        images = [path for path in files if path.suffix.lower() in IMAGES]
        stacks = [path for path in images if _is_tiff_stack(path)]
        found += stacks + ([folder] if len(images) > len(stacks) else [])
        found += [path for path in files if path not in images and (path.suffix.lower() in ARRAYS or is_dicom(path))]
    if not found:
        raise InputError(root, "holds no DICOM, image or array", "give --input a pullback or a folder of pullbacks")
    return found


def read_source(path: Path, take_synthetic: bool = False) -> SourcePullback:
    """Read a pullback that :func:`find_sources` has found.

    Args:
        path: of it.
        take_synthetic: take a DICOM file that holds synthetic frames for an acquired one.

    Raises:
        InputError: it cannot be read, is not a stack of equal gray or RGB frames, or holds synthetic frames.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        source = SourcePullback(_read_folder(path))
    elif suffix in ARRAYS:
        source = _read_array(path)
    elif _is_tiff_stack(path):
        source = SourcePullback(_decode(path, tifffile.imread))
    elif suffix in IMAGES:
        raise InputError(path, "is one frame only", "give its folder as --input")
    elif is_dicom(path):
        source = _read_dicom(path, take_synthetic)
    else:
        raise InputError(path, "is neither DICOM, image nor array", "export the pullback in one of these formats")
    return _checked(path, source)


def _visible_files(folder: Path) -> list[Path]:
    files = (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return sorted(files, key=natural_key)


def _is_tiff_stack(path: Path) -> bool:
    if path.suffix.lower() not in (".tif", ".tiff"):
        return False
    try:
        with tifffile.TiffFile(path) as file:
            return len(file.series[0].shape) - ("S" in file.series[0].axes) > 2
    except (tifffile.TiffFileError, OSError, IndexError):
        return False  # told of when it is read as a frame


def _decode(path: Path, reader) -> np.ndarray:
    # Decoders of several libraries, each with its own exceptions: whatever stops one is a fault of the file.
    try:
        return reader(path)
    except Exception as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return InputError(path, f"cannot be read ({reason})", "export it again, or leave it out")


def _read_folder(folder: Path) -> np.ndarray:
    paths = [path for path in _visible_files(folder) if path.suffix.lower() in IMAGES and not _is_tiff_stack(path)]
    frames: np.ndarray | None = None
    for k, path in enumerate(paths):
        frame = _decode(path, imread)
        if frame.ndim == 3:  # without alpha
            frame = frame[..., :3] if frame.shape[2] > 2 else frame[..., 0]
        if frames is None:
            frames = np.empty((len(paths), *frame.shape), frame.dtype)
        if (frame.shape, frame.dtype) != (frames.shape[1:], frames.dtype):
            fault = f"is {frame.shape} {frame.dtype}, the first frame is {frames.shape[1:]} {frames.dtype}"
            raise InputError(path, fault, "put each pullback into its own folder")
        frames[k] = frame
    return frames


def _read_array(path: Path) -> SourcePullback:
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return SourcePullback(content)
        with content:
            arrays = dict(content)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error
    stacks = [name for name, array in arrays.items() if array.ndim in (3, 4)]
    name = "frames" if "frames" in arrays else stacks[0] if len(stacks) == 1 else None
    if name is None:
        raise InputError(path, f"has {len(stacks)} stacks of frames", 'name the one to use "frames"')
    overlay = arrays.get("overlay_mask")
    return SourcePullback(arrays[name], overlay=None if overlay is None else overlay != 0)


def _read_dicom(path: Path, take_synthetic: bool) -> SourcePullback:
    dataset = _decode(path, pydicom.dcmread)
    if dataset.get("SyntheticData") == "YES" and not take_synthetic:
        raise InputError(path, "holds synthetic frames", "give the acquired pullback instead")
    _decode(path, lambda _: _count_frames(dataset))
    frames = _decode(path, lambda _: pixel_array(dataset))  # YBR comes as RGB
    interpretation = dataset.PhotometricInterpretation
    if interpretation == "PALETTE COLOR":
        frames = _decode(path, lambda _: apply_color_lut(frames, dataset))
        if frames.dtype == np.uint16:  # the value is in the high byte, or in the low one where the high one is empty
            frames = (frames >> 8 if frames.max() > 255 else frames).astype(np.uint8)
    elif interpretation == "MONOCHROME1":
        frames = ~frames if dataset.PixelRepresentation else 2**dataset.BitsStored - 1 - frames
    if frames.ndim == (3 if dataset.get("SamplesPerPixel", 1) > 1 or interpretation == "PALETTE COLOR" else 2):
        frames = frames[None]  # one frame; the tag NumberOfFrames may be missing, empty or wrong
    polar = dataset.get("Modality") == "IVOCT" and dataset.get("PresentationIntentType") == "FOR PROCESSING"
    measures = _first_item(_first_item(dataset, "SharedFunctionalGroupsSequence"), "PixelMeasuresSequence")
    region = _first_item(dataset, "SequenceOfUltrasoundRegions")
    in_plane = dataset.get("PixelSpacing") or measures.get("PixelSpacing")
    spacing = dataset.get("ALinePixelSpacing") if polar else in_plane and in_plane[1]
    if not spacing and region.get("PhysicalUnitsXDirection") == 3:  # cm
        spacing = abs(region.PhysicalDeltaX) * 10
    pitch = dataset.get("SpacingBetweenSlices") or measures.get("SpacingBetweenSlices")
    frame_ms = _frame_ms(path, dataset)
    if not pitch and dataset.get("IVUSPullbackRate") and frame_ms:
        pitch = float(dataset.IVUSPullbackRate) * frame_ms / 1000  # mm/s times ms
    return SourcePullback(
        frames, float(spacing) if spacing else None, float(pitch) if pitch else None, "polar" if polar else None
    )


def _count_frames(dataset: pydicom.Dataset) -> None:
    """Mend a NumberOfFrames that is missing or empty, from the length of uncompressed pixel data."""
    if dataset.get("NumberOfFrames") or "PixelData" not in dataset or dataset.file_meta.TransferSyntaxUID.is_compressed:
        return
    pixel = dataset.get("SamplesPerPixel", 1) * dataset.BitsAllocated // 8
    dataset.NumberOfFrames = max(1, len(dataset.PixelData) // (dataset.Rows * dataset.Columns * pixel))


def _frame_ms(path: Path, dataset: pydicom.Dataset) -> float | None:
    """Time from frame to frame, ms: FrameTime, or the median of FrameTimeVector, whose first entry is 0."""
    if dataset.get("FrameTime"):
        return float(dataset.FrameTime)
    steps = [float(step) for step in (dataset.get("FrameTimeVector") or [])][1:]
    if not steps:
        return None
    middle = float(np.median(steps))
    if max(steps) - min(steps) > 0.1 * middle:
        logger.warning("%s: frames are %g to %g ms apart; %g is taken for all", path, min(steps), max(steps), middle)
    return middle


def _first_item(dataset: pydicom.Dataset, keyword: str) -> pydicom.Dataset:
    sequence = dataset.get(keyword)
    return sequence[0] if sequence else pydicom.Dataset()


def _checked(path: Path, source: SourcePullback) -> SourcePullback:
    frames = source.frames
    colour = frames.ndim == 4 and frames.shape[3] == 3
    if frames.ndim != 3 and not colour:
        raise InputError(path, f"has shape {frames.shape}", "give frames (F, H, W) or (F, H, W, 3)")
    if len(frames) < 2:
        raise InputError(path, "has one frame only", "give at least two frames")
    if frames.dtype.kind not in "iuf" or (colour and frames.dtype != np.uint8):
        raise InputError(path, f"has {frames.dtype} values", "give gray integers or floats, or 8-bit RGB")
    if not np.isfinite([frames.min(), frames.max()]).all():
        raise InputError(path, "has NaN or Inf", "mend or remove those frames")
    if frames.min() == frames.max():
        raise InputError(path, f"is constant, every value is {frames.min()}", "check the export")
    if source.overlay is not None and source.overlay.shape != frames.shape[1:3]:
        fault = f"has an overlay mask {source.overlay.shape} for frames {frames.shape[1:3]}"
        raise InputError(path, fault, "give a mask of the size of a frame")
    return source
