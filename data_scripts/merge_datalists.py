# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Merge the datalists of prepared folders into one, to train on them together.

    python data_scripts/merge_datalists.py --root data --folders phantom,clinic --repeats 1,4

reads `data/phantom/datalist.json` and `data/clinic/datalist.json` and writes `data/datalist.json`. Training windows are
drawn in proportion to frames; with 4 repeats the clinic's count four times. Validation and test list everything once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import fire

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from custom.data.datalist import SECTIONS, write_datalist  # noqa: E402
from custom.errors import InputError, report_input_errors  # noqa: E402
from custom.importers.intake import as_typed, check_arguments  # noqa: E402


def merge(root: str, folders: str | tuple[str, ...], repeats: str | int | tuple[int, ...] = 1) -> None:
    """Merge datalists.

    Args:
        root: folder that holds the prepared folders and receives the merged `datalist.json`.
        folders: names of prepared folders in it, with commas.
        repeats: how often each counts in training, with commas; one number for all.

    Raises:
        InputError: a datalist is missing or unreadable, or the numbers do not match the folders.
    """
    names, counts = [str(name) for name in _parts(folders)], _counts(repeats)
    counts = counts * len(names) if len(counts) == 1 else counts
    if len(counts) != len(names) or min(counts) < 1:
        raise InputError(root, f"{len(names)} folders and repeats {counts}", "give one positive number for each folder")
    output = Path(root) / "datalist.json"
    merged: dict[str, list[dict]] = {section: [] for section in SECTIONS}
    for name, count in zip(names, counts, strict=True):
        datalist = _read(Path(root) / name / "datalist.json")
        for section in SECTIONS:
            entries = [
                {**entry, **{key: f"{name}/{entry[key]}" for key in ("image", "label") if key in entry}}
                for entry in datalist[section]
            ]
            merged[section] += entries * (count if section == "training" else 1)
    _check_own(output, names)
    try:
        print(write_datalist(output, merged))
    except ValueError as error:
        remedy = "prepare the folders with the same --test_patients and --val_patients"
        raise InputError(output, f"would mix sections ({error})", remedy) from error


def _read(path: Path) -> dict[str, list[dict]]:
    try:
        datalist = json.loads(path.read_text())
        sections = {section: list(datalist.get(section, [])) for section in SECTIONS}
        if not all({"image", "patient"} <= entry.keys() for part in sections.values() for entry in part):
            raise ValueError("an entry has no image or no patient")
        return sections
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(path, f"is not a readable datalist ({error})", "prepare the folder first") from error


def _check_own(path: Path, names: list[str]) -> None:
    """Refuse to replace a datalist that is not a merged one: that of scans prepared into the root itself."""
    if not path.exists():
        return
    own = [entry["image"] for part in _read(path).values() for entry in part if "/" not in str(entry["image"])]
    if own:
        remedy = f"move {path.parent}'s scans into a folder of their own, beside {names[0]}"
        raise InputError(path, f"lists scans of this folder itself, such as {own[0]}, and would be lost", remedy)


def _counts(repeats: str | int | tuple) -> list[int]:
    try:
        return [int(count) for count in _parts(repeats)]
    except (TypeError, ValueError) as error:
        raise InputError("--repeats", f"is {repeats}", "give whole numbers with commas, for instance 1,4") from error


def _parts(value: str | int | tuple) -> tuple:
    """Fire gives `a,b` as a string and `1,4` as a tuple."""
    return value if isinstance(value, tuple) else tuple(str(value).split(","))


if __name__ == "__main__":
    report_input_errors()
    check_arguments(merge, sys.argv[1:])
    fire.Fire(as_typed(merge))
