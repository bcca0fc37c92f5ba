# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy

import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedTrainer
from monai.networks.nets import PatchDiscriminator
from torch import nn

from custom.networks.tscnet import TSCNet
from custom.training.adversary import Adversary
from custom.training.cycle_task import CycleInferer, CycleLoss, CycleTask, DiscriminatorStep
from custom.training.handlers import ClipGradients, WarmupEMA
from custom.training.loss_log import LossCurve, LossReader
from custom.training.stage_checkpoint import StageCheckpoint


def discriminator():
    return PatchDiscriminator(2, 4, 1, num_layers_d=1, norm="INSTANCE")


def linear_stack(bias=0.0):
    """A generator that interpolates linearly, but for a bias, and a triplet that is linear from slice to slice."""
    first, change = torch.rand(2, 1, 8, 8), 0.1 * torch.rand(2, 1, 8, 8)
    return lambda pair: pair.mean(dim=1, keepdim=True) + bias, torch.cat([first + k * change for k in range(3)], dim=1)


@pytest.mark.parametrize("direct", [False, True])
def test_cycle_closes_on_a_linear_stack_for_a_linear_generator_only(direct):
    loss = CycleLoss(discriminator(), adversarial_weight=0.0, direct_weight=1.0 * direct)
    for bias, expected in ((0.0, 0.0), (0.1, 0.2**2 + direct * 0.1**2)):
        network, slices = linear_stack(bias)
        value = loss(CycleInferer(direct)(slices, network), slices[:, 1:2])
        assert value.item() == pytest.approx(expected, rel=1e-4, abs=1e-12)


def test_cycle_does_not_look_at_the_middle_slice_for_the_direct_term():
    network, slices = linear_stack()
    torch.testing.assert_close(CycleInferer(True)(slices, network)[:, 1:], slices[:, ::2].mean(dim=1, keepdim=True))


def test_gradient_of_the_cycle_reaches_all_three_calls():
    torch.manual_seed(0)
    generator = TSCNet(features=4, growth=4, num_blocks=1, layers=1, factor=2, residual=False)
    answers = []

    def call(pairs):
        answers.append(generator(pairs))
        answers[-1].retain_grad()
        return answers[-1]

    slices = torch.rand(2, 3, 8, 8)
    CycleLoss(discriminator(), 0.0)(CycleInferer()(slices, call), slices[:, 1:2]).backward()
    around, middle = answers
    assert around.shape == (4, 1, 8, 8) and middle.shape == (2, 1, 8, 8)
    for gradient in (*around.grad, *middle.grad):
        assert gradient.abs().max() > 0


def test_adversarial_term_moves_the_generator_and_not_the_discriminator():
    torch.manual_seed(0)
    loss = CycleLoss(discriminator(), adversarial_weight=0.1)
    prediction, label = torch.rand(2, 1, 16, 16, requires_grad=True), torch.rand(2, 1, 16, 16)
    value = loss(prediction, label)
    value.backward()
    assert value.item() == pytest.approx(loss.terms["cycle"].item() + 0.1 * loss.terms["adversarial"].item(), rel=1e-5)
    assert not torch.allclose(prediction.grad, 2 * (prediction - label).detach() / label.numel(), atol=1e-7)
    assert all(parameter.grad is None for parameter in loss.discriminator.parameters())


def test_direct_term_needs_a_direct_prediction():
    with pytest.raises(ValueError, match="direct=True"):
        CycleLoss(discriminator(), direct_weight=1.0)(torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8))


class Session:
    """Everything of the second stage, made anew as a new process would."""

    def __init__(self, folder, loader, generator, max_epochs, adversarial_weight=0.01):
        torch.manual_seed(0)
        adversary = Adversary(torch.device("cpu"), channels=4, lr=1e-3)
        self.generator, self.discriminator = generator, adversary.network
        optimizer = torch.optim.Adam(generator.parameters(), 3e-3)
        loss = CycleLoss(self.discriminator, adversarial_weight)
        self.ema = WarmupEMA(generator)
        saved = {
            "network": generator,
            "optimizer": optimizer,
            "adversary": adversary,
            "ema": self.ema.ema_model,
        }
        handlers = [
            StageCheckpoint(folder / "stages" / "network.pt", saved),
            self.ema,
            DiscriminatorStep(loss, adversary),
            ClipGradients(),
            LossReader(2, [LossCurve(folder / "loss.csv")]),
        ]
        self.trainer = SupervisedTrainer(
            "cpu", max_epochs, loader, generator, optimizer, loss, inferer=CycleInferer(),
            prepare_batch=CycleTask(), train_handlers=handlers,
        )  # fmt: skip

    def states(self):
        modules = (self.generator, self.discriminator, self.ema.ema_model)
        return [tensor.clone() for module in modules for tensor in module.state_dict().values()]


@pytest.fixture
def start():
    torch.manual_seed(0)
    return TSCNet(features=4, growth=4, num_blocks=1, layers=1, factor=2, residual=False)


def test_killed_and_resumed_equals_uninterrupted(tmp_path, make_loader, start):
    whole = Session(tmp_path / "whole", make_loader(), copy.deepcopy(start), 2)
    whole.trainer.run()
    first = Session(tmp_path / "parts", make_loader(), copy.deepcopy(start), 2)

    def kill(engine):
        if engine.state.iteration == 5:  # in the middle of epoch 2 of 3 iterations each
            raise KeyboardInterrupt

    first.trainer.add_event_handler(Events.ITERATION_COMPLETED, kill)
    with pytest.raises(KeyboardInterrupt):
        first.trainer.run()
    second = Session(tmp_path / "parts", make_loader(), copy.deepcopy(start), 2)
    second.trainer.run()
    assert all(torch.equal(a, b) for a, b in zip(whole.states(), second.states(), strict=True))
    curve = (tmp_path / "whole" / "loss.csv").read_text()
    assert (tmp_path / "parts" / "loss.csv").read_text() == curve
    rows = [line.split(",") for line in curve.splitlines()]
    assert rows[0] == ["epoch", "iteration", "loss", "cycle", "adversarial", "discriminator"] and len(rows) == 7


@pytest.mark.parametrize("adversarial_weight", [0.0, 0.01])
def test_cycle_loss_falls_and_the_discriminator_learns_if_it_is_asked(tmp_path, make_loader, start, adversarial_weight):
    session = Session(tmp_path, make_loader(), start, 3, adversarial_weight)
    before = nn.utils.parameters_to_vector(session.discriminator.parameters()).clone()
    cycle = []
    session.trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda engine: cycle.append(engine.state.output[0]["cycle"])
    )
    session.trainer.run()
    assert sum(cycle[-3:]) < 0.9 * sum(cycle[:3])
    moved = not torch.equal(nn.utils.parameters_to_vector(session.discriminator.parameters()), before)
    assert moved == (adversarial_weight > 0)
