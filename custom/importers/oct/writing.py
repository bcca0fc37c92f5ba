# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""From an exported pullback to NIfTI with a note beside it that says what was done."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np

from custom.errors import InputError
from custom.importers.intake import source_sha256
from custom.importers.oct.conversion import ConversionOptions, convert
from custom.importers.oct.sources import read_source
from custom.scans.provenance import read_sidecar, sidecar_path, write_json
from custom.scans.pullbacks import PullbackWriter, new_pullback

logger = logging.getLogger("prepare_oct")


def is_of_another(output: Path, source: Path) -> bool:
    """Whether an output is there that another source made, told by content."""
    said = read_sidecar(output)
    return output.exists() and bool(said) and said.get("source_sha256") != source_sha256(source)


def is_converted(path: Path, output: Path, options: ConversionOptions) -> bool:
    """Whether an output is there, made of this source with these options; of a part of it as well as of all."""
    said = read_sidecar(output)
    wanted = json.loads(json.dumps(dataclasses.asdict(options)))
    return output.exists() and said.get("options") == wanted and said.get("source_sha256") == source_sha256(path)


def convert_file(
    path: Path,
    output: Path,
    options: ConversionOptions,
    frames: tuple[int, int] | None = None,
    mask: np.ndarray | None = None,
) -> int:
    """Convert one pullback and write it with its note.

    Args:
        path: what `custom.importers.oct.sources.find_sources` has found.
        output: `.nii` or `.nii.gz` to write.
        options: see `ConversionOptions`.
        frames: (start, stop) of the part to convert; None for all.
        mask: burnt-in marks `(H, W)`, besides those that are found.

    Returns:
        How many frames it has.

    Raises:
        InputError: it cannot be read or converted, has fewer frames, or the disk is full.
    """
    source = read_source(path)
    start, stop = frames or (0, len(source.frames))
    if stop > len(source.frames):
        raise InputError(path, f"has {len(source.frames)} frames, --frames asks for {stop}", "shorten the range")
    if mask is not None and mask.shape != source.frames.shape[1:3]:
        fault = f"has frames {source.frames.shape[1:3]}, --overlay_mask is {mask.shape}"
        raise InputError(path, fault, "give a mask of the size of a frame")
    source = dataclasses.replace(source, frames=source.frames[start:stop])
    pullback = convert(path, source, options, mask)
    shape = pullback.frames.shape
    info = new_pullback(path, shape, pullback.frames.dtype, pullback.spacing_mm, pullback.coordinates)
    with PullbackWriter(output, info, shape[2]) as writer:
        for k in range(shape[2]):
            writer.write(pullback.frames[..., k])
    write_json(
        sidecar_path(output),
        {
            "source": path.name,
            "source_sha256": source_sha256(path),
            "source_frames": [start, stop],
            "coordinates": pullback.coordinates,
            "shape": list(shape),
            "spacing_mm": [round(float(value), 6) for value in pullback.spacing_mm],
            "from_colour": source.frames.ndim == 4,
            "overlay_pixels_filled": int(pullback.overlay.sum()),
            "options": dataclasses.asdict(options),
        },
    )
    logger.info("%s: %s %s, %s mm", output.name, pullback.coordinates, shape, pullback.spacing_mm)
    return shape[2]
