# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The bundles' commands as a user types them, on a phantom and networks small enough for one core.

One training of each bundle, from a foreign folder and without PYTHONPATH, is shared by all tests of this folder.
A test that takes `bundle` is run for every bundle, unless its module names the ones it is about.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import monai.bundle
import pytest


class Commands:
    """Builds and runs `python -m monai.bundle` commands of one bundle.

    Attributes:
        repository: its root.
        name: folder of the bundle.
        network: overrides that make the network tiny, for every config.
        phantom: fields of the phantom's config that make it cheap.
        windows: overrides that fit what is cut from the phantom to it, for training and evaluation.
        fitting: overrides that fit the training to such windows.
        methods: rows of the evaluation's tables; the second is linear interpolation.
        factors: by which the evaluation thins out its windows.
        evaluation: overrides that make the evaluation short.
        takes_phases: whether it takes cines only, all phases of a slice at once.
        patient: the last of the phantom's four patients, a test patient like the one before it.
        paper_sizes: millions of parameters, least and most, of each part of the network at the paper's size.
        paper_iterations: of the denoiser at the paper's size, as (in warm-up, in all).
        epoch_length: iterations of an epoch; both stages have two epochs.
    """

    repository = Path(__file__).resolve().parents[2]
    name: str
    network: Mapping[str, object]
    phantom: Mapping[str, object]
    windows: Mapping[str, object] = {"crop_size": [32, 32]}
    fitting: Mapping[str, object] = {}
    methods: Sequence[str]
    factors: Sequence[str]
    evaluation: Mapping[str, object]
    takes_phases = False
    patient: str
    paper_sizes: Mapping[str, tuple[float, float]]
    paper_iterations: tuple[int, int]
    epoch_length = 3

    @property
    def folder(self) -> Path:
        return self.repository / "bundles" / self.name

    @property
    def configs(self) -> Path:
        return self.folder / "configs"

    def data(self, phantom_dir: Path) -> dict:
        """Overrides for a phantom of four patients: one to train on, one to validate, two to test."""
        fields = {f"phantom#{name}": value for name, value in self.phantom.items()}
        return {"phantom_dir": str(phantom_dir), "phantom_patients": 4, **self.windows, **fields}

    def training(self, folder: Path, phantom_dir: Path) -> dict:
        """Overrides for a tiny training that writes into `folder`."""
        return {
            **self.network,
            **self.data(phantom_dir),
            **self.fitting,
            "ckpt_dir": str(folder / "models"),
            "output_dir": str(folder / "eval"),
            "epoch_length": self.epoch_length,
            "autoencoder_epochs": 2,
            "denoiser_epochs": 2,
            "val_interval": 2,
            "log_every": 1,
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
            timeout=600,
        )  # fmt: skip

    def run(self, config: str | Sequence[str], cwd: Path, **overrides: object) -> subprocess.CompletedProcess:
        return self.execute([sys.executable, *self.arguments(config, overrides)], cwd)

    def run_here(self, config: str, **overrides: object) -> None:
        """The same within this process, on the CPU, which saves the seconds that a new one takes to import MONAI.

        What the command would end with as its exit status, a `SystemExit`, is raised.
        """
        overrides = {"device": "$torch.device('cpu')", **overrides}
        # logging.conf would take the log from pytest.
        monai.bundle.run(config_file=str(self.configs / config), logging_file=False, **overrides)


class CardioInterpCommands(Commands):
    name = "cardiointerp"
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
    phantom = {"num_frames": 14, "num_alines": 64, "num_depths": 64}
    methods = ("Nearest", "Linear", "CardioInterp", "Autoencoder")
    factors = ("2", "4", "6")
    evaluation = {"num_samples": 2, "max_windows_per_pullback": 1}
    patient = "OCT04"
    # LVDM: 549 million; its autoencoder 19.4 million in 3D kernels, of which 2D ones keep a third or less.
    paper_sizes = {"autoencoder": (4, 8), "denoiser": (450, 650)}
    paper_iterations = (60 * 1138 // 20, 60 * 1138)


class CalidCommands(Commands):
    name = "calid"
    network = {
        "network_def#autoencoder#channels": [8, 8, 16],
        "network_def#denoiser#channels": [16, 16],
        "network_def#denoiser#num_res_blocks": 1,
        "network_def#denoiser#attention": [False, True],
        "network_def#denoiser#condition_attention": [False, True],
        "network_def#denoiser#num_head_channels": 8,
        "network_def#denoiser#norm_num_groups": 8,
        "network_def#denoiser#pair_channels": [8, 8, 16],
        "num_inference_steps": 2,
    }
    phantom = {"num_phases": 2, "matrix": 48, "pixel_mm": 3.0, "pitch_mm": 4.0, "extent_mm": 32.0}
    fitting = {"autoencoder_crop_size": [32, 32], "denoiser_batch_size": 2}
    methods = ("Nearest", "Pixel average", "Latent average", "TV-L1 flow", "CaLID", "CaLID+", "Autoencoder")
    factors = ("2",)
    evaluation = {
        "num_samples": 2,
        "max_windows_per_stack": 1,
        "timed_steps": 3,
        "steps": [1, 2],
        "sweep_windows_per_stack": 1,
        "dense_factors": [2],
        "dense_windows_per_stack": 1,
    }
    patient = "CMR04"
    # LDM's kl-f4 has 55 million with its attention, of which a half; the denoiser's width is the notes' (B7).
    paper_sizes = {"autoencoder": (20, 60), "denoiser": (80, 130)}
    # 11,360 subjects in batches of 64; warm-up of 50 epochs.
    paper_iterations = (50 * 178, 500 * 178)


class CalidCineCommands(CalidCommands):
    name = "calid_cine"
    takes_phases = True
    phantom = {**CalidCommands.phantom, "num_phases": 6}
    # More phases are asked for than a heartbeat has: they go round.
    windows = {**Commands.windows, "phases": 8}
    fitting = {**CalidCommands.fitting, "denoiser_batch_size": 1}
    # The autoencoder of the authors' predecessor; the denoiser of the 2D bundle with 3D kernels.
    paper_sizes = {"autoencoder": (4, 8), "denoiser": (200, 300)}
    # Batches of 16.
    paper_iterations = (50 * 710, 500 * 710)


BUNDLES = {commands.name: commands for commands in (CardioInterpCommands, CalidCommands, CalidCineCommands)}


@pytest.fixture(scope="session", params=list(BUNDLES))
def bundle(request):
    return BUNDLES[request.param]()


@pytest.fixture(scope="session")
def first_training(tmp_path_factory):
    """What the tracked training command of a bundle, by name, said and where it worked; each is run once.

    pytest sets a fixture with parameters up anew whenever the parameter changes: `trained` alone would train again.
    """

    @functools.cache
    def train(name):
        bundle, folder = BUNDLES[name](), tmp_path_factory.mktemp(name)
        overrides = bundle.training(folder, folder / "phantom")
        return bundle.run("train.json", folder, **overrides, tracking="mlflow"), folder

    return train


@pytest.fixture(scope="session")
def trained(bundle, first_training):
    """A folder in which the tracked training command has left `phantom`, `models` and `eval`."""
    done, folder = first_training(bundle.name)
    assert done.returncode == 0, done.stdout
    return folder
