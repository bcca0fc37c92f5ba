# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The denoiser and its Gaussian prior, against closed forms in float64."""

from __future__ import annotations

import pytest
import torch

from custom.diffusion.gaussian_prior import gaussian_noise_estimate, interpolation_weights
from custom.networks.video_denoiser import MaskedVideoDenoiser


def small(**options) -> MaskedVideoDenoiser:
    torch.manual_seed(0)
    settings = {"channels": (16, 32), "num_res_blocks": 1, "spatial_attention": (False, True)}
    settings |= {"temporal_attention": (True, True), "num_head_channels": 8, "norm_num_groups": 8} | options
    return MaskedVideoDenoiser(**settings).eval()


def open_zero_layers(model: torch.nn.Module) -> None:
    for parameter in model.parameters():
        if parameter.abs().sum() == 0:
            torch.nn.init.normal_(parameter, std=0.1)


def test_weights_interpolate_between_the_nearest_known_frames():
    positions = torch.tensor([0.0, 1.0, 3.0, 4.0], dtype=torch.float64)
    weights = interpolation_weights(torch.tensor([[1.0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]]), positions)
    assert torch.allclose(weights[0] @ positions, positions)  # linear in, linear out
    assert weights[0, 1].tolist() == [0.75, 0, 0, 0.25]
    assert (weights[1, :, 1] == 1).all() and weights[1].sum() == 4  # one known frame: everywhere
    assert weights[2].abs().sum() == 0


def test_noise_estimate_is_the_regression_of_noise_on_noisy_latents():
    generator = torch.Generator().manual_seed(0)
    guess, std, alpha_bar = 0.7, 0.4, torch.tensor(0.3, dtype=torch.float64)
    clean = guess + std * torch.randn(200_000, generator=generator, dtype=torch.float64)
    eps = torch.randn(200_000, generator=generator, dtype=torch.float64)
    z = alpha_bar.sqrt() * clean + (1 - alpha_bar).sqrt() * eps
    mean, spread = gaussian_noise_estimate(z, torch.tensor(guess), torch.tensor(std**2), alpha_bar)
    residual = eps - mean
    assert abs(torch.corrcoef(torch.stack([residual, z]))[0, 1]) < 0.01
    assert residual.std().item() == pytest.approx(spread.item(), rel=0.01)


def test_untrained_denoiser_with_prior_samples_linear_interpolation():
    """At init the network adds nothing, so the walk ends at the interpolated latents, up to the prior's own spread."""
    from custom.diffusion.ddim import ddim_sample
    from custom.diffusion.schedules import timestep_pairs

    model = small()
    model.prior_variance.fill_(1e-6)
    keys = torch.randn(1, 2, 4, 4, 4)
    mask = torch.tensor([[1.0, 0, 0, 1]])

    def with_keys(z):
        return torch.cat([keys[:, :1], z[:, 1:-1], keys[:, 1:]], dim=1)

    z = ddim_sample(
        lambda z, t: model(z, mask, torch.tensor([t])), torch.randn(1, 4, 4, 4, 4), timestep_pairs(4),
        model.alphas_cumprod, constrain=with_keys,
    )  # fmt: skip
    third = (2 * keys[:, 0] + keys[:, 1]) / 3
    assert torch.allclose(z[:, 1], third, atol=0.01)


@pytest.mark.parametrize("length", [3, 5, 7, 13])
def test_any_window_length(length):
    mask = torch.zeros(2, length)
    mask[:, [0, -1]] = 1
    assert small()(torch.randn(2, length, 4, 4, 6), mask, torch.tensor([5, 900])).shape == (2, length, 4, 4, 6)


def test_mask_and_positions_matter_and_items_do_not_mix():
    model = small(prior="none")
    open_zero_layers(model)
    z, times = torch.randn(2, 3, 4, 4, 4), torch.tensor([500, 500])
    ends, free = torch.tensor([[1.0, 0, 1]] * 2), torch.zeros(2, 3)
    out = model(z, ends, times)
    assert not torch.allclose(out, model(z, free, times), atol=1e-4)
    assert not torch.allclose(out, model(z, ends, times, torch.tensor([0.0, 0.4, 2.0])), atol=1e-5)
    assert torch.allclose(out[:1], model(z[:1], ends[:1], times[:1]), atol=1e-5)


def test_key_frames_reach_the_middle_through_frame_attention_alone():
    model = small(prior="none", spatial_attention=(False, False))
    open_zero_layers(model)
    z, mask, times = torch.randn(1, 3, 4, 4, 4), torch.tensor([[1.0, 0, 1]]), torch.tensor([500])
    other = z.clone()
    other[:, 0] += 1
    assert (model(z, mask, times) - model(other, mask, times))[:, 1].abs().max() > 1e-4
    single = small(prior="none", temporal_attention=(False, False))
    open_zero_layers(single)
    assert torch.equal(single(z, mask, times)[:, 1], single(other, mask, times)[:, 1])


def test_loss_weight_makes_the_network_output_unit_variance():
    model = small()
    times, mask = torch.tensor([10, 500, 990]), torch.tensor([[1.0, 0, 1]] * 3)
    alpha_bar = model.alphas_cumprod[times]
    _, spread = gaussian_noise_estimate(torch.zeros(3), torch.zeros(3), model.prior_variance, alpha_bar)
    assert torch.allclose(model.loss_weight(times, mask).flatten() * spread**2, torch.ones(3))
    assert torch.equal(small(prior="none").loss_weight(times, mask).flatten(), torch.ones(3))


def test_by_motion_it_starts_from_the_latents_it_is_given_and_knows_how_sure_they_are():
    model = small(prior="motion")
    model.prior_share.fill_(2.0)
    z, mask, times = torch.randn(2, 3, 4, 8, 8), torch.tensor([[1.0, 0, 1], [0, 0, 0]]), torch.tensor([990, 500])
    guess, square = torch.randn(2, 1, 4, 8, 8), torch.full((2, 1, 1, 8, 8), 0.1)
    alpha_bar = model.alphas_cumprod[times].view(2, 1, 1, 1)
    noise = model(z, mask, times, expected=torch.cat([guess, square], dim=2))[:, 1]
    clean = (z[:, 1] - (1 - alpha_bar).sqrt() * noise) / alpha_bar.sqrt()
    assert torch.allclose(clean[0], guess[0, 0], atol=0.2)  # nearly all noise: what is expected is all that is known
    unknown = gaussian_noise_estimate(z[1, 1], torch.zeros(1), torch.ones(1), alpha_bar[1])[0]
    assert torch.allclose(noise[1], unknown, atol=1e-5)  # no key frames: the guess may not be looked at
    weight = model.loss_weight(times, mask, torch.cat([guess, square], dim=2))
    assert weight.shape == (2, 3, 1, 8, 8)
    _, spread = gaussian_noise_estimate(torch.zeros(1), torch.zeros(1), torch.tensor(0.2), alpha_bar[0])
    assert torch.allclose(weight[0, 1] * spread**2, torch.ones(1), rtol=1e-4)
