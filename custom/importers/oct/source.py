# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""One pullback as a user has it: which files, whose, and what was read of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from custom.importers.intake import place_of
from custom.importers.notes import Doubt
from custom.scans.provenance import sha256_of


@dataclass(frozen=True)
class OctSource:
    """A pullback that is there to be read.

    Args:
        path: the file, or the folder of its frames.
        files: what it is read from; of frames in their order.
        words: that its output is named after, besides the patient.
        patient: whose it is.
        patient_from: what said so.
        numbers: of its frames, as their names or headers tell; None where they do not.
        doubts: guesses that the user should know of.
    """

    path: Path
    files: tuple[Path, ...]
    words: tuple[str, ...]
    patient: str = ""
    patient_from: str = ""
    numbers: tuple[int, ...] | None = None
    doubts: tuple[Doubt, ...] = ()

    def sha256(self) -> str:
        """Of the file, or of the names and contents of the frames."""
        if self.files == (self.path,):
            return sha256_of(self.path)
        digest = hashlib.sha256()
        for file in sorted(self.files):
            digest.update(f"{file.name} {sha256_of(file)}\n".encode())
        return digest.hexdigest()

    def place(self) -> str:
        """Tells where it lies without saying it."""
        return place_of(self.path, words=() if self.files == (self.path,) else self.words[-1:])


@dataclass(frozen=True)
class SourcePullback:
    """Frames in acquisition order and what their file says of them.

    Args:
        frames: gray `(F, H, W)`, or RGB `(F, H, W, 3)` uint8.
        pixel_spacing_mm: of the columns; for polar frames of the depths. None where not stated.
        frame_pitch_mm: None where not stated.
        layout: "polar" or "cartesian"; None where not stated.
        overlay: mask `(H, W)` of burnt-in marks; None where not given.
        notes: what was taken from where, `Doubt`s where it may be wrong.
        spacing_notes: the same of `pixel_spacing_mm`, for those who do not overrule it.
        pitch_notes: the same of `frame_pitch_mm`.
    """

    frames: np.ndarray
    pixel_spacing_mm: float | None = None
    frame_pitch_mm: float | None = None
    layout: str | None = None
    overlay: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    spacing_notes: tuple[str, ...] = ()
    pitch_notes: tuple[str, ...] = ()
