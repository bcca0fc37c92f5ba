# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import types

import pytest
import torch
from monai.engines import SupervisedTrainer

from custom.diffusion.schedules import alphas_cumprod, betas
from custom.training.denoiser_task import MaskedVideoTask
from custom.training.handlers import ClipGradients, WarmupEMA
from custom.training.latents import LatentStatistics
from custom.training.loss_log import LossCurve, LossReader
from custom.training.losses import WeightedNoiseLoss
from custom.training.stage_checkpoint import StageCheckpoint

ALPHAS = alphas_cumprod(betas())


def prepared(codec, frames, iteration=1, **options):
    """The task's draws at an iteration: inputs, label, mask and timesteps."""
    task = MaskedVideoTask(codec, **options)
    task._follow(types.SimpleNamespace(state=types.SimpleNamespace(iteration=iteration, rank=0)))
    inputs, label, args, kwargs = task({"image": frames}, "cpu")
    assert args == () and set(kwargs) == {"mask", "timesteps"}
    return inputs, label, kwargs["mask"], kwargs["timesteps"]


def test_known_latents_are_clean_and_unknown_ones_noised(networks):
    codec = networks[1]()
    frames = torch.rand(5, 7, 1, 32, 32)
    clean = codec.encode_latents(frames)
    inputs, label, mask, timesteps = prepared(codec, frames, unconditional_probability=0.0)
    assert torch.equal(mask, torch.tensor([1.0, 0, 0, 0, 0, 0, 1]).expand(5, -1))
    assert torch.equal(inputs[:, [0, -1]], clean[:, [0, -1]])
    eps, weight = label[:, :, :-1], label[:, :, -1:]
    alpha_bar = ALPHAS[timesteps].float().view(-1, 1, 1, 1, 1)
    expected = alpha_bar.sqrt() * clean + (1 - alpha_bar).sqrt() * eps  # Eq. 2
    torch.testing.assert_close(inputs[:, 1:-1], expected[:, 1:-1])
    assert torch.equal(weight, (1 - mask)[:, :, None, None, None].expand_as(weight))


def test_unconditional_windows_are_noised_throughout_and_scored_throughout(networks):
    codec = networks[1]()
    frames = torch.rand(4, 7, 1, 32, 32)
    inputs, label, mask, _ = prepared(codec, frames, unconditional_probability=1.0)
    assert not mask.any() and (label[:, :, -1] == 1).all()
    assert not torch.isclose(inputs, codec.encode_latents(frames)).all(dim=(2, 3, 4)).any()


def test_share_of_unconditional_windows_and_spread_of_timesteps(networks):
    frames = torch.rand(500, 3, 1, 8, 8)
    masks, times = [], []
    for iteration in range(1, 5):
        _, _, mask, timesteps = prepared(networks[1](), frames, iteration)
        masks.append(mask)
        times.append(timesteps)
    masks, times = torch.cat(masks), torch.cat(times).double()
    assert (masks[:, 0] == masks[:, -1]).all() and not masks[:, 1].any()
    assert abs((masks[:, 0] == 0).double().mean() - 0.1) < 0.025
    assert abs(times.mean() - 499.5) < 25 and times.min() < 10 and times.max() > 989


def test_draws_follow_seed_and_iteration(networks):
    codec, frames = networks[1](), torch.rand(2, 3, 1, 16, 16)
    first, again = (prepared(codec, frames, iteration=5) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], prepared(codec, frames, iteration=6)[0])
    assert not torch.equal(first[0], prepared(codec, frames, iteration=5, seed=1)[0])


def test_windows_are_cut_to_every_length_with_the_last_frame_left_known(networks):
    codec, frames = networks[1](), torch.rand(2, 7, 1, 32, 32)
    seen = set()
    for iteration in range(1, 20):
        inputs, _, mask, _ = prepared(codec, frames, iteration, window_lengths=(3, 5, 7), unconditional_probability=0.0)
        length = inputs.shape[1]
        assert torch.equal(inputs[:, [0, -1]], codec.encode_latents(frames)[:, [0, length - 1]])
        assert mask.sum() == 4
        seen.add(length)
    assert seen == {3, 5, 7}


def test_noised_condition_is_between_clean_and_noisy(networks):
    codec, frames = networks[1](), torch.rand(64, 3, 1, 8, 8)
    clean = codec.encode_latents(frames)
    inputs, label, _, _ = prepared(codec, frames, unconditional_probability=0.0, condition_noise=250)
    residual = inputs[:, 0] - clean[:, 0]
    assert residual.any(dim=(1, 2, 3)).all() and residual.std() < 0.7
    # The same noise is the label there, so that loss_region="all" asks for something the network can see.
    assert torch.corrcoef(torch.stack([residual.flatten(), label[:, 0, :-1].flatten()]))[0, 1] > 0.5


def test_options(networks):
    codec, frames = networks[1](), torch.rand(2, 3, 1, 16, 16)
    options = {"unconditional_probability": 0.0}
    assert (prepared(codec, frames, loss_region="all", **options)[1][:, :, -1] == 1).all()
    codec.prediction_type = "sample"
    codec.denoiser.loss_weight = lambda t, mask, _: (t + mask.sum(1)).view(-1, 1, 1, 1, 1)
    _, label, _, times = prepared(codec, frames, **options)
    assert torch.equal(label[:, :, :-1], codec.encode_latents(frames))
    assert torch.equal(label[:, 1, -1, 0, 0], times.float() + 2) and not label[:, [0, -1], -1].any()
    with pytest.raises(ValueError, match="loss_region"):
        MaskedVideoTask(codec, loss_region="some")
    with pytest.raises(RuntimeError, match="handlers"):
        MaskedVideoTask(codec)({"image": frames}, "cpu")


@pytest.mark.parametrize("kind, expected", [("l2", (4 * 1 + 4 * 4) / 8), ("l1", (4 * 1 + 4 * 2) / 8)])
def test_loss_ignores_known_frames(kind, expected):
    target = torch.zeros(1, 3, 2, 1, 2)
    weight = torch.tensor([0.0, 1, 1]).view(1, 3, 1, 1, 1).expand(-1, -1, 1, 1, 2)
    prediction = torch.zeros_like(target)
    prediction[:, 0], prediction[:, 1], prediction[:, 2] = 1e6, 1.0, 2.0
    prediction.requires_grad_()
    loss = WeightedNoiseLoss(kind)(prediction, torch.cat([target, weight], dim=2))
    assert loss.item() == expected
    loss.backward()
    assert not prediction.grad[:, 0].any() and prediction.grad[:, 1:].all()
    doubled = WeightedNoiseLoss(kind)(prediction, torch.cat([target, 2 * weight], dim=2))
    assert doubled.item() == 2 * expected  # weights scale the loss, they do not cancel


class Session:
    """Everything of stage 2, made anew as a new process would."""

    def __init__(self, folder, loader, networks, max_epochs):
        torch.manual_seed(0)
        self.codec = networks[1]()
        self.denoiser = self.codec.denoiser
        optimizer = torch.optim.AdamW(self.denoiser.parameters(), 1e-2)
        self.ema = WarmupEMA(self.denoiser)
        latents = LatentStatistics(self.codec, loader.dataset, loader.batch_size, 2)
        task = MaskedVideoTask(self.codec)
        saved = {"denoiser": self.denoiser, "optimizer": optimizer, "ema": self.ema.ema_model, "latents": latents}
        handlers = [
            StageCheckpoint(folder / "denoiser.pt", saved), latents, task, self.ema, ClipGradients(),
            LossReader(2, [LossCurve(folder / "loss.csv")]),
        ]  # fmt: skip
        self.trainer = SupervisedTrainer(
            "cpu", max_epochs, loader, self.denoiser, optimizer, WeightedNoiseLoss(), prepare_batch=task,
            train_handlers=handlers,
        )  # fmt: skip

    def states(self):
        modules = (self.denoiser, self.ema.ema_model, self.codec)
        return [tensor.clone() for module in modules for tensor in module.state_dict().values()]


def test_killed_and_resumed_equals_uninterrupted(tmp_path, make_loader, networks):
    whole = Session(tmp_path / "whole", make_loader(), networks, 4)
    whole.trainer.run()
    Session(tmp_path / "parts", make_loader(), networks, 2).trainer.run()
    second = Session(tmp_path / "parts", make_loader(), networks, 4)
    second.trainer.run()
    for a, b in zip(whole.states(), second.states(), strict=True):
        assert torch.equal(a, b)
    curve = (tmp_path / "whole" / "loss.csv").read_text()
    assert (tmp_path / "parts" / "loss.csv").read_text() == curve and len(curve.splitlines()) == 13
    fresh = Session(tmp_path / "fresh", make_loader(), networks, 4).states()
    assert not torch.equal(fresh[0], second.states()[0])


def test_statistics_normalise_latents_and_do_not_depend_on_what_ran_before(tmp_path, make_loader, networks):
    loader = make_loader(batch_size=6)
    codec = networks[1]()
    codec.set_latent_statistics(5.0, 3.0)
    handler = LatentStatistics(codec, loader.dataset, 6, 10)
    handler.loader.sampler.set_epoch(7)
    handler(types.SimpleNamespace(state=types.SimpleNamespace(iteration=0, device="cpu")))
    loader.sampler.set_epoch(0)
    frames = next(iter(loader))["image"]
    latents = codec.encode_latents(frames)
    torch.testing.assert_close(latents.mean(dim=(0, 1, 3, 4)), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(latents.std(dim=(0, 1, 3, 4), correction=0), torch.ones(2), atol=1e-4, rtol=0)
    residual = latents[:, 1] - (latents[:, 0] + latents[:, 2]) / 2
    torch.testing.assert_close(codec.denoiser.prior_variance, residual.square().mean(), rtol=1e-4, atol=0)
