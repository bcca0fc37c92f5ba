# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Parts of `benchmarks/biobank.py`: studies, the command as processes, what is found afterwards, a small disk."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.process import BaseProcess as Process
from pathlib import Path

import monai.bundle
import nibabel as nib
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
DAMAGED_EVERY = 50
"""One study in so many is truncated."""
_DONE = re.compile(r"INFO (\S+?): \d+ slices .* became")


def make_studies(folder: Path, count: int, seed: int = 0) -> set[str]:
    """Small cardiac stacks of uneven sizes; returns the names of the damaged ones."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    damaged = set()
    for k in range(count):
        path = folder / f"study{k:05d}.nii.gz"
        shape = (int(rng.integers(20, 40)), 24, int(rng.integers(5, 9)))
        values = rng.integers(0, 900, shape).astype(np.int16)
        nib.save(nib.Nifti1Image(values, np.diag([1.5, 1.5, 8.0, 1.0])), path)
        if k % DAMAGED_EVERY == DAMAGED_EVERY // 2:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            damaged.add(path.name)
    return damaged


def command(studies: Path, output: Path, method: str, launcher: list[str] | None = None) -> list[str]:
    """The command that interpolates a folder, as a user gives it."""
    config = ROOT / "bundles" / "motion" / "configs" / "inference.json"
    options = {"config_file": config, "dataset_dir": studies, "output_dir": output, "factor": 3}
    options |= {} if method == "motion" else {"method": method}
    words = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return [sys.executable, *(launcher or []), "-m", "monai.bundle", "run", *words]


def start(words: list[str], log: Path) -> Process:
    """Start a command as a fork of this process, which has imported everything: what is timed is work, not imports."""
    process = get_context("fork").Process(target=_command_in_fork, args=(words, log))
    process.start()
    return process


def _command_in_fork(words: list[str], log: Path) -> None:
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(log.parent)
    sys.argv = ["monai.bundle", *words[words.index("run") :]]
    options = {name.removeprefix("--"): value for name, value in zip(sys.argv[2::2], sys.argv[3::2], strict=True)}
    try:
        monai.bundle.run(**options | {"factor": int(options["factor"])})
    except SystemExit as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(error.code if isinstance(error.code, int) else 1)
    os._exit(0)


def run(words: list[str], log: Path, processes: int = 1) -> tuple[int, float]:
    """Run a command to its end, as so many processes at once: the worst exit code, and seconds."""
    begun = time.perf_counter()
    if "torch.distributed.run" in words:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        with open(log, "ab") as file:
            code = subprocess.run(words, stdout=file, stderr=subprocess.STDOUT, env=environment, cwd=log.parent)
        return code.returncode, time.perf_counter() - begun
    started = [start(words, log) for _ in range(processes)]
    for process in started:
        process.join()
    return max(abs(process.exitcode) for process in started), time.perf_counter() - begun


def outputs(folder: Path) -> dict[str, bytes]:
    """Every file of an output folder but the table of failures."""
    found = (path for path in sorted(folder.iterdir()) if path.name != "failures.csv")
    return {path.name: path.read_bytes() if path.is_file() else b"a folder" for path in found}


def failures(folder: Path) -> set[str]:
    """Names in the table of failures."""
    path = folder / "failures.csv"
    return {row["scan"] for row in csv.DictReader(path.read_text().splitlines())} if path.is_file() else set()


def done_in(*logs: Path) -> Counter:
    """How often each study was done, by what the processes told."""
    return Counter(match for log in logs for match in _DONE.findall(log.read_text(errors="replace")))


@contextmanager
def small_disk(folder: Path, size: int):
    """A file system of so many bytes at a folder; `grow()` makes it large enough, `lock()` read-only."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)

    def again(option: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)

    try:
        yield again
    finally:
        subprocess.run(["umount", str(folder)], check=True)
