# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import csv
import subprocess
import sys
import time

import torch
from mlflow import MlflowClient
from monai.bundle import ConfigParser

RESULTS = ("models/model.pt", "eval/autoencoder_loss.csv", "eval/denoiser_loss.csv")


def contents(folder):
    return {name: (folder / name).read_bytes() for name in RESULTS}


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_training_leaves_weights_stages_and_loss_curves(bundle, trained):
    iterations = [str(i + 1) for i in range(2 * bundle.epoch_length)]
    for stage in ("autoencoder", "denoiser"):
        assert [row["iteration"] for row in rows(trained / "eval" / f"{stage}_loss.csv")] == iterations
        assert (trained / "models" / "stages" / f"{stage}.pt").is_file()
    assert [path.name for path in (trained / "models").glob("*.pt")] == ["model.pt"]
    state = torch.load(trained / "models" / "model.pt", weights_only=True)
    for config in ("train.json", "inference.json"):
        parser = ConfigParser(ConfigParser.load_config_file(bundle.configs / config))
        parser.update(bundle.network)
        parser.get_parsed_content("network_def").load_state_dict(state, strict=True)


def test_running_again_trains_nothing_and_changes_nothing(bundle, trained):
    before = contents(trained)
    done = bundle.run("train.json", trained, **bundle.training(trained, trained / "phantom"))
    assert done.returncode == 0 and done.stdout.count("nothing to train") == 2, done.stdout
    assert contents(trained) == before
    assert not (trained / "models" / "stages" / "model_previous.pt").exists()


def test_a_training_killed_within_each_stage_ends_as_if_it_had_not_been(bundle, trained, tmp_path):
    overrides = bundle.training(tmp_path, trained / "phantom")
    for stage in ("autoencoder", "denoiser"):
        kill_within_second_epoch(bundle, tmp_path, overrides, tmp_path / "eval" / f"{stage}_loss.csv")
        assert not (tmp_path / "models" / "model.pt").exists()
    done = bundle.run("train.json", tmp_path, **overrides)
    assert done.returncode == 0 and "denoiser.pt: going on after epoch 1 of 2" in done.stdout, done.stdout
    assert contents(tmp_path) == contents(trained)


def kill_within_second_epoch(bundle, folder, overrides, curve):
    """Start the training and send SIGKILL once the first iteration of the second epoch stands in the loss curve."""
    command = [sys.executable, *bundle.arguments("train.json", overrides)]
    with subprocess.Popen(command, cwd=folder, env=bundle.environment, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 600
        while not curve.is_file() or len(rows(curve)) <= bundle.epoch_length:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
    assert len(rows(curve)) < 2 * bundle.epoch_length


def test_a_wrong_data_folder_is_one_line_and_writes_nothing(bundle, tmp_path):
    done = bundle.run("train.json", tmp_path, dataset_dir="nowhere", ckpt_dir="models", output_dir="eval")
    assert done.returncode == 1 and "Traceback" not in done.stdout, done.stdout
    assert "error: nowhere/datalist.json: no such datalist; prepare" in done.stdout
    assert not list(tmp_path.iterdir())


def test_tracking_leaves_one_finished_run_with_the_curves_of_both_stages(bundle, trained):
    client = MlflowClient(f"sqlite:///{trained / 'eval' / 'mlruns.db'}")
    (experiment,) = [experiment for experiment in client.search_experiments() if experiment.name != "Default"]
    (run,) = client.search_runs(experiment.experiment_id)
    assert run.info.status == "FINISHED"
    assert experiment.name == bundle.configs.parent.name and run.info.run_name == f"{experiment.name} on phantom"
    assert {"seed", "crop_size", "amp", "network_def"} <= run.data.params.keys()
    artifacts = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert {"autoencoder_loss.csv", "denoiser_loss.csv", "loss_curves.png", "README.md"} <= artifacts
    assert any(name.startswith("config_") for name in artifacts)
    for metric, stage in (("autoencoder_loss", "autoencoder"), ("train_loss", "denoiser")):
        history = client.get_metric_history(run.info.run_id, metric)
        expected = [float(row["loss"]) for row in rows(trained / "eval" / f"{stage}_loss.csv")]
        assert [point.value for point in sorted(history, key=lambda point: point.step)] == expected
    assert 0 < run.data.metrics["val_psnr"] < 60
