# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A simulated biobank: many small studies, some damaged, and everything that goes wrong in a night of many processes.

    python benchmarks/biobank.py --studies 1000 --output_dir runs/biobank

runs the real command on the same studies: alone; as two halves at once; by two processes that share the folder; by two
that are killed at random moments and begin again; onto a disk that is too small, which then grows, and then cannot be
written; and under `torchrun`. Each time nothing may be lost, nothing done twice, nothing be left half
written, and every output must have the bytes that one process makes. What was seen is printed and written as JSON.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import fire
from biobank_parts import command, done_in, failures, make_studies, outputs, run, small_disk, start

PROCESSES = 2
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(PROCESSES)]


def check(name: str, folder: Path, truth: dict[str, bytes], damaged: set[str], *logs: Path) -> dict:
    """Compare an output folder with that of one process; AssertionError where they differ."""
    found, told = outputs(folder), done_in(*logs)
    lost, other = truth.keys() - found.keys(), [key for key in found if found[key] != truth.get(key)]
    twice = [study for study, times in told.items() if times > 1]
    assert not lost, f"{name}: lost {sorted(lost)[:5]}"
    assert not other, f"{name}: differ or are left over {sorted(other)[:5]}"
    assert not twice, f"{name}: done twice {twice[:5]}"
    assert failures(folder) == damaged, f"{name}: failures.csv has {failures(folder) ^ damaged} wrong"
    return {"outputs": len(found) // 2, "failed": len(damaged), "lost": 0, "repeated": 0, "half_written": 0}


def one_process(work: Path, studies: Path, damaged: set[str], count: int, method: str) -> tuple[dict, dict]:
    """The truth: one process does all."""
    log = work / "one.log"
    code, seconds = run(command(studies, work / "one", method), log)
    truth = outputs(work / "one")
    assert code == 1 and len(truth) == 2 * (count - len(damaged)), log.read_text()[-2000:]
    assert failures(work / "one") == damaged and max(done_in(log).values()) == 1
    return truth, {"seconds": round(seconds, 1), "studies_per_hour": round(count / seconds * 3600)}


def two_halves(work: Path, studies: Path, count: int, method: str) -> dict:
    """What two processes can do that know nothing of each other: half of the studies each, at once."""
    begun, processes = time.perf_counter(), []
    for half in range(PROCESSES):
        folder = work / f"half{half}"
        folder.mkdir()
        for path in sorted(studies.iterdir())[half::PROCESSES]:
            os.link(path, folder / path.name)
        processes.append(start(command(folder, work / f"half{half}_out", method), work / f"half{half}.log"))
    for process in processes:
        process.join()
    seconds = time.perf_counter() - begun
    return {"seconds": round(seconds, 1), "studies_per_hour": round(count / seconds * 3600)}


def shared(work: Path, studies: Path, truth: dict, damaged: set[str], count: int, method: str) -> dict:
    """Two processes share the folder."""
    log = work / "shared.log"
    code, seconds = run(command(studies, work / "shared", method), log, PROCESSES)
    assert code == 1, log.read_text()[-2000:]
    seen = check("shared", work / "shared", truth, damaged, log)
    return {**seen, "seconds": round(seconds, 1), "studies_per_hour": round(count / seconds * 3600)}


def torchrun(work: Path, studies: Path, truth: dict, damaged: set[str], method: str) -> dict:
    """The same as `torchrun` starts them, imports included."""
    log = work / "torchrun.log"
    code, seconds = run(command(studies, work / "torchrun", method, TORCHRUN), log)
    assert code == 1, log.read_text()[-2000:]
    return {**check("torchrun", work / "torchrun", truth, damaged, log), "seconds": round(seconds, 1)}


def kills(work: Path, studies: Path, truth: dict, damaged: set[str], method: str, times: int, seed: int) -> dict:
    """An array of processes; one after the other is killed at a random moment of its work and begins again."""
    rng, folder, log = random.Random(seed), work / "kills", work / "kills.log"
    words = command(studies, folder, method)
    processes = [start(words, log) for _ in range(PROCESSES)]
    killed = 0
    while killed < times and any(process.is_alive() for process in processes):
        wanted = len(truth) // 2 * (killed + rng.random()) / (times + 1)
        while len(list(folder.glob("*_interp.nii.gz"))) < wanted and any(p.is_alive() for p in processes):
            time.sleep(0.05)
        time.sleep(rng.random() * 0.2)
        victim = rng.randrange(PROCESSES)
        if processes[victim].is_alive():
            processes[victim].kill()
            processes[victim].join()
            processes[victim] = start(words, log)
            killed += 1
    for process in processes:
        process.join()
    codes = {process.exitcode for process in processes}
    assert codes == {1}, f"exit codes {codes}"  # the damaged studies
    return {**check("kills", folder, truth, damaged, log), "kills": killed}


def full_disk(work: Path, studies: Path, truth: dict, damaged: set[str], method: str) -> dict:
    """A disk with room for half of the outputs; then one that is larger; then one that cannot be written."""
    needed = sum(-(-len(value) // 4096) * 4096 for value in truth.values())
    folder, log = work / "disk", work / "disk.log"
    try:
        with small_disk(folder, needed // 2) as remount:
            words = command(studies, folder / "out", method)
            code, _ = run(words, log, PROCESSES)
            found = outputs(folder / "out")
            assert code == 1 and 0 < len(found) < len(truth), f"exit code {code}, {len(found)} files"
            half = [name for name, value in found.items() if truth.get(name) != value]
            assert not half, f"full disk: half written or left over {half[:5]}"
            volumes = {name for name in found if name.endswith(".nii.gz")}
            assert len(volumes) * 2 == len(found), "full disk: a volume without its sidecar, or the reverse"
            assert "No space left on device" in log.read_text()
            remount(f"size={needed * 4}")
            code, _ = run(words, log, PROCESSES)
            assert code == 1
            seen = check("full disk", folder / "out", truth, damaged, log)
            before = outputs(folder / "out")
            remount("ro")
            code, _ = run(words, work / "read_only.log", PROCESSES)
            told = (work / "read_only.log").read_text()
            assert code == 1 and "cannot be written (Read-only file system)" in told, told[-2000:]
            assert outputs(folder / "out") == before
            return {**seen, "done_before_it_was_full": len(volumes), "read_only": "refused in one line"}
    except (subprocess.CalledProcessError, FileNotFoundError, PermissionError) as error:
        return {"skipped": f"no file system can be mounted here ({error})"}


def main(
    studies: int = 1000, output_dir: str = "runs/biobank", method: str = "linear", num_kills: int = 6, seed: int = 0
) -> None:
    """Run the simulated biobank.

    Args:
        studies: how many, at least 50.
        output_dir: gets everything, several MB per 100 studies; what an earlier run left there is removed.
        method: linear, or motion for the shipped network.
        num_kills: processes that are killed.
        seed: of the studies and of the moments.
    """
    work = Path(output_dir).resolve() / "work"
    shutil.rmtree(work, ignore_errors=True)
    damaged = make_studies(work / "studies", studies, seed)
    seen: dict[str, dict] = {"studies": studies, "damaged": len(damaged), "method": method}
    truth, seen["one process"] = one_process(work, work / "studies", damaged, studies, method)
    steps = {
        "two halves at once": lambda: two_halves(work, work / "studies", studies, method),
        "shared": lambda: shared(work, work / "studies", truth, damaged, studies, method),
        "kills": lambda: kills(work, work / "studies", truth, damaged, method, num_kills, seed),
        "full disk": lambda: full_disk(work, work / "studies", truth, damaged, method),
        "torchrun": lambda: torchrun(work, work / "studies", truth, damaged, method),
    }
    print(f"one process: {seen['one process']}", flush=True)
    for name, step in steps.items():
        seen[name] = step()
        print(f"{name}: {seen[name]}", flush=True)
    sum_of_rates, together = seen["two halves at once"]["studies_per_hour"], seen["shared"]["studies_per_hour"]
    seen["shared_to_sum_of_single_runs"] = round(together / sum_of_rates, 3)
    path = Path(output_dir) / "biobank.json"
    path.write_text(json.dumps(seen, indent=2) + "\n")
    shutil.rmtree(work)
    print(f"nothing lost, nothing repeated, nothing half written; {path}")


if __name__ == "__main__":
    fire.Fire(main)
