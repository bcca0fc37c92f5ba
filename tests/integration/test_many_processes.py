# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The real inference command as several processes on one folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from custom.scans.provenance import read_sidecar

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
STUDIES = [f"study{k}" for k in range(8)]


def command(folder, output, *launcher, **options):
    config = ROOT / "bundles" / "motion" / "configs" / "inference.json"
    options = {"config_file": config, "dataset_dir": folder, "output_dir": output, "method": "linear", **options}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return [sys.executable, *launcher, "-m", "monai.bundle", "run", *words]


def slurm(task):
    """What SLURM tells a task of an array, as docs/many_studies.md asks for it."""
    said = {"JOB_ID": 4711 + task, "ARRAY_JOB_ID": 4711, "ARRAY_TASK_ID": task, "ARRAY_TASK_COUNT": 2}
    said |= {"CPUS_PER_TASK": 2, "PROCID": 0, "LOCALID": 0, "NODEID": 0, "NTASKS": 1, "NPROCS": 1, "NNODES": 1}
    said |= {"JOB_NODELIST": "node1", "STEP_NODELIST": "node1", "STEP_ID": 0, "RESTART_COUNT": 0}
    return {f"SLURM_{name}": str(value) for name, value in said.items()}


def start(words, folder, **variables):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **variables}
    pipe, errors = subprocess.PIPE, subprocess.STDOUT
    return subprocess.Popen(words, stdout=pipe, stderr=errors, text=True, cwd=folder, env=environment)


def run(words, folder):
    process = start(words, folder)
    told, _ = process.communicate(timeout=900)
    return process.returncode, told


def volumes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "failures.csv"}


@pytest.fixture
def studies(tmp_path):
    """Eight stacks, the last of which is truncated."""
    folder = tmp_path / "in"
    folder.mkdir()
    for k, name in enumerate(STUDIES):
        values = np.random.default_rng(k).integers(0, 900, (40, 30, 8)).astype(np.int16)
        nib.save(nib.Nifti1Image(values, np.diag([1.5, 1.5, 8, 1])), folder / f"{name}.nii.gz")
    broken = folder / f"{STUDIES[-1]}.nii.gz"
    broken.write_bytes(broken.read_bytes()[:2000])
    return folder


def test_two_processes_of_torchrun_do_each_study_once_with_the_bytes_of_one(tmp_path, studies):
    code, told = run(command(studies, tmp_path / "one"), tmp_path)
    assert code == 1 and "1 of 8 scans failed: study7.nii.gz" in told, told
    code, told = run(command(studies, tmp_path / "two", *TORCHRUN), tmp_path)
    assert code == 1, told
    assert volumes(tmp_path / "one") == volumes(tmp_path / "two")
    done = Counter(re.findall(r"INFO (study\d)\.nii\.gz: .* became", told))
    assert done == dict.fromkeys(STUDIES[:-1], 1), told
    table = (tmp_path / "two" / "failures.csv").read_text()
    assert table == (tmp_path / "one" / "failures.csv").read_text()
    assert table.splitlines()[1].startswith("study7.nii.gz,") and len(table.splitlines()) == 2


def test_two_tasks_of_an_array_do_not_fight_with_other_factors_either(tmp_path, studies):
    (studies / f"{STUDIES[-1]}.nii.gz").unlink()
    same = [start(command(studies, tmp_path / "same", factor=k + 2), tmp_path, **slurm(k)) for k in range(2)]
    told = [process.communicate(timeout=900)[0] for process in same]
    assert [process.returncode for process in same] == [0, 0], told
    for name in STUDIES[:-1]:
        made = list((tmp_path / "same").glob(f"{name}_*interp.nii.gz"))
        factors = {read_sidecar(path)["factor"]: nib.load(path).shape[2] for path in made}
        assert factors == {2: 15, 3: 22}, "both factors, each beside its own sidecar"
