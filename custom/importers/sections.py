# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Patients into sections: by fractions, by lists, and as they were before when a folder grows."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from custom.data.datalist import SECTIONS, split_by_patient
from custom.errors import InputError


def grow(
    folder: Path,
    entries: Sequence[Mapping[str, Any]],
    listed: Mapping[str, Collection[str]],
    fractions: str | Sequence[float],
    seed: int = 0,
    resplit: bool = False,
    stale: Collection[str] = (),
) -> tuple[dict[str, list[dict[str, Any]]], int]:
    """The datalist of a folder with the entries of this run in it.

    Entries of other sources stay as long as their images are there. Patients stay in their sections, since a network
    may have been trained on them: new ones go where none is yet, then to the section furthest below its share.

    Args:
        folder: with the `datalist.json` of earlier runs, if any.
        entries: of this run.
        listed: see :func:`split_listed`.
        fractions: see :func:`split_listed`.
        seed: of the order in which new patients are dealt.
        resplit: deal all patients anew.
        stale: images of earlier runs that are to go.

    Returns:
        The datalist, and how many patients keep their sections.
    """
    earlier = _earlier(folder)
    kept = [entry for part in kept_entries(folder, entries, stale).values() for entry in part]
    everything = [*kept, *entries]
    section_of = {str(entry["patient"]): name for name in reversed(SECTIONS) for entry in earlier[name]}
    for name, patients in listed.items():
        section_of = {p: s for p, s in section_of.items() if p in patients or not (patients and s == name)}
        section_of |= dict.fromkeys(patients, name)
    patients = {str(entry["patient"]) for entry in everything}
    known = {str(entry["patient"]) for part in earlier.values() for entry in part} & patients
    if resplit or not known:
        return split_listed(everything, listed, fractions, seed), 0
    shares = np.array([0.0 if listed.get(name) else s for name, s in zip(SECTIONS, _fractions(fractions), strict=True)])
    shares = shares / shares.sum() if shares.sum() else np.array([1.0, 0.0, 0.0])
    counts = np.array([sum(section_of.get(patient) == name for patient in patients) for name in SECTIONS])
    for patient in np.random.default_rng(seed).permutation(sorted(patients - section_of.keys())):
        lack = shares * (counts.sum() + 1) - counts
        chosen = int(np.argmax(np.where((counts == 0) & (shares > 0), np.inf, lack)))
        section_of[str(patient)] = SECTIONS[chosen]
        counts[chosen] += 1
    found = {name: [dict(e) for e in everything if section_of[str(e["patient"])] == name] for name in SECTIONS}
    return found, len(known)


def kept_entries(
    folder: Path, entries: Sequence[Mapping[str, Any]], stale: Collection[str] = ()
) -> dict[str, list[dict[str, Any]]]:
    """The sections of the datalist in a folder, without images of this run, stale ones, and those that have gone.

    Raises:
        InputError: there is a file of that name that is no datalist.
    """
    images = {entry["image"] for entry in entries} | set(stale)
    return {
        name: [entry for entry in part if entry["image"] not in images and (folder / entry["image"]).is_file()]
        for name, part in _earlier(folder).items()
    }


def _earlier(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The sections of the datalist in a folder.

    Raises:
        InputError: there is a file of that name that is no datalist.
    """
    path = folder / "datalist.json"
    if not path.exists():
        return {name: [] for name in SECTIONS}
    try:
        content = json.loads(path.read_text())
        found = {name: list(content.get(name, [])) for name in SECTIONS}
        if not all({"image", "patient"} <= entry.keys() for part in found.values() for entry in part):
            raise ValueError("an entry has no image or no patient")
    except (OSError, ValueError, AttributeError, TypeError) as error:
        remedy = "mend it, move it away, or choose another --output_dir"
        raise InputError(path, f"is there and is no datalist ({error})", remedy) from error
    return found


def split_listed(
    entries: Sequence[Mapping[str, Any]],
    listed: Mapping[str, Collection[str]],
    fractions: str | Sequence[float],
    seed: int = 0,
) -> dict[str, list[dict[str, Any]]]:
    """Split entries by patient; listed patients go where they are listed, and a listed section gets no others.

    Args:
        entries: with "image" and "patient".
        listed: section to patients; an empty collection leaves the section to the fractions.
        fractions: for the three sections; those of listed sections do not count.
        seed: of the shuffle.

    Raises:
        InputError: fractions that are none, or a patient listed twice.
    """
    shares = check_sections(listed, fractions)
    shares = [0.0 if listed.get(name) else share for name, share in zip(SECTIONS, shares, strict=True)]
    if not sum(shares):
        shares = [1.0, 0.0, 0.0]
    section_of = {patient: name for name, patients in listed.items() for patient in patients}
    free = [entry for entry in entries if entry["patient"] not in section_of]
    datalist = split_by_patient(free, shares, seed) if free else {name: [] for name in SECTIONS}
    for name in SECTIONS:
        datalist[name] += [dict(entry) for entry in entries if section_of.get(entry["patient"]) == name]
    return datalist


def check_sections(
    listed: Mapping[str, Collection[str]],
    fractions: str | Sequence[float],
    option: str = "--fractions",
    seed: int = 0,
) -> list[float]:
    """The fractions as numbers.

    Args:
        listed: see :func:`split_listed`.
        fractions: for the three sections.
        option: that they were given with.
        seed: of the split.

    Raises:
        InputError: fractions or a seed that are none, or a patient listed twice.
    """
    if not isinstance(seed, int) or seed < 0:
        raise InputError("--seed", f"is {seed}", "give a whole number from 0 on")
    twice = sorted(set(listed.get("test", ())) & set(listed.get("validation", ())))
    if twice:
        raise InputError("--test_patients", f"names {', '.join(twice)}, as --val_patients does", "keep them apart")
    return _fractions(fractions, option)


def parse_words(value: object) -> list[str]:
    """`A,B` as a list; Fire hands over a string, a tuple or a number."""
    if value is None:
        return []
    words = value if isinstance(value, (tuple, list)) else str(value).split(",")
    return [str(word).strip() for word in words if str(word).strip()]


def parse_pairs(name: str, value: object) -> dict[str, str]:
    """`A=B,C=D` as a dictionary.

    Raises:
        InputError: a part without both names.
    """
    pairs = [tuple(part.strip() for part in word.split("=")) for word in parse_words(value)]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):
        raise InputError(name, f"is {value}", "give pairs, for instance SCD0000301=SC-HF-I-04")
    return dict(pairs)


def _fractions(value: str | Sequence[float], option: str = "--fractions") -> list[float]:
    try:
        fractions = [float(part) for part in (value.split(",") if isinstance(value, str) else value)]
    except (TypeError, ValueError):
        fractions = []
    if (
        len(fractions) != len(SECTIONS)
        or not 0 <= min(fractions) <= sum(fractions) < float("inf")
        or not sum(fractions)
    ):
        raise InputError(option, f"is {value}", "give three fractions, for instance 0.8,0.1,0.1")
    return fractions
