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
from custom.importers.intake import check_arguments  # noqa: E402


def merge(root: str, folders: str | tuple[str, ...], repeats: str | int | tuple[int, ...] = 1) -> None:
    """Merge datalists.

    Args:
        root: folder that holds the prepared folders and receives the merged `datalist.json`.
        folders: names of prepared folders in it, with commas.
        repeats: how often each counts in training, with commas; one number for all.

    Raises:
        InputError: a datalist is missing or unreadable, or the numbers do not match the folders.
    """
    names = list(_parts(folders))
    counts = [int(count) for count in _parts(repeats)]
    counts = counts * len(names) if len(counts) == 1 else counts
    if len(counts) != len(names) or min(counts) < 1:
        raise InputError(root, f"{len(names)} folders and repeats {counts}", "give one positive number for each folder")
    merged: dict[str, list[dict]] = {section: [] for section in SECTIONS}
    for name, count in zip(names, counts, strict=True):
        path = Path(root) / name / "datalist.json"
        try:
            datalist = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise InputError(path, f"is not a readable datalist ({error})", "prepare the folder first") from error
        for section in SECTIONS:
            entries = [
                {**entry, **{key: f"{name}/{entry[key]}" for key in ("image", "label") if key in entry}}
                for entry in datalist.get(section, [])
            ]
            merged[section] += entries * (count if section == "training" else 1)
    print(write_datalist(Path(root) / "datalist.json", merged))


def _parts(value: str | int | tuple) -> tuple:
    """Fire gives `a,b` as a string and `1,4` as a tuple."""
    return value if isinstance(value, tuple) else tuple(str(value).split(","))


if __name__ == "__main__":
    report_input_errors()
    check_arguments(merge, sys.argv[1:])
    fire.Fire(merge)
