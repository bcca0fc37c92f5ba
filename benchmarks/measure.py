# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What the benchmarks share: the machine, a config's network, time and memory, and tables of the results."""

from __future__ import annotations

import csv
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser

from custom.errors import InputError
from custom.files import atomic
from custom.interpolators.base import Interpolator
from custom.weights import load_model


def machine(device: str) -> str:
    """What the numbers are taken on, and how busy it is with other work."""
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((line.split(": ")[1] for line in lines if line.startswith("model name")), processor)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    accelerator = f", {torch.cuda.get_device_name()}" if device.startswith("cuda") else ""
    threads = f"{torch.get_num_threads()} torch threads, torch {torch.__version__}{accelerator}"
    return f"{platform.node()}, {processor}, {cores} cores (load {os.getloadavg()[0]:.1f} at the start), {threads}"


def read_config(config: str | Path, overrides: Mapping[str, Any]) -> ConfigParser:
    """A bundle config with some of its ids changed.

    Args:
        config: path of the JSON file.
        overrides: id -> value, such as `num_inference_steps` or `network_def#denoiser#channels`.

    Raises:
        InputError: no such file, or an id that it does not have.
    """
    if not Path(config).is_file():
        raise InputError(config, "is not there", "give a bundle config with a network_def")
    parser = ConfigParser()
    parser.read_config(str(config))
    unknown = [name for name in overrides if name.split("#")[0] not in parser.config]
    if unknown:
        raise InputError(config, f"has no {', '.join(unknown)}", "see the config's ids, or --help")
    parser.update(dict(overrides))
    return parser


def load_network(parser: ConfigParser, weights: Path, device: str) -> tuple[Interpolator, str]:
    """The config's `network_def` in evaluation mode, and where its weights come from.

    Speed and memory do not depend on the values of weights: without a file, or with one of another network (sizes may
    have been changed), they are random.
    """
    torch.manual_seed(0)
    network = parser.get_parsed_content("network_def")
    source = "random weights of the same size (there is no model.pt)"
    if weights.exists():
        try:
            load_model(network, weights)
            source = "the weights of models/model.pt"
        except InputError:
            source = "random weights (models/model.pt is of other sizes)"
    return network.to(device).eval(), source


def tiles(network: Interpolator, shape: Sequence[int]) -> int:
    """How many tiles the network makes of a frame `(H, W)`."""
    tiler = getattr(network, "tiler", None)
    return 1 if tiler is None else len(tiler.tiles([-(-extent // tiler.cell) for extent in shape]))


def in_fresh_process(function: Callable[..., Any], **arguments: Any) -> Any:
    """What `function` returns in a new process, whose memory is then its own."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # read when tqdm is imported: in the new process
    with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
        return fresh.submit(function, **arguments).result()


def peak_mib(device: str) -> float:
    """This process's largest memory so far: allocated on the GPU if that is the device, else resident."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    if status.exists():
        # Linux hands the parent's peak on to `ru_maxrss` of the child, even of one that runs another program.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def timed_in_turn(
    runs: Mapping[str, Callable[[], Any]], repeats: int, device: str = "cpu", warm_up: bool = True
) -> dict[str, list[float]]:
    """Seconds of several runs taken in turn, so that a machine whose speed drifts is as slow for one as for another.

    Every round has each run once; the next round begins with the next run. Runs of one round may be compared as pairs.

    Args:
        runs: name -> what is timed.
        repeats: rounds that count.
        device: where the runs work; a GPU is waited for.
        warm_up: whether a round comes first that does not count: algorithms are chosen and kernels compiled in it.

    Returns:
        name -> seconds of each round, in order.
    """
    names, seconds = list(runs), {name: [] for name in runs}
    for round_number in range(-1 if warm_up else 0, repeats):
        first = max(round_number, 0) % len(names)
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            runs[name]()
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            if round_number >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def paired_ratio(seconds: Sequence[float], reference: Sequence[float]) -> float:
    """The median over rounds of one run's seconds by another's of the same round."""
    return statistics.median(one / other for one, other in zip(seconds, reference, strict=True))


class Table:
    """Rows under headings, printed as they come.

    Args:
        columns: key of a row -> heading; other keys of a row are not shown, but saved.
    """

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.columns, self.rows = columns, []
        self.lines = ["| " + " | ".join(columns.values()) + " |", "|---" * len(columns) + "|"]
        print("\n".join(self.lines), flush=True)

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep a row and print it."""
        self.rows.append(dict(row))
        self.lines.append("| " + " | ".join(_cell(row[key]) for key in self.columns) + " |")
        print(self.lines[-1], flush=True)

    @property
    def markdown(self) -> str:
        """The table as Markdown."""
        return "\n".join(self.lines) + "\n"

    def write_csv(self, path: Path) -> None:
        """All keys of all rows, in full precision; the file is either whole or absent."""
        keys = list(dict.fromkeys(key for row in self.rows for key in row))
        with atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, keys)
            writer.writeheader()
            writer.writerows(self.rows)


def one_at_a_time(axes: Mapping[str, Iterable[Any]]) -> list[dict[str, Any]]:
    """Rows that vary one axis at a time, all others at their first value; the row of first values comes once."""
    axes = {name: list(values) for name, values in axes.items()}
    first = {name: values[0] for name, values in axes.items()}
    return [first] + [first | {name: value} for name, values in axes.items() for value in values[1:]]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
