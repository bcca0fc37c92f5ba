# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a synthetic cardiac MR slice costs: CaLID, CaLID+ and classical methods; how seconds and memory grow.

    python benchmarks/cmr_inference.py --output results/cost        everything; Markdown and CSV
    python benchmarks/cmr_inference.py --quick                      tiny sizes, a minute or two
    python benchmarks/cmr_inference.py --parts methods --repeats 9  one of: methods, growth, batches
    python benchmarks/cmr_inference.py --input cine.nii.gz          a scan instead of a simulated heart

- methods: the gap between two cine slices filled by every method in turn, in this process; ratios are of pairs.
- growth: whole files from disk to disk, each in a process of its own, at several numbers of slices and phases. The 2D
  bundle does a cine phase by phase, the cine bundle all phases at once. The linear row is the cost of the files alone.
- batches: the same against `batch_size`.

A synthetic slice is one phase of one slice. Networks are those of the bundles' `inference.json`, with their weights if
they are there. OMP_NUM_THREADS sets the threads.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fire
import torch
from monai.utils import ensure_tuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.cmr_cases import TITLES, compare_methods, measure_stack, weights_of, write_heart  # noqa: E402
from benchmarks.measure import Table, in_fresh_process, machine, one_at_a_time  # noqa: E402
from custom.errors import InputError, report_input_errors  # noqa: E402
from custom.files import atomic  # noqa: E402
from custom.scans.stacks import inspect_stack  # noqa: E402

PARTS = {
    "methods": "One gap of a cine, all methods in turn",
    "growth": "Slices and phases, from disk to disk",
    "batches": "Batch sizes, from disk to disk",
}
FULL = {
    "size": 128,
    "slices": (3, 6, 12),
    "phases": (16, 4, 32),
    "batch_sizes": (1, 4, 16),
    "steps": (1, 8),
    "repeats": 3,
}
QUICK = FULL | {"size": 32, "slices": (2, 3), "phases": (2,), "batch_sizes": (1,), "repeats": 2}
SIMULATED_PHASES = 4  # more are slow to simulate and cost the same to interpolate: the beat is repeated
METHOD_COLUMNS = {
    "method": "method",
    "synthetic": "synthetic slices",
    "seconds": "s in all (median)",
    "seconds_min": "least",
    "seconds_max": "most",
    "seconds_per_slice": "s per synthetic slice",
    "ratio": "ratio to {}",
    "own_ratio": "ratio to the same network's CaLID",
}
STACK_COLUMNS = {
    "method": "method",
    "slices": "acquired slices",
    "phases": "phases",
    "size": "slice size",
    "computed": "padded to",
    "tiles": "tiles per slice",
    "batch_size": "batch",
    "synthetic": "synthetic slices",
    "seconds": "s in all (median)",
    "seconds_min": "least",
    "seconds_max": "most",
    "seconds_per_slice": "s per synthetic slice",
    "idle_mib": "MiB before the file",
    "peak_mib": "MiB at most",
}


def main(
    parts: Sequence[str] = tuple(PARTS),
    input: str | None = None,
    bundles: Sequence[str] = tuple(TITLES),
    size: int | None = None,
    slices: Sequence[int] | None = None,
    phases: Sequence[int] | None = None,
    batch_sizes: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
    repeats: int | None = None,
    factor: int = 2,
    device: str | None = None,
    output: str | None = None,
    quick: bool = False,
    **overrides: Any,
) -> None:
    """Measure, print Markdown tables, and write them with CSV files.

    Args:
        parts: of methods, growth, batches.
        input: a NIfTI stack or cine; a heart is simulated otherwise. Its middle slices are taken; where more phases are
            asked for than it has, it is repeated.
        bundles: of calid, calid_cine.
        size: pixels of a simulated slice along either axis.
        slices: numbers of acquired slices, the first of them while the rest varies.
        phases: numbers of phases, likewise; the first is the methods' as well. The cine bundle leaves out 1.
        batch_sizes: besides the config's own.
        steps: DDIM steps of CaLID in the methods part; CaLID+ at the last.
        repeats: timings of each row; medians are shown.
        factor: dense steps per gap in growth and batches.
        device: cuda if there is one, else cpu.
        output: a folder for cmr_inference.md and cmr_inference_<part>.csv.
        quick: smaller values for everything that is not given.
        overrides: ids of the bundles' inference.json, such as --num_inference_steps 4.
    """
    given = dict(size=size, slices=slices, phases=phases, batch_sizes=batch_sizes, steps=steps, repeats=repeats)
    options = (QUICK if quick else FULL) | {name: value for name, value in given.items() if value is not None}
    slices, phases, steps = (ensure_tuple(options[name]) for name in ("slices", "phases", "steps"))
    parts, bundles, repeats = ensure_tuple(parts), ensure_tuple(bundles), options["repeats"]
    _check(parts, bundles, slices, phases, repeats)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    gathered = []

    with tempfile.TemporaryDirectory() as folder:
        if input is None:
            path = Path(folder) / "heart.nii.gz"
            write_heart(path, options["size"], max(slices), min(max(phases), SIMULATED_PHASES))
        else:
            path = Path(input)
            held = inspect_stack(path).num_slices
            if held < max(slices):
                raise InputError(path, f"has {held} slices", f"ask for at most as many with --slices, not {slices}")
        place = machine(device)
        about = f"machine: {place}\n\ninput: {input or 'a simulated heart'}\n\n"
        about += "\n".join(f"- {bundle}: {weights_of(bundle, overrides)}" for bundle in bundles)
        about += f"\n- changed: {overrides}" if overrides else ""
        print(about, flush=True)
        common = {"path": path, "factor": factor, "repeats": repeats, "device": device, "overrides": overrides}
        for part in parts:
            print(f"\n## {PARTS[part]}\n", flush=True)
            if part == "methods":
                rows = compare_methods(path, bundles, phases[0], steps, repeats, device, overrides)
                table = Table(METHOD_COLUMNS | {"ratio": METHOD_COLUMNS["ratio"].format(rows[0]["reference"])})
                for row in rows:
                    table.add(row | {"machine": place})
            else:
                axes = {"batch_size": ensure_tuple(options["batch_sizes"])}
                rows = growth(bundles, slices, phases) if part == "growth" else batches(bundles, slices, phases, axes)
                table = Table(STACK_COLUMNS)
                for row in rows:
                    table.add(in_fresh_process(measure_stack, **row, **common) | {"machine": place})
            gathered.append(f"## {PARTS[part]}\n\n{table.markdown}")
            if output:  # after each part: hours may lie between them
                Path(output).mkdir(parents=True, exist_ok=True)
                table.write_csv(Path(output) / f"cmr_inference_{part}.csv")
                with atomic(Path(output) / "cmr_inference.md") as temporary:
                    temporary.write_text("\n\n".join([about, *gathered]), encoding="utf-8")


def growth(bundles: Sequence[str], slices: Sequence[int], phases: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of `measure_stack`: each bundle at several sizes, then at the first size CaLID+ and linear interpolation."""
    rows = []
    for bundle in bundles:
        sizes = one_at_a_time({"slices": slices, "phases": _phases(bundle, phases)})
        rows += [{"bundle": bundle, "method": "CaLID", **row} for row in sizes]
        rows += [{"bundle": bundle, "method": "CaLID+", **sizes[0]}]
    return [*rows, {**rows[0], "method": "linear"}]


def batches(
    bundles: Sequence[str], slices: Sequence[int], phases: Sequence[int], axes: dict[str, Sequence[int]]
) -> list[dict[str, Any]]:
    """Rows of `measure_stack`: each bundle with its own batch sizes (None), then each of `axes` by itself."""
    rows = []
    for bundle in bundles:
        base = {"bundle": bundle, "method": "CaLID", "slices": slices[0], "phases": _phases(bundle, phases)[0]}
        windows = (slices[0] - 1) * (1 if bundle == "calid_cine" else base["phases"])
        # Beyond what there is to put into a batch, sizes make no difference.
        values = {name: (None, *sorted({min(value, windows) for value in axis})) for name, axis in axes.items()}
        rows += [base | row for row in one_at_a_time(values)]
    return rows


def _phases(bundle: str, phases: Sequence[int]) -> list[int]:
    return [count for count in phases if count > 1 or bundle != "calid_cine"]


def _check(
    parts: Sequence[str], bundles: Sequence[str], slices: Sequence[int], phases: Sequence[int], repeats: int
) -> None:
    """End with one line if an option is out of range."""
    for name, values, known in (("parts", parts, PARTS), ("bundles", bundles, TITLES)):
        if not values or set(values) - set(known):
            raise SystemExit(f"error: --{name} is of {', '.join(known)}, got {', '.join(map(str, values))}")
    if min(slices) < 2 or min(phases) < 1 or repeats < 1:
        raise SystemExit("error: --slices is at least 2, --phases and --repeats at least 1")
    if "calid_cine" in bundles and max(phases) < 2:
        raise SystemExit("error: a cine has at least 2 phases: add to --phases, or leave out calid_cine with --bundles")


if __name__ == "__main__":
    report_input_errors()
    fire.Fire(main)
