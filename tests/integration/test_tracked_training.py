# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What `--tracking mlflow` leaves of a training, read back as a user of MLflow reads it, with and without a folder."""

from __future__ import annotations

import json
from pathlib import Path

import monai.bundle
import pytest
import torch
from mlflow import MlflowClient

from custom.training.tracking import STRUCTURE

BUNDLE = Path(__file__).resolve().parents[2] / "bundles" / "motion"
PHANTOM = {"num_phases": 2, "matrix": 48, "pixel_mm": 3.0, "pitch_mm": 4.0, "extent_mm": 32.0}


@pytest.fixture
def train(tmp_path, monkeypatch):
    """One iteration, its validation and all that ends a training, in a folder of no importance."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def run(**options):
        monai.bundle.run(
            config_file=str(BUNDLE / "configs" / "train.json"), logging_file=False, tracking="mlflow", epochs=1,
            epoch_length=1, val_interval=1, val_windows=1, batch_size=1, crop_size=[32, 32], phantom_patients=4,
            device="$torch.device('cpu')", **{f"phantom#{name}": value for name, value in PHANTOM.items()}, **options,
        )  # fmt: skip

    return run


def test_a_run_is_named_after_bundle_and_data_and_holds_options_and_artifacts(train, tmp_path):
    hearts = tmp_path / "hearts"
    train(phantom_dir=str(hearts))
    train(dataset_dir=str(hearts), output_dir=str(tmp_path / "out"), seed=7)
    options = json.loads((BUNDLE / "configs" / "train.json").read_text()).keys() - STRUCTURE
    for output, data, seed in ((tmp_path / "runs" / "motion", "phantom", "0"), (tmp_path / "out", "hearts", "7")):
        client = MlflowClient(f"sqlite:///{output / 'mlruns.db'}")
        experiment = client.get_experiment_by_name("motion")
        (run,) = client.search_runs(experiment.experiment_id)
        assert (run.info.run_name, run.info.status) == (f"motion on {data}", "FINISHED")
        assert options <= run.data.params.keys() and run.data.params["seed"] == seed
        assert run.data.params["pretrained"] == "null" and run.data.params["crop_size"] == "[32, 32]"
        assert run.data.metrics.keys() >= {"train_loss", "val_psnr"}
        (config,) = output.glob("config_*.json")
        wanted = {config.name, "network_loss.csv", "loss_curves.png", "README.md"}
        assert {item.path for item in client.list_artifacts(run.info.run_id)} == wanted
        fetched = client.download_artifacts(run.info.run_id, config.name, str(tmp_path))
        assert json.loads(Path(fetched).read_text())["epochs"] == 1
        assert torch.load(output / "models" / "model.pt", weights_only=True)
