# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A stage is gone on from only by what made it. How it is saved and restored: `test_handlers.py`."""

from __future__ import annotations

import logging

import pytest
import torch
from ignite.engine import Events
from monai.engines import Trainer
from monai.handlers import LrScheduleHandler
from monai.optimizers import WarmupCosineSchedule
from torch import nn

from custom.errors import InputError
from custom.training.stage_checkpoint import StageCheckpoint

MADE_BY = {"code": "0", "data": {"scans": 2, "sha256": "a"}, "lr": 0.1}


class Stage(Trainer):
    """A stage of one weight, 3 iterations per epoch, made anew as a new process would."""

    def __init__(self, folder, epochs=2, made_by=MADE_BY, overwrite=False, schedule=True, base=None):
        self.network = nn.Linear(1, 1)
        self.rates = []  # of every iteration
        optimizer = torch.optim.SGD(self.network.parameters(), 0.1)
        saved, handlers = {"network": self.network, "optimizer": optimizer}, []
        if schedule:
            saved["schedule"] = WarmupCosineSchedule(optimizer, 1, 3 * epochs)
            handlers = [LrScheduleHandler(saved["schedule"], print_lr=False, epoch_level=False)]
        self.checkpoint = StageCheckpoint(
            folder / "stages" / "a.pt", saved, depends_on=base, made_by=made_by, overwrite=overwrite
        )
        self.optimizer = optimizer
        super().__init__("cpu", epochs, [0] * 3, handlers=[self.checkpoint, *handlers], decollate=False)

    def _iteration(self, engine, batch):
        self.rates.append(self.optimizer.param_groups[0]["lr"])
        return {"loss": 0.0}

    def run(self, until=None):
        @self.on(Events.EPOCH_STARTED)
        def stop(engine):
            if engine.state.epoch == until:
                raise KeyboardInterrupt

        try:
            super().run()
        except KeyboardInterrupt:
            pass
        return self.rates


def told(stage):
    with pytest.raises(InputError) as caught:
        stage.run()
    with pytest.raises(InputError):
        stage.checkpoint.check()
    message = str(caught.value)
    assert not stage.rates and "\n" not in message and "--overwrite true" in message and "--ckpt_dir" in message
    return message


def test_the_same_stage_is_finished_or_gone_on_from(tmp_path):
    whole = Stage(tmp_path / "whole", 4).run()
    rates = Stage(tmp_path, 4).run(until=3)
    second = Stage(tmp_path, 4)
    second.checkpoint.check()
    assert rates + second.run() == pytest.approx(whole) and len(rates) == 6
    assert Stage(tmp_path, 4).run() == []


@pytest.mark.parametrize("epochs", [4, 1])
@pytest.mark.parametrize("until", [None, 2])
def test_another_number_of_epochs_does_not_bend_a_schedule(tmp_path, epochs, until):
    """Before, the rate climbed back to its peak after a finished schedule, or the old schedule was kept in silence."""
    Stage(tmp_path, 3).run(until)
    message = told(Stage(tmp_path, epochs))
    assert f"t_total 9, now {3 * epochs}" in message and f"after {3 if until is None else 1} epochs" in message
    rates = Stage(tmp_path, epochs, overwrite=True).run()
    assert len(rates) == 3 * epochs and max(rates) == pytest.approx(0.1)
    after_peak = rates[rates.index(max(rates)) :]
    assert sorted(after_peak, reverse=True) == after_peak, "the rate never rises after its warm-up"


def test_without_a_schedule_a_stage_may_be_extended(tmp_path):
    Stage(tmp_path, 2, schedule=False).run()
    assert len(Stage(tmp_path, 5, schedule=False).run()) == 9


@pytest.mark.parametrize(
    "change, words",
    [
        ({"data": {"scans": 2, "sha256": "b"}}, "made otherwise (other data)"),
        ({"lr": 0.2}, "lr 0.1, now 0.2"),
        ({"code": "1", "data": {}}, "other data; code 0, now 1"),
    ],
)
def test_a_stage_made_by_something_else_is_refused_or_overwritten(tmp_path, change, words, caplog):
    Stage(tmp_path).run()
    path = tmp_path / "stages" / "a.pt"
    written = path.read_bytes()
    assert words in told(Stage(tmp_path, made_by=MADE_BY | change))
    assert path.read_bytes() == written
    anew = Stage(tmp_path, made_by=MADE_BY | change, overwrite=True)
    anew.checkpoint.check()
    with caplog.at_level(logging.INFO, "custom"):
        assert len(anew.run()) == 6
    assert words in caplog.text and "trained anew" in caplog.text
    # Overwritten once, it is this stage's own: the same command goes on instead of starting again.
    assert Stage(tmp_path, made_by=MADE_BY | change, overwrite=True).run() == []


def test_overwriting_begins_with_untouched_weights(tmp_path):
    first = Stage(tmp_path)
    nn.init.constant_(first.network.weight, 7)
    first.run()
    other = Stage(tmp_path, made_by={"lr": 5}, overwrite=True)
    nn.init.constant_(other.network.weight, 1)
    other.run()
    assert other.network.weight.item() == 1


def test_a_stage_that_does_not_say_what_made_it_is_refused(tmp_path):
    Stage(tmp_path, made_by=None).run()
    assert "does not say what made it" in told(Stage(tmp_path))
    assert Stage(tmp_path, made_by=None).run() == []


def test_another_earlier_stage_is_refused_or_overwritten(tmp_path):
    base = nn.Linear(1, 1)
    Stage(tmp_path, base=base).run()
    assert Stage(tmp_path, base=base).run() == []
    nn.init.ones_(base.weight)
    with pytest.raises(InputError, match="stage before it has changed.*--overwrite true"):
        Stage(tmp_path, base=base).run()
    assert len(Stage(tmp_path, base=base, overwrite=True).run()) == 6


@pytest.mark.parametrize("content", [b"not a checkpoint", {"epoch": 3}, [1]])
def test_a_file_that_is_no_stage_is_named_and_may_be_overwritten(tmp_path, content):
    path = tmp_path / "stages" / "a.pt"
    path.parent.mkdir()
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(InputError, match="a.pt: is (damaged|not a stage)"):
        Stage(tmp_path).run()
    assert len(Stage(tmp_path, overwrite=True).run()) == 6
    assert Stage(tmp_path).run() == []
