# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import csv
import shutil
import sys
from importlib.util import find_spec

import pytest
import torch
from monai.bundle import ConfigParser

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or find_spec("torch.distributed.run") is None,
    reason="this build of torch has no torchrun",
)


def test_two_processes_train_both_stages_and_one_writes(bundle, trained, tmp_path):
    phantom_dir = tmp_path / "phantom"
    shutil.copytree(trained / "phantom", phantom_dir, ignore=shutil.ignore_patterns(f"{bundle.patient}*"))
    overrides = bundle.training(tmp_path, phantom_dir)
    # Before the processes part, each of them leaves its weights.
    keep = "$torch.save(@network.state_dict(), @output_dir + '/rank' + str(@rank) + '.pt')"
    overrides["finalize"] = [keep, "$torch.distributed.destroy_process_group()"]
    arguments = bundle.arguments(["train.json", "multi_gpu_train.json"], overrides)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = bundle.execute([*torchrun, *arguments], tmp_path)
    assert done.returncode == 0, done.stdout

    assert (phantom_dir / f"{bundle.patient}.nii.gz").is_file(), (
        "the processes make what is missing of the phantom, in turn"
    )
    for stage in ("autoencoder", "denoiser"):
        last = f"{stage}  epoch 2/2  iteration {2 * bundle.epoch_length}/"
        assert done.stdout.count(last) == 1, "one process tells"
        with (tmp_path / "eval" / f"{stage}_loss.csv").open(newline="") as file:
            iterations = [int(row["iteration"]) for row in csv.DictReader(file)]
        assert iterations == list(range(1, 2 * bundle.epoch_length + 1)), "each process has a whole epoch of its own"
    assert done.stdout.count("val_psnr best value") == 1
    assert sorted(path.name for path in (tmp_path / "models").rglob("*.pt")) == [
        "autoencoder.pt", "denoiser.pt", "model.pt",
    ]  # fmt: skip

    parser = ConfigParser(ConfigParser.load_config_file(bundle.configs / "inference.json"))
    parser.update(bundle.network)
    state = torch.load(tmp_path / "models" / "model.pt", weights_only=True)
    parser.get_parsed_content("network_def").load_state_dict(state, strict=True)
    first, second = (torch.load(tmp_path / "eval" / f"rank{rank}.pt") for rank in range(2))
    assert all(torch.equal(first[name], second[name]) for name in state), "they saw other windows, yet are of one mind"
