# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a run of `data_scripts/prepare_cmr.py` leaves and finds: finished scans and their names."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

Records = Mapping[str, Mapping[str, Any]]
"""Name of the output to its record."""


def read_records(folder: Path, besides: Collection[str] = ()) -> Records:
    """The records of earlier runs, and of others at work, in an output folder.

    Args:
        folder: of the outputs.
        besides: names of outputs whose records are not read.
    """
    records: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        if path.stem in besides:
            continue
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
    # A copy of the source may have been converted as well: the outputs of the same place first.
    for item in sorted(found.values(), key=lambda item: item.get("source_place") != wanted["source_place"]):
        outputs = item.get("outputs") or []
        entries = [dict(found[name]["entry"]) for name in outputs if name in found]
        files = [folder / entry[key] for entry in entries for key in ("image", "label") if key in entry]
        if entries and len(entries) == len(outputs) and all(path.is_file() for path in files):
            return entries
    return []


def stale_outputs(records: Records, record: Mapping[str, Any]) -> list[str]:
    """Outputs of an earlier run that a source, in the place where it was, no longer has: images of a datalist."""
    return [
        str(item["entry"]["image"])
        for name, item in records.items()
        if item.get("source_place") == record["source_place"] and name not in record["outputs"] and "entry" in item
    ]


def is_taken(folder: Path, records: Records, name: str, record: Mapping[str, Any]) -> bool:
    """Whether an output's name belongs to something else than a source: a file of the user, or another source.

    A source whose content has changed is still the same one if it lies in the same place.
    """
    if not any((folder / file).exists() for file in (f"{name}.nii.gz", f"{name}.json", f"labels/{name}.nii.gz")):
        return False
    found = records.get(name, {})
    return not any(found.get(key) and found.get(key) == record[key] for key in ("source_place", "source_fingerprint"))


def changed_settings(records: Records, record: Mapping[str, Any]) -> list[str]:
    """The options that differ from those with which an earlier run converted the same source; [] if there was none."""
    same = [item for item in records.values() if item.get("source_fingerprint") == record["source_fingerprint"]]
    if not same:
        return []
    now, then = (_flat(item["settings"]) for item in (json.loads(json.dumps(dict(record))), same[0]))
    return sorted(f"--{name} {now.get(name)} ({then.get(name)})" for name in now if now.get(name) != then.get(name))


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= value if isinstance(value, dict) else {name: value}
    return found
