# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine, Events
from monai.engines import SupervisedTrainer
from torch.utils.data import DataLoader

from custom.diffusion.schedules import alphas_cumprod, betas
from custom.interpolators.latent_midpoint import Between
from custom.networks.neighbour_denoiser import NeighbourDenoiser
from custom.training.latents import LatentStatistics
from custom.training.losses import WeightedNoiseLoss
from custom.training.neighbour_task import NeighbourTask

ALPHAS = alphas_cumprod(betas("scaled_linear", 1000, 0.0015, 0.0195))


class Quarter:
    """A codec without a network: every fourth pixel, twice; latents of mean 0 and deviation 1 as told."""

    mean, std, prediction_type = 0.0, 1.0, "epsilon"

    def __init__(self, denoiser):
        self.denoiser = denoiser

    def between(self, slices, places, latents=False):
        known = self.encode_latents(slices.unsqueeze(2))
        return Between(slices, known, *self.denoiser.expect(known), None)

    def set_latent_statistics(self, mean, std):
        self.mean, self.std = (torch.as_tensor(x).reshape(-1, 1, 1) for x in (mean, std))

    def encode_latents(self, slices):
        latents = torch.cat([slices, 1 - slices], dim=2)[..., ::4, ::4]
        return (latents - self.mean) / self.std


@pytest.fixture
def denoiser():
    torch.manual_seed(0)
    return NeighbourDenoiser(
        latent_channels=2, channels=(8, 16), num_res_blocks=1, attention=(False, True),
        condition_attention=(True, True), num_head_channels=8, norm_num_groups=4, pair_channels=(8, 8, 8),
    )  # fmt: skip


def triplets(count=4, seed=0):
    """Blobs that move: the slice in the middle follows from its neighbours."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.arange(32.0)
    centre, step = (
        12 + 8 * torch.rand(count, 1, 2, generator=generator),
        2 * torch.randn(count, 1, 2, generator=generator),
    )
    at = centre + torch.tensor([-1.0, 0.0, 1.0]).view(1, 3, 1) * step
    y, x = (torch.exp(-((places - at[..., axis, None]) ** 2) / 18) for axis in (0, 1))
    return (y[..., :, None] * x[..., None, :]).unsqueeze(2)


def at_iteration(task, iteration):
    engine = Engine(lambda *_: None)
    task.attach(engine)
    engine.fire_event(Events.STARTED)
    engine.state.iteration, engine.state.rank = iteration, 0
    return task


def test_the_middle_is_noised_and_its_neighbours_are_the_condition(denoiser):
    task = at_iteration(NeighbourTask(Quarter(denoiser)), 1)
    slices = triplets()
    inputs, label, arguments, keywords = task({"image": slices}, "cpu")
    noise, weight = label.split([2, 1], dim=1)
    alpha = ALPHAS[keywords["timesteps"]].float().view(-1, 1, 1, 1)
    torch.testing.assert_close(
        inputs, alpha.sqrt() * Quarter(denoiser).encode_latents(slices)[:, 1] + (1 - alpha).sqrt() * noise
    )
    torch.testing.assert_close(keywords["neighbours"], 2 * slices[:, [0, 2], 0] - 1)
    assert arguments == () and keywords["guess"].shape == (4, 2, 8, 8)
    torch.testing.assert_close(weight, denoiser.loss_weight(keywords["timesteps"], keywords["variance"]))


def test_draws_depend_on_seed_and_iteration_alone(denoiser):
    def draw(seed, iteration):
        return at_iteration(NeighbourTask(Quarter(denoiser), seed=seed), iteration)({"image": triplets()}, "cpu")[0]

    torch.testing.assert_close(draw(0, 5), draw(0, 5), rtol=0, atol=0)
    assert not torch.equal(draw(0, 5), draw(0, 6))
    assert not torch.equal(draw(0, 5), draw(1, 5))


def test_a_share_of_the_batch_sees_high_noise(denoiser):
    def timesteps(share):
        task = at_iteration(NeighbourTask(Quarter(denoiser), high_noise_share=share), 1)
        return task({"image": triplets(400)}, "cpu")[3]["timesteps"]

    high = (timesteps(0.5) >= 900).float().mean()
    assert 0.48 < high < 0.62  # half of them, and a tenth of the others
    assert 0.06 < (timesteps(0.0) >= 900).float().mean() < 0.15
    assert timesteps(1.0).min() >= 900 and timesteps(1.0).max() <= 999


def test_it_must_be_a_handler_too(denoiser):
    with pytest.raises(RuntimeError, match="NeighbourTask must also be one of the trainer's handlers"):
        NeighbourTask(Quarter(denoiser))({"image": triplets()}, "cpu")


def test_training_learns_from_the_neighbours(denoiser):
    """After a short training the estimate is better than the prior's; shuffled neighbours cost what was gained."""
    codec = Quarter(denoiser)
    loader = DataLoader([{"image": window} for window in triplets(64)], batch_size=16, shuffle=False)
    statistics = LatentStatistics(codec, loader.dataset, 16, 4)
    task = NeighbourTask(codec, high_noise_share=0.5)
    trainer = SupervisedTrainer(
        "cpu", 20, loader, denoiser, torch.optim.Adam(denoiser.parameters(), 2e-3), WeightedNoiseLoss(channel_axis=1),
        prepare_batch=task, train_handlers=[statistics, task],
    )  # fmt: skip
    trainer.run()
    assert 0 < denoiser.prior_share < 0.3
    inputs, label, _, known = task({"image": triplets(64, seed=9)}, "cpu")

    def error(**changed):
        with torch.no_grad():
            return WeightedNoiseLoss(channel_axis=1)(denoiser(inputs, **{**known, **changed}), label)

    with torch.no_grad():
        denoiser.eval()
        trained = error()
        shuffled = error(neighbours=known["neighbours"].flip(0))
        for parameter in denoiser.unet.out.parameters():
            parameter.zero_()
        prior = error()
    assert trained < 0.8 * prior
    assert shuffled > 1.2 * trained
