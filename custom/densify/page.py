# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A densified scan as one HTML page that needs nothing else: slices, cuts across them, phases, where it comes from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from custom.densify.planes import Turn, turn_of
from custom.densify.sprites import Budget, Sprites, sprites_of
from custom.errors import InputError
from custom.files import atomic
from custom.report.page import WARNING
from custom.scans.nifti import stem
from custom.scans.provenance import SYNTHETIC_KEY, read_sidecar, sidecar_path
from custom.scans.scan import Scan
from custom.scans.scans import inspect_scan

_MS = {"sec": 1000.0, "msec": 1.0, "usec": 0.001}
DEFAULT_PHASE_MS = 50.0
"""Where a cine does not say how long a phase is."""
DEVIATION_SHARE = 0.15
"""Of the intensity range: a deviation that is shown in full colour."""
_MADE_FROM = re.compile(r'<meta name="made-from" content="(\w+)">')


def page_path(output: Path, name: str) -> Path:
    """`index.html` beside the volume `<name>_interp`; `index_x3.html` beside `<name>_x3_interp`, of another factor."""
    extra = stem(output).removeprefix(name).removesuffix("_interp")
    return output.with_name(f"index{extra}.html")


def write_page(
    source: Path, output: Path, kind: str, notes: Mapping[str, str] | None = None, budget: Budget | None = None
) -> tuple[Path, bool]:
    """Write the page of an output, unless it is there, made from the same.

    Args:
        source: the scan that was interpolated.
        output: what came of it, its sidecar beside it; `<name>_std` beside it is shown over it.
        kind: "stack" or "pullback".
        notes: further rows of the table.
        budget: what the page may hold.

    Returns:
        The page, and whether it was written now.

    Raises:
        InputError: the sidecar is missing, the output cannot be read, or the page cannot be written.
    """
    sidecar = read_sidecar(output)
    if SYNTHETIC_KEY not in sidecar:
        fault = "does not say which slices are synthetic"
        raise InputError(sidecar_path(output), fault, "keep the sidecar beside its volume, or interpolate again")
    page = page_path(output, stem(source))
    template, script = ((files("custom.densify") / name).read_text() for name in ("page.html", "viewer.js"))
    told = json.dumps([sidecar, dict(notes or {}), template, script, kind, vars(budget or Budget())], sort_keys=True)
    made_from = hashlib.sha256(told.encode()).hexdigest()
    if _made_from(page) == made_from:
        return page, False
    scan, acquired = (inspect_scan(path, kind, sidecar["slice_axis"]) for path in (output, source))
    turn = turn_of(scan, kind)
    sprites = sprites_of(scan, turn, acquired.intensity_range, budget)
    deviation = _deviation(output, scan, turn, kind, acquired, budget)
    data = {**_data(scan, acquired, turn, kind, sidecar), "image": sprites.to_json(), "deviation": deviation}
    rows = {**_rows(scan, acquired, kind, sidecar, sprites), **(notes or {})}
    text = _filled(
        template,
        MADE_FROM=made_from,
        TITLE=escape(stem(output)),
        SUBTITLE=escape(_subtitle(scan, acquired, kind, sidecar)),
        WARNING=escape(WARNING),
        ROWS="\n".join(
            f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in rows.items()
        ),
        SIDECAR=escape(json.dumps(sidecar, indent=1)),
        DATA=json.dumps(data).replace("</", "<\\/"),
        SCRIPT=script,
    )
    with atomic(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return page, True


def _filled(template: str, **parts: str) -> str:
    """A template with its `@NAME@`s replaced, in one pass, so that nothing is replaced in what was put in."""
    return re.sub(r"@([A-Z_]+)@", lambda match: parts[match[1]], template)


def _made_from(page: Path) -> str | None:
    try:
        with open(page, encoding="utf-8") as file:
            match = _MADE_FROM.search(file.read(1000))
    except (OSError, ValueError):
        return None
    return match[1] if match else None


def _noun(kind: str) -> str:
    return "frame" if kind == "pullback" else "slice"


def _subtitle(scan: Scan, acquired: Scan, kind: str, sidecar: Mapping[str, Any]) -> str:
    noun, phases = _noun(kind), f", {scan.num_phases} phases" if scan.num_phases > 1 else ""
    made = sidecar.get("method") or sidecar.get("bundle")
    return f"{acquired.num_slices} acquired {noun}s became {scan.num_slices}, by {made}{phases}"


def _data(scan: Scan, acquired: Scan, turn: Turn, kind: str, sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """What the page's script needs to know besides the pictures."""
    synthetic = set(sidecar[SYNTHETIC_KEY])
    time = scan.header.get_xyzt_units()[1]
    duration = float(scan.header.get_zooms()[3]) * _MS.get(time, 0) if scan.num_phases > 1 else 0
    return {
        "kind": kind,
        "noun": _noun(kind),
        "cutName": "Longitudinal cut" if kind == "pullback" else "Long-axis cut",
        "count": scan.num_slices,
        "acquired": [index for index in range(scan.num_slices) if index not in synthetic],
        "pixelMm": turn.pixel_mm,
        "sliceMm": scan.spacing_mm,
        "hasPitch": not np.array_equal(acquired.affine, np.eye(4)),  # as files without a header's worth have it
        # Neither the angle between A-lines nor a pixel of which nothing is known (1 mm, in OCT) is a length.
        "isMeasured": kind == "stack" or (scan.coordinates != "polar" and turn.pixel_mm != (1.0, 1.0)),
        "phaseCount": scan.num_phases,
        "phaseMs": duration if 5 <= duration <= 500 else DEFAULT_PHASE_MS,
    }


def _deviation(
    output: Path, scan: Scan, turn: Turn, kind: str, acquired: Scan, budget: Budget | None
) -> dict[str, Any] | None:
    """Pictures of the samples' deviation, half as large as those of the image; None where there are none."""
    path = output.with_name(output.name.replace("_interp.nii", "_std.nii"))
    if path == output or SYNTHETIC_KEY not in read_sidecar(path):
        return None
    try:
        spread = inspect_scan(path, kind, scan.axis)
    except InputError:  # constant: every sample is the same
        return None
    budget = budget or Budget()
    half = Budget(budget.pixels // 4, budget.num_bytes // 3, budget.side // 2)
    low, high = acquired.intensity_range
    window = (0.0, DEVIATION_SHARE * (high - low) * abs(acquired.slope))
    return sprites_of(spread, turn, window, half).to_json()


def _rows(scan: Scan, acquired: Scan, kind: str, sidecar: Mapping[str, Any], sprites: Sprites) -> dict[str, Any]:
    """The table: what made this from what, and what the page leaves out."""
    noun, synthetic = _noun(kind), sidecar[SYNTHETIC_KEY]
    factor, options = sidecar["factor"], sidecar.get("options", {})
    bundle = " ".join(filter(None, (sidecar.get("bundle"), sidecar.get("version"))))
    rows = {
        "Made by": f"{sidecar['method']} (no weights), run by {bundle}" if sidecar.get("method") else bundle,
        "Weights, SHA-256": sidecar.get("weights_sha256") or "none",
        "Made from": sidecar["input"],
        "SHA-256 of that": sidecar.get("input_sha256", ""),
        "Volume": sidecar["output"],
        f"{noun.capitalize()}s": f"{acquired.num_slices} acquired, every {factor} of the volume, kept bit for bit; "
        f"{len(synthetic)} synthetic",
        "Spacing": f"{acquired.spacing_mm:.4g} mm between acquired {noun}s, {scan.spacing_mm:.4g} mm now",
        "Grid": " x ".join(map(str, scan.shape)) + f", {scan.dtype}" + f", {scan.coordinates}" * (kind == "pullback"),
        "Options": ", ".join(f"{name} {json.dumps(value)}" for name, value in options.items()),
        "Seed": sidecar.get("seed"),
        "Shown here": "; ".join(sprites.reductions) + ". The volume beside this page holds everything.",
    }
    return rows
