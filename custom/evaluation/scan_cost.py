# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a whole scan costs from disk to disk: the inference command as a user types it, timed and weighed.

    python -m custom.evaluation cost --bundle calid --scans 3x128x128x4,6x128x128x4 [--factor 2] [--output_dir OUT]

Each scan is a run of its own. The same command once more finds its work done: what that takes is the start (Python,
MONAI, the network), and is told apart. On a machine that does other work as well, read the processor time. `compare`
measures single slices in memory instead (`speed.md`).
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np

from custom.errors import InputError
from custom.evaluation.bundle_methods import bundle_folder, inference_config
from custom.evaluation.speed import machine
from custom.files import atomic
from custom.inferers.rehearsal import resident_mib
from custom.phantoms.cmr import CmrPhantomConfig, simulate_heart

FIELD_OF_VIEW_MM, SLICE_DISTANCE_MM = 230.0, 8.0
#: Distance of A-lines, of depths and of frames of a pullback: a typical catheter's.
PULLBACK_MM = (1.0, 0.00747, 0.2)
POLL_S = 0.05


def cost(
    bundle: str, scans: str | Sequence[str], output_dir: str | None = None, factor: int = 2, **options: Any
) -> list[dict[str, Any]]:
    """Time and memory of whole scans; prints a table, and with `output_dir` writes `cost.csv` and `cost.md`.

    Args:
        bundle: name or folder.
        scans: sizes, `SLICESxROWSxCOLUMNS[xPHASES]` each, separated by commas. Stacks are simulated hearts, pullbacks
            noise in polar frames; what is in them does not change what they cost.
        output_dir: folder of the results.
        factor: dense steps per gap.
        options: further ids of the bundle's `inference.json`, such as `num_inference_steps` or `batch_size`.

    Returns:
        One row per scan.

    Raises:
        InputError: no such bundle or option, a size that is none, or a command that fails.
    """
    folder = bundle_folder(bundle)
    inference_config(folder, options)
    sizes = [_parse(text) for text in (scans.split(",") if isinstance(scans, str) else scans)]
    rows = []
    for size in sizes:
        rows.append(measure_scan(folder, size, {"factor": factor, **options}))
        print("  ".join(f"{name}: {_text(value)}" for name, value in rows[-1].items()), flush=True)
    if output_dir is not None:
        _write(rows, Path(output_dir), {"bundle": folder.name, "factor": factor, **options})
    return rows


def measure_scan(folder: Path, size: Sequence[int], options: dict[str, Any]) -> dict[str, Any]:
    """A row: one scan by the inference command of a bundle.

    Args:
        folder: the bundle.
        size: slices, rows, columns and phases.
        options: ids of its `inference.json`.
    """
    with tempfile.TemporaryDirectory() as place:
        scan = Path(place) / "scan.nii.gz"
        _simulate(scan, folder, size)
        command = [sys.executable, "-m", "monai.bundle", "run"]
        command += ["--config_file", str(folder / "configs" / "inference.json")]
        command += ["--dataset_dir", str(scan), "--output_dir", str(Path(place) / "dense")]
        for name, value in options.items():
            command += [f"--{name}", value if isinstance(value, str) else json.dumps(value)]
        whole = run_and_weigh(command)
        start = run_and_weigh(command)  # finds everything done
    slices, _, _, phases = size
    images = (slices - 1) * (options["factor"] - 1) * phases
    seconds, busy = (max(a - b, 0.0) for a, b in ((whole.seconds, start.seconds), (whole.busy, start.busy)))
    row = {"scan": "x".join(map(str, size)), "synthetic images": images, "seconds": seconds, "CPU seconds": busy}
    row |= {"CPU seconds per image": busy / images, "start (CPU s)": start.busy}
    return row | {"start (MiB)": start.peak_mib, "peak (MiB)": whole.peak_mib}


class Cost(NamedTuple):
    """Of a command: seconds, seconds of processor time (of a busy machine the better number), its own peak memory."""

    seconds: float
    busy: float
    peak_mib: float | None


def run_and_weigh(command: Sequence[str]) -> Cost:
    """Run a command; the peak of its resident memory is None where it cannot be had.

    Raises:
        InputError: it failed; says what its last line was.
    """
    start, before = time.perf_counter(), os.times()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peak = None
    # Of the process itself: what the system hands a parent about its children counts the parent's memory as well.
    while True:
        peak = resident_mib("VmHWM", process.pid) or peak
        try:
            output, _ = process.communicate(timeout=POLL_S)
            break
        except subprocess.TimeoutExpired:
            continue
    if process.returncode:
        last = output.strip().splitlines()[-1] if output.strip() else f"exit code {process.returncode}"
        raise InputError(command[-1], f"the command failed ({last})", f"run it alone: {' '.join(command)}")
    after = os.times()
    busy = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(time.perf_counter() - start, busy, peak)


def _parse(text: str) -> tuple[int, int, int, int]:
    numbers = text.strip().split("x")
    if not (3 <= len(numbers) <= 4 and all(n.isdecimal() and int(n) > 0 for n in numbers) and int(numbers[0]) > 1):
        raise InputError("--scans", f"{text!r} is no size", "write SLICESxROWSxCOLUMNS[xPHASES], such as 6x128x128x4")
    return tuple(int(n) for n in [*numbers, "1"][:4])  # type: ignore[return-value]


def _simulate(path: Path, folder: Path, size: Sequence[int]) -> None:
    slices, rows, columns, phases = size
    metadata = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
    if metadata["network_data_format"]["inputs"]["image"]["modality"] == "OCT":
        frames = np.random.default_rng(0).integers(0, 256, (rows, columns, slices), np.uint8)
        image = nib.Nifti1Image(frames, np.diag([*PULLBACK_MM, 1.0]))
        image.header["descrip"] = b"OCT polar"
    else:
        extent = SLICE_DISTANCE_MM * (slices - 1)
        config = CmrPhantomConfig(
            num_phases=phases, matrix=max(rows, columns), pixel_mm=FIELD_OF_VIEW_MM / max(rows, columns),
            pitch_mm=SLICE_DISTANCE_MM, extent_mm=extent, breath_hold_mm=1.5,
        )  # fmt: skip
        stack = simulate_heart(config, 0)
        image = nib.Nifti1Image(stack.image[:rows, :columns], stack.affine)
    nib.save(image, path)


def _write(rows: Sequence[dict[str, Any]], folder: Path, options: dict[str, Any]) -> None:
    with atomic(folder / "cost.csv") as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    told = ", ".join(f"{name} {value}" for name, value in options.items())
    lines = ["# Cost of whole scans", "", f"{told}. Machine: {machine()}.", ""]
    table = [list(rows[0]), ["---"] * len(rows[0]), *([_text(value) for value in row.values()] for row in rows)]
    lines += [f"| {' | '.join(cells)} |" for cells in table]
    with atomic(folder / "cost.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if value < 100 else f"{value:.0f}"
    return "-" if value is None else str(value)
