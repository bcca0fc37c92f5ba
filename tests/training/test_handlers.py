# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging
import os

import pytest
import torch
from ignite.engine import Events
from monai.engines import Trainer
from torch import nn

from custom.errors import InputError
from custom.training.handlers import WarmupEMA
from custom.training.loss_log import LossCurve, LossReader, StopOnNan, loss_terms
from custom.training.progress_log import ProgressLog
from custom.training.stage_checkpoint import StageCheckpoint


class Counter(Trainer):
    """One iteration adds 1 to a weight; the loss is `1 / iteration`."""

    def __init__(self, network, handlers, max_epochs=2, length=3, loss=None):
        super().__init__("cpu", max_epochs, [0] * length, handlers=handlers, decollate=False)
        self.network, self.loss = network, loss

    def _iteration(self, engine, batchdata):
        with torch.no_grad():
            self.network.weight += 1
        return {"loss": self.loss or 1 / engine.state.iteration, "image": torch.zeros(2, 2)}


def linear():
    network = nn.Linear(1, 1)
    nn.init.zeros_(network.weight)
    return network


def checkpoint(path, network, **options):
    return StageCheckpoint(path, {"network": network}, **options)


def test_finished_stage_is_restored_and_skipped_with_one_line(tmp_path, caplog):
    path = tmp_path / "stages" / "a.pt"
    network = linear()
    Counter(network, [checkpoint(path, network)]).run()
    assert [f.name for f in path.parent.iterdir()] == ["a.pt"]
    written = path.read_bytes()
    network = linear()
    with caplog.at_level(logging.INFO, "custom"):
        Counter(network, [checkpoint(path, network)]).run()
    assert network.weight.item() == 6 and path.read_bytes() == written
    assert [r.message for r in caplog.records] == ["a.pt: all 2 epochs are done, nothing to train"]
    longer = Counter(network, [checkpoint(path, network)], max_epochs=5)
    longer.run()
    assert network.weight.item() == 15 and longer.state.epoch == 5


def test_saves_after_all_other_handlers_of_the_epoch(tmp_path):
    network = linear()
    trainer = Counter(network, [checkpoint(tmp_path / "a.pt", network)], max_epochs=1)

    @trainer.on(Events.EPOCH_COMPLETED)
    def late_change():
        with torch.no_grad():
            network.weight.fill_(42)

    trainer.run()
    assert torch.load(tmp_path / "a.pt", weights_only=True)["objects"]["network"]["weight"].item() == 42


def test_interval_includes_the_last_epoch(tmp_path):
    network, epochs = linear(), []
    handler = checkpoint(tmp_path / "a.pt", network, interval_epochs=2)
    trainer = Counter(network, [handler], max_epochs=5)
    trainer.run()
    assert torch.load(tmp_path / "a.pt", weights_only=True)["epoch"] == 5
    (tmp_path / "a.pt").unlink()
    trainer = Counter(network, [checkpoint(tmp_path / "a.pt", network, interval_epochs=2)], max_epochs=5)
    trainer.add_event_handler(Events.EPOCH_STARTED, lambda e: epochs.append((tmp_path / "a.pt").is_file()))
    trainer.run()
    assert epochs == [False, False, True, True, True]


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda path: Counter(n := nn.Linear(2, 1), [checkpoint(path, n)]), "size mismatch for weight"),
        (lambda path: Counter(n := linear(), [StageCheckpoint(path, {"other": n})]), "it holds network"),
        (lambda path: Counter(n := linear(), [checkpoint(path, n)], max_epochs=9, length=4), "3 iterations per epoch"),
    ],
)
def test_checkpoint_of_another_training_is_refused(tmp_path, change, words):
    path, network = tmp_path / "a.pt", linear()
    Counter(network, [checkpoint(path, network)]).run()
    with pytest.raises(InputError, match=words) as caught:
        change(path).run()
    message = str(caught.value)
    assert message.startswith(str(path)) and "--ckpt_dir" in message and "\n" not in message


def test_checkpoint_that_builds_on_other_weights_is_refused(tmp_path):
    path, base, network = tmp_path / "denoiser.pt", linear(), linear()
    Counter(network, [checkpoint(path, network, depends_on=base)]).run()
    Counter(network, [checkpoint(path, network, depends_on=base)]).run()
    nn.init.ones_(base.weight)
    with pytest.raises(InputError, match="stage before it has changed"):
        Counter(network, [checkpoint(path, network, depends_on=base)]).run()


def test_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "a.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="a.pt: is damaged"):
        Counter(network := linear(), [checkpoint(path, network)]).run()


def test_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    path, network = tmp_path / "a.pt", linear()
    Counter(network, [checkpoint(path, network)]).run()
    old = path.read_bytes()

    def disk_full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(InputError, match="No space left"):
        Counter(network, [checkpoint(path, network)], max_epochs=3).run()
    assert path.read_bytes() == old and [f.name for f in tmp_path.iterdir()] == ["a.pt"]


def test_loss_curve_drops_rows_that_are_run_again(tmp_path):
    path = tmp_path / "loss.csv"
    path.write_text("epoch,iteration,loss\r\n1,1,0.5\r\n1,2,0.25\r\n1,3,0.1\r\n2,4,9.0\r\n2,5,9.")
    trainer = Counter(linear(), [LossReader(2, [LossCurve(path)])])
    trainer.add_event_handler(Events.STARTED, lambda e: e.state.__dict__.update(epoch=1, iteration=3))
    trainer.run()
    lines = path.read_text().split()
    assert lines[:4] == ["epoch,iteration,loss", "1,1,0.5", "1,2,0.25", "1,3,0.1"]
    assert lines[4:] == ["2,4,0.25", "2,5,0.2", f"2,6,{1 / 6}"]
    Counter(linear(), [LossReader(2, [LossCurve(path)])], max_epochs=1).run()  # from the start: a new curve
    assert path.read_text().split() == ["epoch,iteration,loss", "1,1,1.0", "1,2,0.5", f"1,3,{1 / 3}"]


def test_progress_lines(caplog):
    with caplog.at_level(logging.INFO, "custom"):
        Counter(linear(), [LossReader(2, [ProgressLog("denoiser", every=2)])]).run()
    lines = [r.message for r in caplog.records]
    assert [line.split("iteration ")[1].split()[0] for line in lines] == ["1/6", "2/6", "4/6", "6/6"]
    assert lines[2].startswith("denoiser  epoch 2/2  iteration 4/6  loss 0.2917  ") and "s/it" in lines[2]
    assert lines[-1].endswith("0:00:00 left")


def test_losses_are_read_together_and_all_reach_the_curve(tmp_path, monkeypatch):
    """Between readings nothing asks a tensor for its value, which on a GPU would make the host wait for it."""
    copies = []
    stack = torch.stack
    monkeypatch.setattr(torch, "stack", lambda tensors: copies.append(len(tensors)) or stack(tensors))
    path = tmp_path / "loss.csv"
    network = linear()
    trainer = Counter(network, [LossReader(100, [LossCurve(path)])], max_epochs=2, length=5)
    kept = trainer._process_function
    trainer._process_function = lambda engine, batch: [
        {"loss": torch.tensor(1 / engine.state.iteration), **({} if kept(engine, batch) is None else {"l1": 0.5})}
    ]
    trainer.run()
    assert copies == [1, 4, 5]  # the first iteration of the run, and each epoch's end
    lines = path.read_text().split()
    assert lines[0] == "epoch,iteration,loss,l1" and len(lines) == 11
    assert [float(line.split(",")[2]) for line in lines[1:]] == [float(torch.tensor(1 / i)) for i in range(1, 11)]


def test_progress_of_one_stage_among_others(caplog):
    progress = ProgressLog("denoiser", every=3)
    progress.place, progress.later = "stage 1 of 2", 600
    with caplog.at_level(logging.INFO, "custom"):
        Counter(linear(), [LossReader(3, [progress])]).run()
    last = caplog.records[-1].message
    assert last.startswith("stage 1 of 2: denoiser  epoch 2/2  iteration 6/6") and "0:00:00 left in this stage" in last
    assert last.endswith(" in all")


def test_loss_terms_of_plain_and_decollated_output():
    output = {"loss": torch.tensor(0.5), "l1": 0.25, "image": torch.zeros(2, 3), "name": "x"}
    assert loss_terms(output) == loss_terms([output, output]) == {"loss": 0.5, "l1": 0.25}


def test_nan_fails_the_stage_and_is_not_saved(tmp_path):
    network = linear()
    trainer = Counter(
        network, [checkpoint(tmp_path / "a.pt", network), LossReader(5, [StopOnNan()])], loss=float("nan")
    )
    with pytest.raises(FloatingPointError, match="iteration 1"):
        trainer.run()
    assert not (tmp_path / "a.pt").exists()


def test_ema_follows_the_warm_up(tmp_path):
    network = linear()
    ema = WarmupEMA(network, decay=0.25)
    Counter(network, [ema], max_epochs=1).run()
    expected = 0.0
    for n in (1, 2, 3):
        decay = min(0.25, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * n
    assert ema.ema_model.weight.item() == pytest.approx(expected)
    assert network.weight.item() == 3 and not ema.ema_model.weight.requires_grad
