# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a run of `data_scripts/prepare_cmr.py` leaves and finds: finished scans, listed patients, aliases."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from custom.data.datalist import SECTIONS, split_by_patient
from custom.errors import InputError

Records = Mapping[str, Mapping[str, Any]]
"""Name of the output to its record."""


def read_records(folder: Path) -> Records:
    """The records of earlier runs in an output folder."""
    records: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if isinstance(found, dict) and "source_fingerprint" in found:
            records[path.stem] = found
    return records


def finished_entries(folder: Path, records: Records, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The datalist entries of a source that an earlier run has finished with the same settings, else nothing.

    Args:
        folder: of the outputs.
        records: of :func:`read_records`.
        record: what the records of this source would say now.
    """
    wanted = json.loads(json.dumps(dict(record)))
    # Where a source lies does not matter: what is in it tells it.
    keys = wanted.keys() - {"source_place", "name", "source"}
    found = {name: item for name, item in records.items() if all(item.get(key) == wanted[key] for key in keys)}
    outputs = next(iter(found.values()))["outputs"] if found else []
    if set(outputs) != set(found):
        return []
    entries = [dict(found[name]["entry"]) for name in outputs]
    files = [folder / entry[key] for entry in entries for key in ("image", "label") if key in entry]
    return entries if all(path.is_file() for path in files) else []


def is_taken(folder: Path, records: Records, name: str, record: Mapping[str, Any]) -> bool:
    """Whether an output's name belongs to something else than a source: a file of the user, or another source.

    A source whose content has changed is still the same one if it lies in the same place.
    """
    if not any((folder / f"{name}{suffix}").exists() for suffix in (".nii.gz", ".json")):
        return False
    found = records.get(name, {})
    return not any(found.get(key) and found.get(key) == record[key] for key in ("source_place", "source_fingerprint"))


def grow(
    folder: Path,
    entries: Sequence[Mapping[str, Any]],
    listed: Mapping[str, Collection[str]],
    fractions: str | Sequence[float],
    seed: int = 0,
) -> tuple[dict[str, list[dict[str, Any]]], int]:
    """The datalist of a folder with the entries of this run in it.

    Entries of other sources stay as long as their images are there, patients that are in a section stay in it, and new
    patients go to the section that is furthest below its share. Without entries of others the split is made anew.

    Args:
        folder: with the `datalist.json` of earlier runs, if any.
        entries: of this run; see :func:`split_listed` for the others.

    Returns:
        The datalist, and how many entries of earlier runs it keeps.
    """
    images = {entry["image"] for entry in entries}
    try:
        earlier = json.loads((folder / "datalist.json").read_text())
        kept = {
            name: [e for e in earlier.get(name, []) if e["image"] not in images and (folder / e["image"]).is_file()]
            for name in SECTIONS
        }
        section_of = {str(entry["patient"]): name for name in SECTIONS for entry in earlier.get(name, [])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return split_listed(entries, listed, fractions, seed), 0
    number = sum(map(len, kept.values()))
    if not number:
        return split_listed(entries, listed, fractions, seed), 0
    if any(listed.values()):
        return split_listed(
            [e for part in kept.values() for e in part] + list(entries), listed, fractions, seed
        ), number
    shares = _fractions(fractions)
    fresh = sorted({str(entry["patient"]) for entry in entries} - section_of.keys())
    counts = [len({p for p, section in section_of.items() if section == name}) for name in SECTIONS]
    for patient in fresh:
        lack = [share * (sum(counts) + 1) - count for share, count in zip(shares, counts, strict=True)]
        chosen = lack.index(max(lack))
        section_of[patient], counts[chosen] = SECTIONS[chosen], counts[chosen] + 1
    for entry in entries:
        kept[section_of[str(entry["patient"])]].append(dict(entry))
    return kept, number


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
    shares = _fractions(fractions)
    twice = sorted(set(listed.get("test", ())) & set(listed.get("validation", ())))
    if twice:
        raise InputError("--test_patients", f"names {', '.join(twice)}, as --val_patients does", "keep them apart")
    shares = [0.0 if listed.get(name) else share for name, share in zip(SECTIONS, shares, strict=True)]
    if not sum(shares):
        shares = [1.0, 0.0, 0.0]
    section_of = {patient: name for name, patients in listed.items() for patient in patients}
    free = [entry for entry in entries if entry["patient"] not in section_of]
    datalist = split_by_patient(free, shares, seed) if free else {name: [] for name in SECTIONS}
    for name in SECTIONS:
        datalist[name] += [dict(entry) for entry in entries if section_of.get(entry["patient"]) == name]
    return datalist


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


def _fractions(value: str | Sequence[float]) -> list[float]:
    try:
        fractions = [float(part) for part in (value.split(",") if isinstance(value, str) else value)]
    except (TypeError, ValueError):
        fractions = []
    if (
        len(fractions) != len(SECTIONS)
        or not 0 <= min(fractions) <= sum(fractions) < float("inf")
        or not sum(fractions)
    ):
        raise InputError("--fractions", f"is {value}", "give three fractions, for instance 0.8,0.1,0.1")
    return fractions
