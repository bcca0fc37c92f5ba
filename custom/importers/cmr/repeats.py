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
        names = ", ".join(_told_run(run, runs) for run in runs)
        raise InputError(where, f"{place} was acquired {len(runs)} times ({names})", remedy)
    chosen = sorted(runs[-1 if duplicates == "last" else 0], key=lambda image: (time_of(image, clock), image.acquired))
    kept: list[DicomImage] = []
    same = SAME_TIME_MS if clock == "trigger" else 0
    for image in chosen:
        if not kept or time_of(image, clock) - time_of(kept[-1], clock) > same:
            kept.append(image)
        elif duplicates == "error":
            names = [kept[-1].path.name, image.path.name]
            if names[0] == names[1]:
                names = [f"{other.path.parent.name}/{other.path.name}" for other in (kept[-1], image)]
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


def _told_run(run: Sequence[DicomImage], runs: Sequence[Sequence[DicomImage]]) -> str:
    image = run[0]
    if len({other[0].series_key for other in runs}) > 1:
        return image.told()
    words = [f"acquisition {image.acquired[1]}", f"time {image.acquired[2]}", f"from {image.path.name} on"]
    differ = [len({other[0].acquired[k] for other in runs}) > 1 for k in (1, 2)]
    return f"{image.told()} {words[0] if differ[0] else words[1] if differ[1] else words[2]}"
