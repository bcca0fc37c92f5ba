# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine, Events
from torch import nn

from custom.diffusion.ddim import predict_clean
from custom.diffusion.schedules import alphas_cumprod, betas
from custom.inferers.gaps import GapInferer
from custom.interpolators.diffae import DiffAE
from custom.networks.semantic_encoder import SemanticDenoiser, SemanticEncoder
from custom.networks.semantic_unet import SemanticUNet
from custom.training.semantic_task import SemanticTask

ALPHAS = alphas_cumprod(betas("linear", 1000, 1e-4, 0.02))
SPREAD = 0.1


class GaussianDenoiser(nn.Module):
    """The exact denoiser of slices that are white noise of deviation `SPREAD` about their code, their mean."""

    divisor = 8

    def __init__(self):
        super().__init__()
        self.asked = []

    def encoder(self, slices):
        return slices.mean((2, 3))

    def unet(self, x, timesteps, code):
        self.asked.append(len(x))
        alpha = ALPHAS[timesteps].view(-1, 1, 1, 1)
        residual = x - alpha.sqrt() * code[..., None, None]
        return (1 - alpha).sqrt() * residual / (alpha * SPREAD**2 + 1 - alpha)


def gaussian(**options):
    return DiffAE(GaussianDenoiser(), **{"num_inference_steps": 400, "clip_clean": False, **options}).double()


def slices(*means, edge=32, seed=0):
    """Such slices, in [0, 1], `(n, 1, edge, edge)`."""
    noise = torch.randn(len(means), 1, edge, edge, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    noise = noise - noise.mean((2, 3), keepdim=True)
    return (torch.tensor(means).double().view(-1, 1, 1, 1) + SPREAD * noise + 1) / 2


def tiny(**options):
    torch.manual_seed(0)
    sizes = {"attention": (False, True), "code_channels": 8, "norm_num_groups": 4, "patch_size": 1}
    encoder = SemanticEncoder(channels=(8, 8), **sizes)
    unet = SemanticUNet(channels=(16, 16), embed_channels=16, **sizes)
    return DiffAE(SemanticDenoiser(encoder, unet), **options).eval()


def rms(difference):
    return difference.square().mean().sqrt().item()


def test_inversion_and_rendering_undo_each_other():
    network, known = gaussian(), slices(-0.4, 0.3)
    codes = network.encode(known)
    noise = network.invert(known, codes)
    assert abs(noise.std() - 1) < 0.05
    assert (
        rms(network.render(noise, codes) - known) < 0.005
    )  # 3 % of what the slices vary by comes of the finite number of steps
    # The codes matter: rendered with the other slice's code, the mean moves there.
    swapped = network.render(noise, [code.flip(0) for code in codes])
    torch.testing.assert_close(swapped.mean((1, 2, 3)), known.flip(0).mean((1, 2, 3)), atol=0.01, rtol=0)


def test_more_steps_bring_the_round_trip_closer():
    known = slices(-0.4, 0.3)
    errors = []
    for steps in (20, 80, 320):
        network = gaussian(num_inference_steps=steps)
        codes = network.encode(known)
        errors.append(rms(network.render(network.invert(known, codes), codes) - known))
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_codes_are_mixed_linearly_and_noise_spherically():
    network, known = gaussian(), slices(-0.4, 0.4)
    positions = torch.tensor([0.25, 0.5, 0.7], dtype=torch.float64)
    between = network.interpolate(known[None], positions)[0]
    torch.testing.assert_close(2 * between.mean((1, 2, 3)) - 1, -0.4 + 0.8 * positions, atol=0.01, rtol=0)
    # The average of independent noises would have lost 29 % of the deviation at the middle.
    torch.testing.assert_close(between.std((1, 2, 3)), known.std((1, 2, 3)).mean().expand(3), rtol=0.1, atol=0)


def test_a_slice_is_inverted_once_for_all_gaps_and_positions():
    network, known = gaussian(num_inference_steps=4, inversion_steps=3), slices(-0.4, 0.0, 0.4)
    gaps = torch.stack([known[:2], known[1:]])
    network.interpolate(gaps, torch.tensor([0.2, 0.4, 0.6, 0.8]))
    assert network.denoiser.asked == [3] * 3 + [8] * 4


def test_a_batch_gives_what_its_items_give_and_chunks_do_not_show():
    known = slices(-0.4, 0.0, 0.4)
    gaps, positions = torch.stack([known[:2], known[1:]]), torch.tensor([0.3, 0.5])
    whole = gaussian(num_inference_steps=4).interpolate(gaps, positions)
    assert whole.shape == (2, 2, 1, 32, 32)
    small = gaussian(num_inference_steps=4, batch_size=1)
    torch.testing.assert_close(small.interpolate(gaps, positions), whole)
    alone = torch.cat([small.interpolate(gap[None], positions) for gap in gaps])
    torch.testing.assert_close(alone, whole)
    assert max(small.denoiser.asked) == 4
    tight = gaussian(num_inference_steps=4, batch_size=1)
    big = slices(-0.4, 0.4, edge=96)
    tight.interpolate(big[None], positions)
    assert max(tight.denoiser.asked) == 1  # one of 96x96 at a time: two would weigh more than one of 128x128


def test_the_walks_may_keep_the_clean_slice_in_range():
    """An estimate beyond the range goes back to its edge, and the noise that it implies along with it."""
    x = torch.full((1, 1, 8, 8), 30.0, dtype=torch.float64)
    for clip in (False, True):
        network = gaussian(clip_clean=clip)
        eps = network._predictor([torch.zeros(1, 1).double()], {99: 99})(x, 99)
        clean = predict_clean(x, eps, ALPHAS[99])
        assert torch.allclose(clean, torch.ones_like(clean)) if clip else clean.min() > 1.05
    # The inversion's first step starts from the slice itself, which is in range.
    known, network = slices(-0.4), gaussian(clip_clean=True, num_inference_steps=3)
    codes = network.encode(known)
    torch.testing.assert_close(network.invert(known, codes), gaussian(num_inference_steps=3).invert(known, codes))


@pytest.mark.parametrize("space", [(16, 16), (21, 18)])
def test_slices_of_any_size_at_any_position(space):
    network = tiny(num_inference_steps=2)
    pair = torch.rand(2, 4, 1, *space)
    frames = network.interpolate(pair, torch.tensor([0.1, 0.37, 0.8]), [3, 4])
    assert frames.shape == (2, 3, 1, *space)
    assert frames.min() >= 0 and frames.max() <= 1
    torch.testing.assert_close(frames, network.interpolate(pair[:, 1:3], torch.tensor([0.1, 0.37, 0.8])))
    assert network(pair[:, 1:3, 0], count=3).shape == (2, 3, *space)


def test_a_stack_is_densified():
    frames = list(GapInferer(factor=3).stream(
        torch.rand(1, 1, 16, 16, 3).unbind(-1), tiny(num_inference_steps=1)))  # fmt: skip
    assert [frame.synthetic for frame in frames] == [False, True, True, False, True, True, False]


def test_a_trained_network_returns_the_slice_it_is_given():
    """A short training on blobs; what it never saw comes back from code and noise."""

    def blobs(count, seed):
        at = torch.arange(16.0)
        y, x = 4 + 8 * torch.rand(2, count, 1, generator=torch.Generator().manual_seed(seed))
        return (torch.exp(-((at - y) ** 2) / 8)[:, :, None] * torch.exp(-((at - x) ** 2) / 8)[:, None])[:, None]

    network = tiny(num_inference_steps=10)
    task, engine = SemanticTask(network), Engine(lambda *_: None)
    task.attach(engine)
    engine.fire_event(Events.STARTED)
    engine.state.rank = 0
    optimizer = torch.optim.Adam(network.denoiser.parameters(), 3e-3)
    data, losses = blobs(60, 0).view(20, 3, 1, 16, 16), []
    for iteration in range(30):
        engine.state.iteration = iteration + 1
        inputs, noise, _, known = task({"image": data[iteration % 5 :: 5]}, "cpu")
        loss = nn.functional.mse_loss(network.denoiser(inputs, **known), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    unseen = blobs(4, 1)
    with torch.no_grad():
        codes = network.encode(unseen)
        error = rms(network.render(network.invert(unseen, codes), codes) - unseen)
        pure = rms(network.render(torch.randn(4, 1, 16, 16), codes) - unseen)
    assert error < 0.05 and error < 0.5 * pure


def test_step_counts_are_checked_in_one_line():
    for name in ("num_inference_steps", "inversion_steps"):
        with pytest.raises(ValueError, match=f"^{name} must be from 1 to 1000, got 0$"):
            gaussian(**{name: 0}).validate()
    gaussian(inversion_steps=250).validate()
