# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What an interpolated OCT frame costs: seconds and memory, and how both grow with frames, tiles and batch size.

    python benchmarks/oct_inference.py                              the table: each row in a fresh process
    python benchmarks/oct_inference.py --pullback 3x497x1025,9x497x1025     synthetic files, streamed from disk to disk
    python benchmarks/oct_inference.py --pullback 400x497x1025 --linear     the same without a network: files alone

The network is the one of the bundle's `inference.json`, with the weights of `models/model.pt` if they are there: speed
and memory do not depend on them. The frames are noise.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fire
import numpy as np
import torch
from monai.utils import ensure_tuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.measure import (  # noqa: E402
    Table,
    in_fresh_process,
    load_network,
    machine,
    one_at_a_time,
    peak_mib,
    read_config,
    tiles,
)
from custom.errors import report_input_errors  # noqa: E402
from custom.inferers.gaps import GapInferer  # noqa: E402
from custom.inferers.streaming import Provenance, interpolate_pullback  # noqa: E402
from custom.interpolators.base import Interpolator  # noqa: E402
from custom.interpolators.classical import LinearFrames  # noqa: E402
from custom.scans.pullbacks import PullbackWriter, new_pullback  # noqa: E402

BUNDLE = ROOT / "bundles" / "cardiointerp"
COLUMNS = {
    "frames": "acquired frames",
    "size": "frame size",
    "tiles": "tiles per frame",
    "batch_size": "batch",
    "seconds": "s in all",
    "seconds_per_frame": "s per interpolated frame",
    "idle_mib": "MiB before the first frame",
    "peak_mib": "MiB at most",
}


def main(
    frames: Sequence[int] = (8, 16, 32),
    sizes: Sequence[str] = ("256x256", "256x448", "448x448"),
    batch_sizes: Sequence[int] = (1, 2, 4),
    factor: int = 6,
    pullback: str | None = None,
    linear: bool = False,
    device: str | None = None,
    output: str | None = None,
    config: str | None = None,
    **overrides: Any,
) -> None:
    """Measure, print a Markdown table and its JSON.

    Args:
        frames: numbers of acquired frames, the first of them while the rest varies.
        sizes: frame sizes HxW, likewise.
        batch_sizes: windows per network call, likewise.
        factor: dense steps per gap.
        pullback: FRAMESxHxW, several with commas; instead of the table, such files are written, streamed and measured.
        linear: the average of frames in place of the network, for the cost of reading and writing alone.
        device: cuda if there is one, else cpu.
        output: a file for the JSON.
        config: a bundle config with `network_def`; the bundle's inference.json by default.
        overrides: ids of that config, such as --num_inference_steps 4.
    """
    frames, sizes, batch_sizes = (ensure_tuple(values) for values in (frames, sizes, batch_sizes))
    common = {
        "factor": factor,
        "device": device or ("cuda" if torch.cuda.is_available() else "cpu"),
        "config": str(config or BUNDLE / "configs" / "inference.json"),
        "linear": linear,
        "overrides": overrides,
    }
    if pullback:
        shapes = [shape.split("x", 1) for shape in pullback.split(",")]
        rows = [{"frames": int(n), "size": size, "batch_size": batch_sizes[0], **common} for n, size in shapes]
        measure: Callable[..., dict] = measure_file
    else:
        axes = {"frames": frames, "size": sizes, "batch_size": batch_sizes}
        rows = [row | common for row in one_at_a_time(axes)]
        measure = measure_stream
    place = machine(common["device"])
    print(f"machine: {place}\nnetwork: {common['config']} {overrides or ''}\n", flush=True)
    table = Table(COLUMNS)
    for row in rows:
        table.add(in_fresh_process(measure, **row))
    report = json.dumps({"machine": place, **common, "rows": table.rows}, indent=2)
    print(f"\n```json\n{report}\n```")
    if output:
        Path(output).write_text(report + "\n")


def measure_stream(frames: int, size: str, batch_size: int, factor: int, device: str, **method: Any) -> dict[str, Any]:
    """One row: `frames` frames of noise through `GapInferer.stream`, in this process."""
    network, shape = build_network(device, **method), _parse_size(size)
    generator = torch.Generator().manual_seed(0)
    noise = (torch.rand(1, 1, *shape, generator=generator).to(device) for _ in range(frames))

    def run() -> None:
        for frame in GapInferer(factor, batch_size=batch_size).stream(noise, network):
            frame.mean.cpu()

    return _measured(run, network, device, frames, shape, batch_size, factor)


def measure_file(frames: int, size: str, batch_size: int, factor: int, device: str, **method: Any) -> dict[str, Any]:
    """One row: a uint8 file of `frames` frames, interpolated from disk to disk in this process."""
    network, shape = build_network(device, **method), _parse_size(size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pullback.nii.gz"
        info = new_pullback(path, (*shape, frames), np.uint8, (1.0, 0.00747, 0.2), "polar")
        rng = np.random.default_rng(0)
        with PullbackWriter(path, info, frames) as writer:
            for _ in range(frames):
                writer.write(rng.integers(0, 256, shape, np.uint8))

        def run() -> None:
            inferer = GapInferer(factor, batch_size=batch_size)
            interpolate_pullback(path, folder, network, inferer, Provenance("benchmark", "0"), device)

        return _measured(run, network, device, frames, shape, batch_size, factor)


def build_network(device: str, config: str, linear: bool, overrides: dict[str, Any]) -> Interpolator:
    """The config's `network_def`, with the bundle's weights if there are any; or linear interpolation."""
    if linear:
        return LinearFrames()
    return load_network(read_config(config, overrides), BUNDLE / "models" / "model.pt", device)[0]


def _measured(
    run: Callable[[], None],
    network: Interpolator,
    device: str,
    frames: int,
    shape: tuple[int, int],
    batch_size: int,
    factor: int,
) -> dict[str, Any]:
    idle = peak_mib(device)
    # The first call chooses algorithms and compiles kernels: not part of what a frame costs.
    network.interpolate(torch.rand(1, network.num_neighbours, 1, *shape, device=device), torch.tensor([0.5]))
    start = time.perf_counter()
    run()  # ends with the frames on the CPU, so that nothing is still under way on a GPU
    seconds = time.perf_counter() - start
    return {
        "frames": frames,
        "size": "x".join(map(str, shape)),
        "tiles": tiles(network, shape),
        "batch_size": batch_size,
        "seconds": seconds,
        "seconds_per_frame": seconds / ((frames - 1) * (factor - 1)),
        "idle_mib": idle,
        "peak_mib": peak_mib(device),
    }


def _parse_size(size: str) -> tuple[int, int]:
    height, width = size.split("x")
    return int(height), int(width)


if __name__ == "__main__":
    report_input_errors()
    fire.Fire(main)
