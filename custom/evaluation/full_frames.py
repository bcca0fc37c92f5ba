# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Frames at a scanner's own size: the cost of a whole pullback, and seams (see `benchmarks/oct_full_frames.py`)."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from custom.evaluation.bundle_methods import bundle_folder, inference_config
from custom.evaluation.oct_sampling import FULL_SIZE, Sampling, frame_range, read_frames
from custom.evaluation.scan_cost import PULLBACK_MM, run_and_weigh
from custom.evaluation.speed import machine
from custom.files import atomic
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
