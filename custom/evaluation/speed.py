# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What each method costs: seconds per slice, alone and in a batch, at its own steps and at equal ones; memory."""

from __future__ import annotations

import csv
import ctypes
import hashlib
import json
import logging
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from custom.evaluation.protocol import InterpolationBenchmark
from custom.files import atomic
from custom.interpolators.base import Interpolator
from custom.interpolators.latent_average import LatentAverage
from custom.interpolators.variants import variant
from custom.report.tables import markdown_table

logger = logging.getLogger(__name__)

EQUAL_STEPS = 8
#: Steps at which the CaLID paper compares speeds (section V): "up to a 24x" of CaLID, "8x" of CaLID+.
PAPER_STEPS = {"CaLID": 8, "CaLID+": 8, "DiffAE": 64, "DMCVR": 128}
PAPER_SPEEDUP = 24
_HEADINGS = {
    "method": "Method",
    "inputs": "Inputs",
    "parameters": "Parameters (M)",
    "steps": "Steps",
    "alone": "Seconds per {image}, alone",
    "batched": "Seconds per {image}, batch of {batch}",
    "alone_equal": f"Alone, {EQUAL_STEPS} steps",
    "batched_equal": f"Batched, {EQUAL_STEPS} steps",
    "memory": "Memory above the idle process (MiB)",
}


def count_parameters(method: Interpolator) -> int:
    """Of what the method runs; an average of latents needs the codec alone."""
    network = method.network.autoencoder if isinstance(method, LatentAverage) else method
    return sum(parameter.numel() for parameter in network.parameters())


def machine() -> str:
    """The processor and, if there is one, the GPU."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        models = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        name = models[0] if models else name
    name = f"{name}, {torch.get_num_threads()} thread(s)"
    return f"{torch.cuda.get_device_name()}; {name}" if torch.cuda.is_available() else name


def measure_speed(benchmark: InterpolationBenchmark, label: str) -> dict[str, Any]:
    """Time one method in the middle of gaps; kept in `parts/`, so that a repeated run only reads it.

    Returns:
        A row of `speed.csv` with the columns of `_HEADINGS`, None where a column does not apply, and "paper", the
        seconds alone at `PAPER_STEPS`.
    """
    factor = min(benchmark.windows)
    survey, scorer = benchmark.surveys[factor], benchmark.scorer
    content = (
        benchmark.fingerprints[label],
        survey.fingerprint,
        str(scorer.device),
        scorer.batch_size,
        scorer.amp,
        machine(),
    )
    key = hashlib.sha256(repr((label, content)).encode()).hexdigest()[:16]
    path = benchmark.output_dir / "parts" / f"speed_{key}.json"
    if path.exists():
        return json.loads(path.read_text())
    logger.info("%s: timing", label)
    method = benchmark.methods[label].to(scorer.device).eval()
    dataset = benchmark.windows[factor]
    first = dataset[survey.examples[0]]
    others = (dataset[k] for k in range(len(dataset)))
    batch = [item for _, item in zip(range(scorer.batch_size), others, strict=False)]
    batch = [item for item in batch if item["image"].shape == first["image"].shape] or [first]

    def times(twin: Interpolator) -> tuple[float, float]:
        return scorer.generation_time(twin, [first]), scorer.generation_time(twin, batch)

    steps = getattr(method, "num_inference_steps", None)
    with _PeakMemory(scorer.device) as memory:
        alone, batched = times(method)
    equal: tuple[float | None, float | None] = (None, None)
    if steps is not None:
        equal = (alone, batched) if steps == EQUAL_STEPS else times(variant(method, num_inference_steps=EQUAL_STEPS))
    at_paper = None
    if steps is not None and label in PAPER_STEPS:
        count = PAPER_STEPS[label]
        at_paper = (
            equal[0]
            if count == EQUAL_STEPS
            else scorer.generation_time(variant(method, num_inference_steps=count), [first])
        )
    row = {"method": label, "inputs": str(method.num_neighbours)}
    row |= {"parameters": count_parameters(method) / 1e6, "steps": steps, "alone": alone, "batched": batched}
    row |= {
        "alone_equal": equal[0],
        "batched_equal": equal[1],
        "memory": memory.mib,
        "batch": len(batch),
        "paper": at_paper,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(row))
    return row


class _PeakMemory:
    """The peak of memory inside the block above what was held at its start, in MiB; None where it cannot be had."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.mib = device, None

    def __enter__(self) -> _PeakMemory:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            self._before = torch.cuda.memory_allocated(self.device) / 2**20
        else:
            try:
                # Of Linux and its C library: memory that is free, but held, goes back first; then the peak is reset.
                ctypes.CDLL("libc.so.6").malloc_trim(0)
                Path("/proc/self/clear_refs").write_text("5")
            except (OSError, AttributeError):
                pass
            self._before = _resident("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        if self.device.type == "cuda":
            self.mib = torch.cuda.max_memory_allocated(self.device) / 2**20 - self._before
        elif self._before is not None:
            self.mib = max(_resident("VmHWM") - self._before, 0.0)


def _resident(key: str) -> float | None:
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    return next(int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith(f"{key}:"))


def speed_ratio(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences on the paper's speed-up: how much longer the other methods take at its steps than CaLID at 8."""
    at = {row["method"]: row["paper"] for row in rows if row.get("paper") is not None}
    if "CaLID" not in at:
        return []
    text = []
    for name, seconds in at.items():
        if name != "CaLID":
            ratio = f"{name} at {PAPER_STEPS[name]} steps takes {seconds / at['CaLID']:.1f} times as long as CaLID at 8"
            theirs = f"up to {PAPER_SPEEDUP} for its rivals" if name != "CaLID+" else "3 at equal steps"
            text.append(f"{ratio} (the paper: {theirs}).")
    return text


def speed_table(rows: Sequence[Mapping[str, Any]], image: str) -> tuple[list[str], list[list[str]]]:
    """Header and body."""
    batch = max(row["batch"] for row in rows)
    header = [heading.format(image=image, batch=batch) for heading in _HEADINGS.values()]
    return header, [[_show(key, row[key]) for key in _HEADINGS] for row in rows]


def write_speed(rows: Sequence[Mapping[str, Any]], folder: Path, image: str) -> None:
    """Write `speed.csv` and `speed.md`."""
    with atomic(folder / "speed.csv") as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    header, body = speed_table(rows, image)
    text = [
        f"# Seconds per {image}",
        "",
        f"Machine: {machine()}.",
        "",
        *markdown_table(header, body),
        "",
        *speed_ratio(rows),
    ]
    with atomic(folder / "speed.md") as temporary:
        temporary.write_text("\n".join(text).rstrip() + "\n", encoding="utf-8")


def _show(key: str, value: Any) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.2f}" if key == "parameters" else f"{value:.0f}" if key == "memory" else f"{value:.3g}"
