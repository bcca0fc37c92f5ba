# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What each method costs: seconds per slice, alone and in a batch, at its own steps and at equal ones; memory."""

from __future__ import annotations

import ctypes
import json
import logging
import platform
from pathlib import Path
from typing import Any

import torch

from custom.evaluation.protocol import InterpolationBenchmark
from custom.files import atomic
from custom.inferers.rehearsal import resident_mib
from custom.interpolators.base import Interpolator
from custom.interpolators.latent_average import LatentAverage

logger = logging.getLogger(__name__)

EQUAL_STEPS = 8
#: Steps at which the CaLID paper compares speeds (section V): "up to a 24x" of CaLID, "8x" of CaLID+.
PAPER_STEPS = {"CaLID": 8, "CaLID+": 8, "DiffAE": 64, "DMCVR": 128}


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
        A row of `speed.csv`: "method", "inputs", "parameters" in millions, "steps", seconds "alone" and "batched", both
        at `EQUAL_STEPS` too ("alone_equal", "batched_equal"), "memory" in MiB, the size of the "batch", and "paper",
        the seconds alone at `PAPER_STEPS`. None where a column does not apply.
    """
    factor = min(benchmark.windows)
    survey, scorer, method = benchmark.surveys[factor], benchmark.scorer, benchmark.methods[label]
    content = (method.fingerprint, survey.fingerprint, str(scorer.device), scorer.batch_size, machine())
    path = benchmark.kept(f"speed_{label}", *content).with_suffix(".json")
    if path.exists():
        return json.loads(path.read_text())
    logger.info("%s: timing", label)
    network = benchmark.networks(method)
    dataset = benchmark.windows[factor]
    first = dataset[survey.examples[0]]
    others = (dataset[k] for k in range(len(dataset)))
    batch = [item for _, item in zip(range(scorer.batch_size), others, strict=False)]
    batch = [item for item in batch if item["image"].shape == first["image"].shape] or [first]

    def alone_at(steps: int) -> float:
        return scorer.generation_time(benchmark.networks(method.in_steps(steps)), [first])

    with PeakMemory(scorer.device) as memory:
        alone, batched = (scorer.generation_time(network, items) for items in ([first], batch))
    alone_equal = batched_equal = at_paper = None
    if method.steps is not None:
        alone_equal, batched_equal = alone, batched
        if method.steps != EQUAL_STEPS:
            equal = benchmark.networks(method.in_steps(EQUAL_STEPS))
            alone_equal, batched_equal = (scorer.generation_time(equal, items) for items in ([first], batch))
        if label in PAPER_STEPS:
            at_paper = alone_equal if PAPER_STEPS[label] == EQUAL_STEPS else alone_at(PAPER_STEPS[label])
    row = {"method": label, "inputs": str(network.num_neighbours), "parameters": count_parameters(network) / 1e6}
    row |= {"steps": method.steps, "alone": alone, "batched": batched}
    row |= {"alone_equal": alone_equal, "batched_equal": batched_equal}
    row |= {"memory": memory.mib, "batch": len(batch), "paper": at_paper}
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(row))
    return row


class PeakMemory:
    """The peak of memory inside the block above what was held at its start, in MiB; None where it cannot be had."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.mib = device, None

    def __enter__(self) -> PeakMemory:
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
            self._before = resident_mib("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        if self.device.type == "cuda":
            self.mib = torch.cuda.max_memory_allocated(self.device) / 2**20 - self._before
        elif self._before is not None:
            self.mib = max(resident_mib("VmHWM") - self._before, 0.0)
