# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Datalists: which pullback belongs to training, validation and test, always split by patient."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from custom.errors import InputError
from custom.scans.provenance import write_json

SECTIONS = ("training", "validation", "test")


def split_by_patient(
    items: Sequence[Mapping[str, Any]], fractions: Sequence[float] = (0.8, 0.1, 0.1), seed: int = 0
) -> dict[str, list[dict[str, Any]]]:
    """Deal patients into training, validation and test.

    Patients, not pullbacks, are counted: frames of one patient resemble each other, and a patient in two sections would
    flatter the result. Every section gets a patient before any gets a second one; with too few, training goes first.

    Args:
        items: entries with "image" and "patient".
        fractions: of the patients, for the three sections; scaled to a sum of 1; 0 leaves a section empty.
        seed: of the shuffle.

    Returns:
        The three sections, each in the order of `items`.
    """
    patients = np.array(sorted({str(item["patient"]) for item in items}))
    shares = np.array(fractions, float) / sum(fractions)
    counts = np.zeros(len(SECTIONS), int)
    for _ in patients:
        lack = shares * len(patients) - counts
        # A section that is asked for and has none goes first, then the one furthest below its share.
        counts[np.argmax(np.where((counts == 0) & (shares > 0), np.inf, lack))] += 1
    shuffled = np.random.default_rng(seed).permutation(patients)
    section_of = dict(zip(shuffled, np.repeat(SECTIONS, counts), strict=True))
    return {s: [dict(item) for item in items if section_of[str(item["patient"])] == s] for s in SECTIONS}


def load_datalist(path: str | Path, section: str) -> list[dict[str, Any]]:
    """Read one section of a datalist JSON.

    Args:
        path: JSON whose sections list entries `{"image", "patient"}` and optionally `"frames": [start, stop)`; image
            paths are relative to its folder, as are those of masks ("label").
        section: "training", "validation" or "test".

    Returns:
        The entries with absolute image paths.

    Raises:
        InputError: the JSON, the section or an image is missing.
    """
    path = Path(path).absolute()
    remedy = "make one with data_scripts/prepare_oct.py or prepare_cmr.py"
    try:
        datalist = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(path, f"is not a readable datalist ({error})", remedy) from error
    if not isinstance(datalist, dict) or section not in datalist:
        raise InputError(path, f'has no section "{section}"', remedy)
    entries = [
        {**entry, **{key: str(path.parent / entry[key]) for key in ("image", "label") if key in entry}}
        for entry in datalist[section]
    ]
    missing = [entry["image"] for entry in entries if not Path(entry["image"]).is_file()]
    if missing:
        fault = f'names {len(missing)} missing image(s) in "{section}", the first is {missing[0]}'
        raise InputError(path, fault, "restore the images or make the datalist again")
    return entries


def write_datalist(path: str | Path, datalist: Mapping[str, Sequence[Mapping[str, Any]]]) -> Path:
    """Write sections of entries whose images are below the folder of `path`, with paths relative to it.

    Raises:
        InputError: it cannot be written.
        ValueError: a patient is in several sections without frame ranges that keep them apart.
    """
    folder = Path(path).absolute().parent
    sections_of: dict[str, set[str]] = {}
    for section, entries in datalist.items():
        for entry in entries:
            if "frames" not in entry:
                sections_of.setdefault(str(entry["patient"]), set()).add(section)
    shared = sorted(patient for patient, sections in sections_of.items() if len(sections) > 1)
    if shared:
        raise ValueError(f"Patients in more than one section: {', '.join(shared)}.")
    return write_json(
        path,
        {
            section: [{**entry, "image": (folder / entry["image"]).relative_to(folder).as_posix()} for entry in entries]
            for section, entries in datalist.items()
        },
    )
