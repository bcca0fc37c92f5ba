# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Pullbacks from files into arrays: DICOM, folders of images, TIFF stacks, NumPy arrays."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from skimage.io import imread

from custom.errors import InputError
from custom.importers.decoding import unreadable
from custom.importers.dicom_files import is_dicom
from custom.importers.oct.dicom import read_dicom
from custom.importers.oct.source import OctSource, SourcePullback

IMAGES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
ARRAYS = (".npz", ".npy")
MAX_LABELS = 8
"""Whole values that a label map has at most; frames have more."""
SAMPLED_FRAMES = 8
# tifffile says in lines of its own what the errors here say in one.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


def read_source(
    source: OctSource,
    label_like: str = "refuse",
    take_synthetic: bool = False,
    part: tuple[int, int] | None = None,
) -> SourcePullback:
    """Read a pullback that :func:`custom.importers.oct.sources.find_sources` has found.

    Of images and `.npy` files only the part is read, which may be all that memory has room for.

    Args:
        source: it.
        label_like: "refuse" frames of a few whole values, as masks are, or take them for an "image".
        take_synthetic: take DICOM that holds synthetic frames for acquired.
        part: (start, stop) of the frames to read; None for all.

    Raises:
        InputError: it cannot be read, is not a stack of equal gray or RGB frames, or holds synthetic frames; the part
            has more frames than there are.
    """
    path = source.path
    suffix = path.suffix.lower()
    if path.is_dir():
        files = _part_of(path, source.files, part)
        found = read_dicom(files, take_synthetic) if is_dicom(files[0]) else SourcePullback(_read_images(files))
        return _checked(path, found, label_like)
    if suffix in ARRAYS:
        found = _read_array(path)
    elif is_tiff_stack(path):
        found = SourcePullback(_decode(path, tifffile.imread))
    elif suffix in IMAGES:
        raise InputError(path, "is one frame only", "give its folder as --input")
    elif is_dicom(path):
        found = read_dicom(source.files, take_synthetic)
    else:
        raise InputError(path, "is neither DICOM, image nor array", "export the pullback in one of these formats")
    frames = np.asarray(_part_of(path, _stack(path, found.frames), part))
    return _checked(path, replace(found, frames=frames), label_like)


def _part_of(path: Path, frames: Sequence[Any], part: tuple[int, int] | None) -> Sequence[Any]:
    """The part of frames, or of their files, that is asked for."""
    start, stop = part or (0, len(frames))
    if stop > len(frames):
        raise InputError(path, f"has {len(frames)} frames, --frames asks for {stop}", "shorten the range")
    return frames[start:stop]


def is_tiff_stack(path: Path) -> bool:
    """Whether a file is a TIFF of several pages."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return False
    try:
        with tifffile.TiffFile(path) as file:
            return len(file.series[0].shape) - ("S" in file.series[0].axes) > 2
    except (tifffile.TiffFileError, OSError, IndexError):
        return False  # told of when it is read as a frame


def _decode(path: Path, reader: Callable[[Path], np.ndarray]) -> np.ndarray:
    # Decoders of several libraries, each with its own exceptions: whatever stops one is a fault of the file.
    try:
        return reader(path)
    except MemoryError:
        raise
    except Exception as error:
        if "Could not find a backend" in str(error):  # imageio advises more backends, whatever the file is
            error = ValueError(f"it is no {path.suffix.lstrip('.').upper()} inside, or damaged")
        raise unreadable(path, error) from error


def _read_images(paths: Sequence[Path]) -> np.ndarray:
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
        content = np.load(path, "r", allow_pickle=False)  # an .npy file is read when its part is known
        if isinstance(content, np.ndarray):
            return SourcePullback(content)
        with content:
            arrays = dict(content)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise unreadable(path, error) from error
    stacks = [name for name, array in arrays.items() if array.ndim in (3, 4)]
    name = "frames" if "frames" in arrays else stacks[0] if len(stacks) == 1 else None
    if name is None:
        raise InputError(path, f"has {len(stacks)} stacks of frames", 'name the one to use "frames"')
    overlay = arrays.get("overlay_mask")
    return SourcePullback(arrays[name], overlay=None if overlay is None else overlay != 0)


def _stack(path: Path, frames: np.ndarray) -> np.ndarray:
    if frames.ndim != 3 and not (frames.ndim == 4 and frames.shape[3] == 3):
        raise InputError(path, f"has shape {frames.shape}", "give frames (F, H, W) or (F, H, W, 3)")
    return frames


def _checked(path: Path, source: SourcePullback, label_like: str) -> SourcePullback:
    frames = _stack(path, source.frames)
    colour = frames.ndim == 4
    if len(frames) < 2:
        raise InputError(path, "has one frame only", "give at least two frames")
    if frames.dtype.kind not in "iuf" or (colour and frames.dtype != np.uint8):
        raise InputError(path, f"has {frames.dtype} values", "give gray integers or floats, or 8-bit RGB")
    if not np.isfinite([frames.min(), frames.max()]).all():
        raise InputError(path, "has NaN or Inf", "mend or remove those frames")
    if frames.min() == frames.max():
        raise InputError(path, f"is constant, every value is {frames.min()}", "check the export")
    if label_like == "refuse" and len(values := _few_values(frames)):
        told = ", ".join(f"{value:g}" for value in values)
        remedy = "leave it out, or say --label_like image if it is one"
        raise InputError(path, f"holds only the values {told}, as masks do", remedy)
    if source.overlay is not None and source.overlay.shape != frames.shape[1:3]:
        fault = f"has an overlay mask {source.overlay.shape} for frames {frames.shape[1:3]}"
        raise InputError(path, fault, "give a mask of the size of a frame")
    return source


def _few_values(frames: np.ndarray) -> np.ndarray:
    """The values of frames if they are as few and whole as those of a label map, else none."""
    picked = frames[np.linspace(0, len(frames) - 1, min(len(frames), SAMPLED_FRAMES)).round().astype(int)]
    values = np.unique(picked)
    few = len(values) <= MAX_LABELS and (values == np.rint(values)).all()
    return values if few else np.array([])
