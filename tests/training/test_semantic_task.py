# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy

import pytest
import torch
from ignite.engine import Engine, Events
from monai.engines import SupervisedTrainer
from torch import nn
from torch.utils.data import DataLoader

from custom.diffusion.schedules import alphas_cumprod, betas
from custom.errors import InputError
from custom.training.semantic_task import SemanticTask, with_segmenter
from custom.weights import save_model

ALPHAS = alphas_cumprod(betas("linear", 1000, 1e-4, 0.02))


class Told(nn.Module):
    """A method whose denoiser is told the mean of each slice, and which has a part that is not trained."""

    def __init__(self):
        super().__init__()
        self.alphas_cumprod = ALPHAS
        self.denoiser = Scale()
        self.segmenter = nn.Linear(2, 3)

    def conditions(self, slices):
        return {"morphology": slices.mean((1, 2, 3))}


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.zeros(()))

    def forward(self, noisy, timesteps, slices, morphology):
        assert timesteps.shape == morphology.shape == slices.shape[:1]
        return self.factor * noisy


def at_iteration(task, iteration):
    engine = Engine(lambda *_: None)
    task.attach(engine)
    engine.fire_event(Events.STARTED)
    engine.state.iteration, engine.state.rank = iteration, 0
    return task


def triplets(count=4):
    return torch.rand(count, 3, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_each_slice_of_a_triplet_is_noised_by_itself():
    slices = triplets()
    noisy, noise, arguments, known = at_iteration(SemanticTask(Told()), 1)({"image": slices}, "cpu")
    clean = 2 * slices.flatten(0, 1) - 1
    alpha = ALPHAS[known["timesteps"]].float().view(-1, 1, 1, 1)
    torch.testing.assert_close(noisy, alpha.sqrt() * clean + (1 - alpha).sqrt() * noise)
    torch.testing.assert_close(known["slices"], clean)
    torch.testing.assert_close(known["morphology"], slices.flatten(0, 1).mean((1, 2, 3)))
    assert arguments == () and known["timesteps"].unique().numel() > 6


def test_draws_depend_on_seed_and_iteration_alone():
    def draw(seed, iteration):
        return at_iteration(SemanticTask(Told(), seed), iteration)({"image": triplets()}, "cpu")[0]

    torch.testing.assert_close(draw(0, 5), draw(0, 5), rtol=0, atol=0)
    assert not torch.equal(draw(0, 5), draw(0, 6))
    assert not torch.equal(draw(0, 5), draw(1, 5))


def test_timesteps_are_drawn_from_the_whole_schedule():
    known = at_iteration(SemanticTask(Told()), 1)({"image": triplets(300)}, "cpu")[3]
    timesteps = known["timesteps"]
    assert timesteps.min() < 10 and timesteps.max() > 989 and abs(timesteps.double().mean() - 499.5) < 40


def test_the_trainer_takes_it():
    network = Told()
    task = SemanticTask(network)
    frozen = copy.deepcopy(network.segmenter.state_dict())
    loader = DataLoader([{"image": window} for window in triplets(8)], batch_size=4)
    SupervisedTrainer(
        "cpu", 30, loader, network.denoiser, torch.optim.Adam(network.denoiser.parameters(), 0.05), nn.MSELoss(),
        prepare_batch=task, train_handlers=[task],
    ).run()  # fmt: skip
    assert 0.4 < network.denoiser.factor < 1.1  # most of what is shown is noise
    torch.testing.assert_close(network.segmenter.state_dict(), frozen)


def test_the_segmenter_is_filled_from_its_bundle(tmp_path):
    trained, network = nn.Linear(2, 3), Told()
    path = tmp_path / "medformer_sax" / "models" / "model.pt"
    with pytest.raises(InputError, match=r"no trained weights.*medformer_sax.configs.train.json"):
        with_segmenter(network, path)
    path.parent.mkdir(parents=True)
    save_model(trained, path)
    torch.testing.assert_close(with_segmenter(network, path).segmenter.weight, trained.weight)
