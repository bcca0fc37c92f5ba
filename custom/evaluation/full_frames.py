# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Frames at a scanner's own size: the cost of a whole pullback, and seams (see `benchmarks/oct_full_frames.py`)."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from custom.evaluation.bundle_methods import bundle_folder, inference_config
from custom.evaluation.method_grammar import parse_methods
from custom.evaluation.methods import Networks
from custom.evaluation.oct_sampling import FULL_SIZE, Sampling, frame_range, read_frames
from custom.evaluation.robustness import fill_gap
from custom.evaluation.scan_cost import PULLBACK_MM, run_and_weigh
from custom.evaluation.scenes import Scene, firsts
from custom.evaluation.speed import PeakMemory, machine
from custom.evaluation.tile_borders import watching
from custom.files import atomic
from custom.metrics.seams import seam_ratios
from custom.scans.pullbacks import PullbackWriter, new_pullback


def cost_of_pullback(
    frames: str,
    method: str,
    output_dir: str,
    num_frames: int = 400,
    factor: int = 6,
    sampling: str = "polar_497x1025",
    range: str = "1:130",
    **options: Any,
) -> dict[str, Any]:
    """Interpolate a whole pullback by the inference command; time and peak memory go to `cost_*.json`.

    Args:
        frames: the pullback. Where it has too few frames, it goes back and forth.
        method: name or folder of a bundle.
        output_dir: folder of the result. The dense pullback itself is not kept.
        num_frames: acquired frames.
        factor: dense steps per gap.
        sampling: a name of `custom.evaluation.oct_sampling.FULL_SIZE`.
        range: FIRST:LAST, numbers of the frames that are repeated.
        options: further ids of the bundle's `inference.json`.

    Raises:
        InputError: no such pullback, frames, bundle or option; the command fails.
    """
    folder, sampled = bundle_folder(method), FULL_SIZE[sampling]
    inference_config(folder, options)
    with tempfile.TemporaryDirectory(dir=_made(output_dir)) as place:
        scan = Path(place) / "pullback.nii.gz"
        _write(scan, sampled, sampled(read_frames(frames, *frame_range(range))), num_frames)
        command = [sys.executable, "-m", "monai.bundle", "run"]
        command += ["--config_file", str(folder / "configs" / "inference.json"), "--factor", str(factor)]
        command += ["--dataset_dir", str(scan), "--output_dir", str(Path(place) / "dense")]
        for name, value in options.items():
            command += [f"--{name}", value if isinstance(value, str) else json.dumps(value)]
        cost = run_and_weigh(command)
    synthetic = (num_frames - 1) * (factor - 1)
    row = {"method": folder.name, "sampling": sampled.label, "acquired": num_frames, "factor": factor}
    row |= {"synthetic": synthetic, "seconds": round(cost.seconds, 1), "CPU seconds": round(cost.busy, 1)}
    row |= {"CPU seconds per synthetic frame": round(cost.busy / synthetic, 3), "peak MiB": round(cost.peak_mib or 0)}
    row |= {"machine": machine(), "options": options}
    with atomic(Path(output_dir) / f"cost_{folder.name}_{sampling}_{num_frames}.json") as temporary:
        temporary.write_text(json.dumps(row, indent=2) + "\n")
    print(json.dumps(row, indent=2))
    return row


def _made(folder: str | Path) -> Path:
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    return path


def _write(path: Path, sampling: Sampling, frames: np.ndarray, num_frames: int) -> None:
    """A pullback of so many frames: the given ones forwards, backwards, forwards, ..., the ends not twice."""
    kind = "polar" if sampling.polar else "cartesian"
    info = new_pullback(path, (*frames.shape[:2], num_frames), frames.dtype, PULLBACK_MM, kind)
    last = frames.shape[2] - 1
    with PullbackWriter(path, info, num_frames) as writer:
        for k in np.arange(num_frames):
            writer.write(frames[..., last - abs(last - k % (2 * last))])


def seams_of_methods(
    frames: str,
    output_dir: str,
    methods: str = "Linear=linear,motion_oct",
    samplings: str = "polar_497x1025,cartesian_1024",
    range: str = "101:113",
    factor: int = 6,
    seed: int = 0,
) -> None:
    """Steps at tile borders and across the first A-line, time and memory, at full size; writes `seams.md`.

    Args:
        frames: a pullback as exported.
        output_dir: gets the table.
        methods: see `custom.evaluation.method_grammar`.
        samplings: names of `custom.evaluation.oct_sampling.FULL_SIZE`, separated by commas.
        range: FIRST:LAST, numbers of the frames; every `factor`-th is given.
        factor: dense steps per gap.
        seed: of stochastic methods.

    Raises:
        InputError: no such pullback, frames or method.
    """
    acquired = read_frames(frames, *frame_range(range))
    specs, _ = parse_methods(methods, "oct")
    head = ("Frames", "Method", "at borders", "largest", "elsewhere (99 %)", "first A-line", "CPU s/frame", "MiB")
    rows: list[Sequence[str]] = []
    for name in samplings.split(",") if isinstance(samplings, str) else samplings:
        sampling = FULL_SIZE[name]
        stack = sampling(acquired).transpose(2, 0, 1).astype(np.float32) / 255
        scene = Scene(sampling.label, stack, sampling.polar)
        unknown = [place for place in np.arange(len(stack)) if place % factor]
        rows.append((scene.label, "acquired", *_told(seam_ratios(stack[unknown], ([], []), scene.polar)), "-", "-"))
        for spec in specs:
            networks = Networks()
            network, made, lines = networks(spec.method()), [], (set(), set())
            busy = time.process_time()
            with PeakMemory(networks.device) as memory:
                for first in firsts(len(stack), factor):
                    with watching(network, torch.from_numpy(stack[first])) as seen:
                        made.append(fill_gap(network, scene, factor, first, seed))
                    lines = tuple(old | new for old, new in zip(lines, seen.lines, strict=True))
            made = np.concatenate(made)
            busy = (time.process_time() - busy) / len(made)
            told = _told(seam_ratios(made, tuple(sorted(places) for places in lines), scene.polar))
            rows.append((scene.label, spec.label, *told, f"{busy:.2f}", f"{memory.mib or 0:.0f}"))
            print(*rows[-1], f"rows {sorted(lines[0])}, columns {sorted(lines[1])}", sep=" | ", flush=True)
    lines = ["# Seams at full size", "", f"x{factor}, {machine()}. Steps over the median of the eight lines on either "]
    lines[-1] += "side: 1 is no seam. Memory is the peak above what was held with the network loaded."
    with atomic(_made(output_dir) / "seams.md") as temporary:
        table = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
        temporary.write_text("\n".join([*lines, "", *table]) + "\n", encoding="utf-8")


def _told(ratios: dict[str, float]) -> list[str]:
    return ["-" if np.isnan(value) else f"{value:.2f}" for value in ratios.values()]
