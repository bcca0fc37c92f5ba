# Copyright 2026 The CardioInterp Bundles Authors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The bundle's commands as a user types them, on a phantom and networks small enough for one core.

One training, from a foreign folder and without PYTHONPATH, is shared by all tests of this folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

FRAMES = 14


class Commands:
    """Builds and runs `python -m monai.bundle` commands.

    Attributes:
        repository: its root.
        configs: the bundle's configs.
        network: overrides that make the network tiny, for every config.
        epoch_length: iterations of an epoch; both stages have two epochs.
    """

    repository = Path(__file__).resolve().parents[2]
    configs = repository / "bundles" / "cardiointerp" / "configs"
    network = {
        "network_def#autoencoder#channels": 8,
        "network_def#denoiser#channels": [16, 16],
        "network_def#denoiser#num_res_blocks": 1,
        "network_def#denoiser#spatial_attention": [False, True],
        "network_def#denoiser#temporal_attention": [True, True],
        "network_def#denoiser#num_head_channels": 8,
        "network_def#denoiser#norm_num_groups": 8,
        "num_inference_steps": 1,
    }
    epoch_length = 3

    def data(self, phantom_dir: Path) -> dict:
        """Overrides for a phantom of four patients: one to train on, one to validate, two to test."""
        acquisition = {"num_frames": FRAMES, "num_alines": 64, "num_depths": 64}
        fields = {f"phantom#{name}": value for name, value in acquisition.items()}
        return {"phantom_dir": str(phantom_dir), "phantom_patients": 4, "crop_size": [32, 32], **fields}

    def training(self, folder: Path, phantom_dir: Path) -> dict:
        """Overrides for a tiny training that writes into `folder`."""
        return {
            **self.network,
            **self.data(phantom_dir),
            "ckpt_dir": str(folder / "models"),
            "output_dir": str(folder / "eval"),
            "epoch_length": self.epoch_length,
            "autoencoder_epochs": 2,
            "denoiser_epochs": 2,
            "val_interval": 2,
        }

    def arguments(self, config: str | Sequence[str], overrides: Mapping[str, object]) -> list[str]:
        """What follows the interpreter on the command line."""
        files = [str(self.configs / name) for name in ([config] if isinstance(config, str) else config)]
        options = [text for name, value in overrides.items() for text in (f"--{name}", str(value))]
        return ["-m", "monai.bundle", "run", "--config_file", files[0] if len(files) == 1 else str(files), *options]

    @property
    def environment(self) -> dict[str, str]:
        """One thread, no GPU, and nothing of the caller's that leads to this package or to an MLflow server."""
        foreign = ("PYTHONPATH", "MLFLOW_TRACKING_URI")
        kept = {name: value for name, value in os.environ.items() if name not in foreign}
        return {**kept, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

    def execute(self, command: Sequence[str], cwd: Path) -> subprocess.CompletedProcess:
        """Run a command to its end; standard output and error come together in `stdout`."""
        return subprocess.run(
            command, cwd=cwd, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=300,
        )  # fmt: skip

    def run(self, config: str | Sequence[str], cwd: Path, **overrides: object) -> subprocess.CompletedProcess:
        return self.execute([sys.executable, *self.arguments(config, overrides)], cwd)


@pytest.fixture(scope="session")
def bundle():
    return Commands()


@pytest.fixture(scope="session")
def trained(bundle, tmp_path_factory):
    """A folder in which the tracked training command has left `phantom`, `models` and `eval`."""
    folder = tmp_path_factory.mktemp("trained")
    overrides = bundle.training(folder, folder / "phantom")
    done = bundle.run("train.json", folder, **overrides, tracking="mlflow")
    assert done.returncode == 0, done.stdout
    return folder
