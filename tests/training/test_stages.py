# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging
import shlex
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from custom.errors import InputError
from custom.training.cycle_task import CycleTask
from custom.training.handlers import WarmupEMA
from custom.training.session import Session, inference_command
from custom.training.stages import AutoencoderStage, SupervisedStage


class Noise(Dataset):
    """Triplets of noise."""

    def __init__(self, data, num_draws=4):
        self.data, self.num_draws = data, num_draws

    def __len__(self):
        return self.num_draws

    def __getitem__(self, index):
        return {"image": torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(index))}


@pytest.fixture
def training(tmp_path, networks, monkeypatch):
    """A function that makes a training of two stages anew, as a new process would: (session, stages, networks)."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    scan = tmp_path / "scan.nii"
    scan.write_bytes(b"a scan")

    def make(folder="run", data=None, weights=None, lr=1e-2, device="cpu", **options):
        torch.manual_seed(0)
        autoencoder, network = networks[0]().to(device), nn.Conv2d(3, 1, 3, padding=1).to(device)
        entries = data or [{"image": str(scan), "patient": "P"}]
        session = Session(
            tmp_path / "bundle", tmp_path / folder, tmp_path / folder / "models", device, log_every=1, weights=weights,
            **options,
        )  # fmt: skip
        ema = WarmupEMA(network)
        stages = [
            AutoencoderStage(
                session, 1, Noise(entries), 2, autoencoder, 1e-3, perceptual_weight=0.0, discriminator_channels=4
            ),
            SupervisedStage(
                session, "network", 2, Noise(entries), 2, network, torch.optim.Adam(network.parameters(), lr),
                nn.MSELoss(), {"warmup_steps": 1}, CycleTask(), ema=ema, depends_on=autoencoder,
            ),
        ]  # fmt: skip
        return session, stages, ema.ema_model

    return make


def test_stages_run_in_order_and_the_log_says_which_and_how_to_use_the_weights(training, tmp_path, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO, "custom"):
        session, stages, trained = training()
        session.run(stages, trained)
    told = "\n".join(record.message for record in caplog.records)
    assert told.startswith(f"bundle: loss curves go to {tmp_path / 'run'}, weights to {session.result}")
    assert told.index("stage 1 of 2: autoencoder, 1 epochs") < told.index("stage 2 of 2: network, 2 epochs")
    assert "stage 1 of 2: autoencoder  epoch 1/1" in told and "in this stage, about" in told
    usage = "python -m monai.bundle run --config_file bundle/configs/inference.json --checkpoint run/models/model.pt"
    assert f"\n{usage} --dataset_dir SCANS --output_dir DENSE" in told
    written = sorted(path.relative_to(tmp_path / "run").as_posix() for path in (tmp_path / "run").rglob("*.*"))
    assert written == [
        "autoencoder_loss.csv", "models/model.pt", "models/stages/autoencoder.pt", "models/stages/network.pt",
        "network_loss.csv",
    ]  # fmt: skip
    state = torch.load(session.result, weights_only=True)
    assert all(torch.equal(tensor, trained.state_dict()[name]) for name, tensor in state.items())


def test_a_training_on_other_data_or_options_is_refused_before_any_stage_runs(training, tmp_path):
    session, stages, trained = training()
    session.run(stages, trained)
    before = session.result.read_bytes()
    (tmp_path / "other.nii").write_bytes(b"another")
    (tmp_path / "start.pt").write_bytes(b"weights")
    for change, words in (
        ({"data": [{"image": str(tmp_path / "other.nii"), "patient": "P"}]}, "other data"),
        ({"weights": {"pretrained": str(tmp_path / "start.pt")}}, "weights.pretrained"),
        ({"lr": 5e-3}, "optimizer.lr 0.01, now 0.005"),
        ({"seed": 1}, "seed 0, now 1"),
    ):
        session, stages, trained = training(**change)
        with pytest.raises(InputError, match=words):
            session.run(stages, trained)
        assert session.result.read_bytes() == before
    session, stages, trained = training(lr=5e-3, overwrite=True)
    session.run(stages, trained)
    assert session.result.read_bytes() != before and stages[0].state.epoch == 1


@pytest.mark.parametrize(("attribute", "option"), [("divisor", "--crop_size"), ("cell_size", "--crop_size")])
def test_images_that_the_network_does_not_take_are_refused_before_any_epoch(training, tmp_path, attribute, option):
    session, stages, trained = training()
    setattr(trained, attribute, (24, 24))
    with pytest.raises(InputError, match=rf"^{option}: gives 32, 32, .*: \[24, 24\] and \[48, 48\]$"):
        session.run(stages, trained)
    assert not list((tmp_path / "run").rglob("*.*"))
    setattr(trained, attribute, (16, 16))  # as the shapes of these stages are
    session.run(stages, trained)
    assert session.result.is_file()


def test_a_finished_training_changes_nothing(training, caplog):
    session, stages, trained = training()
    session.run(stages, trained)
    before = session.result.read_bytes()
    with caplog.at_level(logging.INFO, "custom"):
        session, stages, trained = training()
        session.run(stages, trained)
    assert sum("nothing to train" in record.message for record in caplog.records) == 2
    assert session.result.read_bytes() == before


def test_the_line_that_uses_the_weights_repeats_what_was_said_of_the_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = "bundles/calid/configs"
    argv = [
        "monai/bundle/__main__.py", "run", "--config_file",
        f"['{config}/train.json','{config}/paper.json','{config}/multi_gpu_train.json']",
        "--network_def#denoiser#channels", "[8, 16]", "--network_def::autoencoder={}", "--epochs", "3",
    ]  # fmt: skip
    words = shlex.split(inference_command(tmp_path / "bundles" / "calid", tmp_path / "runs" / "model.pt", argv))
    assert words[4:6] == ["--config_file", str([f"{config}/inference.json", f"{config}/paper.json"])]
    assert words[6:8] == ["--checkpoint", "runs/model.pt"]
    assert words[8:12] == ["--network_def#denoiser#channels", "[8, 16]", "--network_def::autoencoder", "{}"]
    assert words[12:] == ["--dataset_dir", "SCANS", "--output_dir", "DENSE"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_stages_train_in_mixed_precision_on_a_gpu(training):
    session, stages, trained = training(device="cuda", num_workers=2)
    session.run(stages, trained)
    assert all(stage.amp and stage.scaler is not None for stage in stages)
    assert torch.load(session.result, weights_only=True)["weight"].dtype == torch.float32


def test_latents_of_a_codec_are_made_in_half_precision_where_the_engine_mixes_it(networks, monkeypatch):
    """Only on CUDA: here it is asked for and must not happen, and the result is float32 either way."""
    task, codec, frames = CycleTask(), networks[1](), torch.rand(2, 3, 1, 32, 32)
    asked = []
    autocast = torch.autocast
    monkeypatch.setattr(torch, "autocast", lambda *a, **k: asked.append((a, k)) or autocast(*a, **k))
    task._engine = SimpleNamespace(amp=True)
    latents = task.encode(codec, frames)
    assert asked == [(("cuda", torch.bfloat16), {"enabled": False})]
    assert latents.dtype == torch.float32 and torch.equal(latents, codec.encode_latents(frames))
