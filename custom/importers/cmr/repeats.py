# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The images at one place once each: without copies, without acquisitions that the user does not choose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from custom.errors import InputError
from custom.importers.cmr.dicom import DicomImage
from custom.importers.cmr.phases import SAME_TIME_MS, acquisitions, time_of


def in_time(
    where: Path,
    told: str,
    k: int,
    depths: np.ndarray,
    images: Sequence[DicomImage],
    clock: str,
    duplicates: str,
) -> list[DicomImage]:
    """The phases of slice `k` in order, without repeated acquisitions."""
    runs = acquisitions(images, clock)
    place = f"{told}: slice {k + 1} (at {depths[k]:.1f} mm)"
    remedy = "remove one of them, or choose with --duplicates first or last"
    if len(runs) > 1 and duplicates == "error":
        names = ", ".join(_told_runs([run[0] for run in runs]))
        raise InputError(where, f"{place} was acquired {len(runs)} times ({names})", remedy)
    chosen = sorted(runs[-1 if duplicates == "last" else 0], key=lambda image: (time_of(image, clock), image.acquired))
    kept: list[DicomImage] = []
    same = SAME_TIME_MS if clock == "trigger" else 0
    for image in chosen:
        if not kept or time_of(image, clock) - time_of(kept[-1], clock) > same:
            kept.append(image)
        elif duplicates == "error":
            names = _files([kept[-1], image])
            fault = f"{place} has two images of {clock} {time_of(image, clock):g}: {names[0]} and {names[1]}"
            raise InputError(where, fault, f"{remedy}; if they are phases, order them with --phases_by instance")
        elif duplicates == "last":
            kept[-1] = image
    return kept


def without_copies(images: Sequence[DicomImage]) -> list[DicomImage]:
    """Images without those that are the same object exported twice."""
    found: dict[tuple, DicomImage] = {}
    for k, image in enumerate(images):
        found.setdefault((image.sop, image.frame, image.trigger_ms, image.instance) if image.sop else (k,), image)
    return list(found.values())


def _told_runs(first: Sequence[DicomImage]) -> list[str]:
    """What tells acquisitions of one place apart, each by its first image: the first of these that differs for all."""
    told = [image.told() for image in first]
    if len(set(told)) == len(first):
        return told
    words = [
        [f"acquisition {image.acquired[1]}" for image in first],
        [f"time {image.acquired[2]}" for image in first],
        [f"from {name} on" for name in _files(first)],
    ]
    chosen = next((part for part in words if len(set(part)) == len(first)), words[-1])
    return [f"{series} {word}" for series, word in zip(told, chosen, strict=True)]


def _files(images: Sequence[DicomImage]) -> list[str]:
    """File names, with as many folders as it takes to tell them apart; frames of one file by number."""
    paths = [image.path for image in images]
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [f"{path.name} frame {(image.frame or 0) + 1}" for path, image in zip(paths, images, strict=True)]
