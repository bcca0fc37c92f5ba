# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy
import math

import pytest
import torch
from ignite.engine import Events
from monai.handlers import LrScheduleHandler, from_engine
from monai.losses import PatchAdversarialLoss
from monai.networks.nets import PatchDiscriminator
from torch import nn

from custom.training.autoencoder_trainer import AutoencoderTrainer
from custom.training.handlers import WarmupEMA
from custom.training.loss_log import LossCurve, LossReader
from custom.training.losses import adaptive_weight, hinge_discriminator_loss, hinge_generator_loss, kl_divergence
from custom.training.stage_checkpoint import StageCheckpoint


def test_hinge_losses_against_hand_computation():
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 1.5])
    # real: 0, 0.5, 2 -> 2.5 / 3; fake: 0, 1, 2.5 -> 3.5 / 3
    assert hinge_discriminator_loss(real, fake).item() == pytest.approx(0.5 * (2.5 / 3 + 3.5 / 3))
    assert hinge_generator_loss(fake).item() == pytest.approx(0.5)


def test_monai_hinge_saturates():
    """Why MONAI's hinge is not used: when it no longer squashes scores, our own can go."""
    loss = PatchAdversarialLoss(criterion="hinge")
    confident = loss(torch.tensor([5.0]), target_is_real=True, for_discriminator=True)
    assert 0 < confident.item() == pytest.approx(1 - math.tanh(5.0), rel=1e-2)


def test_kl_of_a_frame():
    mean, log_variance = torch.full((2, 3, 4, 5, 6), 2.0), torch.full((2, 3, 4, 5, 6), 1.0)
    assert kl_divergence(mean, log_variance).item() == pytest.approx(120 * 0.5 * (4 + math.e - 1 - 1), rel=1e-6)


def test_adaptive_weight_is_the_ratio_of_gradient_norms():
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    shared = weight * torch.tensor([3.0, 4.0])
    assert adaptive_weight(2 * shared.sum(), shared[0], weight).item() == pytest.approx(10 / 3, rel=1e-3)
    assert adaptive_weight(1e9 * shared.sum(), shared[0], weight).item() == 1e4
    assert adaptive_weight(shared.sum() * torch.inf, shared[0] * torch.inf, weight).item() == 0.0
    tiny = adaptive_weight(2e-6 * shared.sum(), 1e-6 * shared[0], weight)
    assert adaptive_weight(2e-6 * shared.sum(), 1e-6 * shared[0], weight, loss_scale=65536.0).item() == tiny.item()
    assert weight.grad is None


class CpuScaler:
    """Puts a loss scaler where MONAI has one under mixed precision on CUDA."""

    def attach(self, engine):
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine):
        engine.scaler = torch.amp.GradScaler("cpu", growth_interval=2)


class Session:
    """Everything of stage 1, made anew as a new process would."""

    def __init__(self, folder, loader, autoencoder, max_epochs, scaled=False, **options):
        torch.manual_seed(0)
        self.autoencoder = autoencoder
        self.discriminator = PatchDiscriminator(2, 4, 1, num_layers_d=1)
        self.optimizer = torch.optim.Adam(autoencoder.parameters(), 1e-2)
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), 1e-2)
        self.schedule = torch.optim.lr_scheduler.LinearLR(self.optimizer, 0.1, total_iters=8)
        self.ema = WarmupEMA(autoencoder)
        saved = {
            "autoencoder": autoencoder,
            "discriminator": self.discriminator,
            "optimizer": self.optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
            "schedule": self.schedule,
            "ema": self.ema.ema_model,
        }
        handlers = [
            *([CpuScaler()] if scaled else []),
            StageCheckpoint(folder / "stages" / "autoencoder.pt", saved),
            LrScheduleHandler(self.schedule, print_lr=False, epoch_level=False),
            self.ema,
            LossReader(2, [LossCurve(folder / "loss.csv")]),
        ]
        self.trainer = AutoencoderTrainer(
            "cpu", max_epochs, loader, autoencoder, self.optimizer, self.discriminator, self.discriminator_optimizer,
            perceptual_weight=0.0, latent_noise_std=0.2, train_handlers=handlers, **options,
        )  # fmt: skip

    def states(self):
        modules = (self.autoencoder, self.discriminator, self.ema.ema_model)
        return [tensor.clone() for module in modules for tensor in module.state_dict().values()]


def test_killed_and_resumed_equals_uninterrupted(tmp_path, make_loader, networks):
    options = {"adversarial_start": 4, "kl_weight": 1e-6}
    start = networks[0]()
    whole = Session(tmp_path / "whole", make_loader(), copy.deepcopy(start), 4, **options)
    torch.manual_seed(1)  # the global generator must not matter
    whole.trainer.run()
    first = Session(tmp_path / "parts", make_loader(), copy.deepcopy(start), 4, **options)

    def kill(engine):
        if engine.state.iteration == 8:  # in the middle of epoch 3 of 3 iterations each
            raise KeyboardInterrupt

    first.trainer.add_event_handler(Events.ITERATION_COMPLETED, kill)
    with pytest.raises(KeyboardInterrupt):
        first.trainer.run()

    second = Session(tmp_path / "parts", make_loader(), networks[0](), 4, **options)
    second.trainer.run()
    assert second.trainer.state.epoch == 4
    for a, b in zip(whole.states(), second.states(), strict=True):
        assert torch.equal(a, b)
    curve = (tmp_path / "whole" / "loss.csv").read_text()
    assert (tmp_path / "parts" / "loss.csv").read_text() == curve
    rows = [line.split(",") for line in curve.splitlines()]
    names = ["loss", "l1", "lpips", "kl", "adversarial", "adversarial_weight", "discriminator"]
    assert rows[0] == ["epoch", "iteration", *names] and len(rows) == 13
    assert float(rows[4][-1]) == 0.0 and float(rows[5][-1]) > 0.0  # the adversary joins at iteration 5


def test_loss_scaler_is_used_once_per_iteration_and_resumed(tmp_path, make_loader, networks):
    start = networks[0]()
    whole = Session(tmp_path / "whole", make_loader(), copy.deepcopy(start), 3, scaled=True)
    whole.trainer.run()
    assert whole.trainer.scaler.get_scale() == 2.0 ** (16 + 9 // 2)
    for epochs in (1, 3):
        parts = Session(tmp_path / "parts", make_loader(), copy.deepcopy(start), epochs, scaled=True)
        parts.trainer.run()
    assert parts.trainer.scaler.state_dict() == whole.trainer.scaler.state_dict()
    assert all(torch.equal(a, b) for a, b in zip(whole.states(), parts.states(), strict=True))
    plain = Session(tmp_path / "plain", make_loader(), copy.deepcopy(start), 3)
    plain.trainer.run()
    for a, b in zip(plain.states(), whole.states(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_output_works_with_monai_trackers(tmp_path, make_loader, networks):
    session = Session(tmp_path, make_loader(), networks[0](), 1)
    loss = []
    pick = from_engine(["loss"], first=True)  # what --tracking mlflow uses
    session.trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda e: loss.append(float(pick(e.state.output))))
    session.trainer.run()
    assert len(loss) == 3
    item = session.trainer.state.output[0]
    assert item["image"].shape == item["pred"].shape == (3, 1, 32, 32)
    assert 0 <= item["pred"].min() and item["pred"].max() <= 1


def test_autoencoder_step_leaves_discriminator_alone_and_learns(make_loader, networks):
    """Without the discriminator's own step its weights must not move, and L1 must fall."""
    torch.manual_seed(0)
    autoencoder, discriminator = networks[0](), PatchDiscriminator(2, 4, 1, num_layers_d=1, norm="INSTANCE")
    frozen = torch.optim.SGD(discriminator.parameters(), 0.0)
    before = [p.clone() for p in discriminator.parameters()]
    losses = []
    trainer = AutoencoderTrainer(
        "cpu", 10, make_loader(), autoencoder, torch.optim.Adam(autoencoder.parameters(), 3e-2), discriminator, frozen,
        adaptive_adversarial_weight=False, adversarial_weight=0.01,
    )  # fmt: skip
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: losses.append(engine.state.output[0]["l1"]))
    trainer.run()
    assert all(torch.equal(a, b) for a, b in zip(before, discriminator.parameters(), strict=True))
    assert sum(losses[-3:]) < 0.98 * sum(losses[:3])  # noise: its mean is all there is to learn
    assert trainer.state.output[0]["adversarial_weight"] == 0.01


def test_perceptual_term_is_asked_for_frames_in_unit_range(make_loader, networks):
    seen = []

    class Distance(nn.Module):
        def forward(self, pred, target):
            seen.append((pred.shape, target.min().item(), target.max().item()))
            return (pred - target).square().mean(dim=(1, 2, 3))

    autoencoder = networks[0]()
    optimizer = torch.optim.Adam(autoencoder.parameters())
    trainer = AutoencoderTrainer("cpu", 1, make_loader(), autoencoder, optimizer, perceptual=Distance())
    trainer.run()
    assert seen[0][0] == (6, 1, 32, 32) and 0 <= seen[0][1] < 0.01 and 0.99 < seen[0][2] <= 1
    item = trainer.state.output[0]
    assert item["lpips"] > 0 and item["loss"] == pytest.approx(item["l1"] + item["lpips"], rel=1e-5)


def test_discriminator_needs_an_optimizer(make_loader, networks):
    autoencoder = networks[0]()
    with pytest.raises(ValueError, match="discriminator_optimizer"):
        AutoencoderTrainer(
            "cpu", 1, make_loader(), autoencoder, torch.optim.Adam(autoencoder.parameters()), nn.Conv2d(1, 1, 3)
        )
