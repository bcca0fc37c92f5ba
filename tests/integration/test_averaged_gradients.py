# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Two processes with half of a batch each learn what one learns from the whole: the real commands, with gloo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

BUNDLE = Path(__file__).resolve().parents[2] / "bundles" / "motion"
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
PHANTOM = {"num_phases": 2, "matrix": 48, "pixel_mm": 3.0, "pitch_mm": 4.0, "extent_mm": 32.0}
BATCH = 4
#: Where an iteration ends, each process leaves the gradients that its optimizer used, and the loss of its own share.
KEEP = (
    "$torch.save({'loss': @train#trainer.state.output[0]['loss'].detach(), "
    "'gradients': {name: weight.grad for name, weight in @network.named_parameters()}}, "
    "os.path.dirname(@phantom_dir) + '/' + os.environ.get('RANK', 'whole') + '.pt')"
)

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="this build of torch has no processes")


def train(folder, launcher=(), overlays=(), **options):
    """One iteration of the training command, from the shipped weights."""
    configs = [str(BUNDLE / "configs" / name) for name in ("train.json", *overlays)]
    options = {
        "config_file": configs, "phantom_dir": folder / "phantom", "output_dir": folder / "run", "crop_size": [32, 32],
        "ckpt_dir": folder / "models", "pretrained": BUNDLE / "models" / "model.pt", "phantom_patients": 4,
        "epochs": 1, "epoch_length": 1, "val_interval": 2, "log_every": 1,
        **{f"phantom#{name}": value for name, value in PHANTOM.items()}, **options,
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    foreign = ("PYTHONPATH", "MLFLOW_TRACKING_URI", "RANK", "WORLD_SIZE")
    environment = {name: value for name, value in os.environ.items() if name not in foreign}
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "monai.bundle", "run", *words], cwd=folder, text=True, timeout=600,
        env={**environment, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return [torch.load(path) for path in sorted(folder.glob("*.pt"))]


def test_two_processes_average_to_the_gradients_of_one(tmp_path):
    (tmp_path / "two").mkdir()
    (tmp_path / "one").mkdir()
    ends = [KEEP, "$torch.distributed.destroy_process_group()"]
    first, second = train(tmp_path / "two", TORCHRUN, ["multi_gpu_train.json"], batch_size=BATCH // 2, finalize=ends)
    (tmp_path / "two" / "phantom").rename(tmp_path / "one" / "phantom")
    (whole,) = train(tmp_path / "one", batch_size=BATCH, run=["$@session.run([@train#trainer], @trained)", KEEP])

    assert abs(first["loss"] - second["loss"]) > 1e-4, "each process has its own share"
    torch.testing.assert_close((first["loss"] + second["loss"]) / 2, whole["loss"])
    gradients = whole["gradients"]
    assert len(gradients) > 100 and all(gradient.abs().max() > 0 for gradient in gradients.values())
    scale = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
    for name, gradient in gradients.items():
        assert torch.equal(first["gradients"][name], second["gradients"][name]), name
        assert (first["gradients"][name] - gradient).norm() <= 1e-4 * gradient.norm() + 1e-6 * scale, name
