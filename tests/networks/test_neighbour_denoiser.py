# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math

import pytest
import torch

from custom.diffusion.schedules import alphas_cumprod, betas
from custom.networks.latent_prior import LEAST_VARIANCE
from custom.networks.neighbour_denoiser import NeighbourDenoiser, Pair

ALPHAS = alphas_cumprod(betas("scaled_linear", 1000, 0.0015, 0.0195))


def denoiser(**options):
    torch.manual_seed(0)
    small = {
        "channels": (8, 16),
        "num_res_blocks": 1,
        "attention": (False, True),
        "condition_attention": (True, True),
        "num_head_channels": 8,
        "norm_num_groups": 4,
        "pair_channels": (8, 8, 8),
    }
    return NeighbourDenoiser(**{**small, **options})


def batch(space=(32, 32), latent=(8, 8), channels=3, size=2):
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    return (
        draw(size, channels, *latent), torch.tensor([10, 900])[:size], draw(size, 2, *space),
        draw(size, 2, channels, *latent),
    )  # fmt: skip


def let_everything_through(network):
    """Give the zero-initialised ends small weights, so that an untrained network's output depends on its inputs."""
    for parameter in network.parameters():
        if parameter.ndim > 1 and not parameter.abs().sum():
            torch.nn.init.normal_(parameter, std=0.1)
    return network


def ask(network, z, timesteps, neighbours, latents):
    """The network as it is trained."""
    seen = latents if network.condition_space == "latent" else neighbours
    return network(z, timesteps, seen, *network.expect(latents))


@pytest.mark.parametrize(
    "options", [{}, {"join": "concat"}, {"condition_space": "latent"}, {"zero_convolutions": "none"}, {"prior": "none"}]
)
def test_every_option_uses_neighbours_latent_and_timestep(options):
    network = let_everything_through(denoiser(**options)).eval()
    z, timesteps, neighbours, latents = batch()
    with torch.no_grad():
        noise = ask(network, z, timesteps, neighbours, latents)
        assert noise.shape == z.shape
        assert not torch.allclose(noise, ask(network, z, timesteps.flip(0), neighbours, latents), atol=1e-4)
        assert not torch.allclose(noise, ask(network, z + 1, timesteps, neighbours, latents), atol=1e-4)
        if options.get("condition_space") == "latent":
            other = ask(network, z, timesteps, neighbours, latents.flip(1))  # the prior does not tell them apart
        else:
            other = ask(network, z, timesteps, neighbours.flip(1), latents)
        assert not torch.allclose(noise, other, atol=1e-4)


def test_cine_slices_with_and_without_latent_phases():
    network = denoiser(spatial_dims=3, latent_factors=(4, 4, 4))
    assert ask(network, *batch((8, 32, 32), (2, 8, 8))).shape == (2, 3, 2, 8, 8)
    network = denoiser(spatial_dims=3, latent_factors=(1, 4, 4))
    assert ask(network, *batch((4, 32, 32), (4, 8, 8))).shape == (2, 3, 4, 8, 8)


def test_at_the_first_step_the_output_does_not_depend_on_the_neighbours():
    network = denoiser(prior="none")
    torch.nn.init.normal_(network.unet.out[-1].conv.weight)  # the U-Net's own zero end would hide everything
    z, timesteps, neighbours, latents = batch()
    torch.testing.assert_close(
        ask(network, z, timesteps, neighbours, latents), ask(network, z, timesteps, neighbours.flip(0), latents)
    )


@pytest.mark.parametrize(("zero", "body_step"), [("end", 2), ("controlnet", 3)])
def test_gradients_reach_the_pair_encoder_as_soon_as_the_zero_convolutions_let_them(zero, body_step):
    """Notes B4: with zeros in series the body of tau_theta1 gets no gradient for two steps, with one zero for one."""
    network = denoiser(prior="none", zero_convolutions=zero)
    torch.nn.init.normal_(network.unet.out[-1].conv.weight, std=0.1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    z, timesteps, neighbours, latents = batch()
    reached = []
    for _ in range(3):
        optimizer.zero_grad()
        ask(network, z, timesteps, neighbours, latents).square().mean().backward()
        reached.append(tuple(bool(p.weight.grad.any()) for p in (network.pair_encoder.end, network.pair_encoder.stem)))
        optimizer.step()
    end, body = zip(*reached, strict=True)
    assert body == tuple(step >= body_step for step in (1, 2, 3))
    assert end == tuple(step >= body_step - 1 for step in (1, 2, 3))


def test_untrained_it_estimates_the_noise_of_the_neighbours_mean_in_closed_form():
    network = denoiser().double()
    _, _, neighbours, latents = (x.double() if x.is_floating_point() else x for x in batch())
    guess, variance = network.expect(latents)
    torch.testing.assert_close(guess, latents.mean(1))
    generator = torch.Generator().manual_seed(2)
    timesteps = torch.tensor([300, 999])
    alpha = network.alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    count = 4000
    clean = guess[:, None] + variance.sqrt()[:, None] * torch.randn(2, count, 3, 8, 8, generator=generator).double()
    noise = torch.randn(clean.shape, generator=generator).double()
    z = alpha[:, None].sqrt() * clean + (1 - alpha[:, None]).sqrt() * noise
    estimate = torch.stack(
        [
            network.estimate(
                z[i], timesteps[i].expand(count), Pair(z.new_zeros(1), guess[i : i + 1], variance[i : i + 1])
            )
            for i in range(2)
        ]
    )
    # The estimate is the posterior mean: unbiased, and its error has the posterior variance and no correlation with z.
    error = noise - estimate
    posterior = alpha * variance / (alpha * variance + 1 - alpha)
    assert error.mean(1).abs().max() < 5 * math.sqrt(1 / count)
    torch.testing.assert_close(error.var(1).mean((1,)), posterior.expand(2, 3, 8, 8).mean(1), rtol=0.1, atol=1e-3)
    assert (error * z).mean((1, 2)).abs().max() < 0.05


def test_the_prior_is_as_wide_as_the_neighbours_differ_nearby():
    network = denoiser()
    network.prior_share.fill_(0.5)
    latents = torch.zeros(1, 2, 3, 32, 32)
    latents[:, 1, :, :, 20:] = 2.0  # squared difference 4
    _, variance = network.expect(latents)
    assert variance.shape == (1, 1, 32, 32)
    torch.testing.assert_close(variance[..., 26:], torch.full_like(variance[..., 26:], 2.0))
    torch.testing.assert_close(variance[..., :10], torch.full_like(variance[..., :10], LEAST_VARIANCE))
    cine = torch.zeros(1, 2, 3, 4, 16, 16)
    cine[:, 1, :, 1] = 2.0
    torch.testing.assert_close(network.expect(cine)[1], torch.full((1, 1, 4, 16, 16), 0.5))


def test_the_loss_weight_makes_every_noise_level_count_alike():
    network = denoiser()
    variance = torch.tensor([0.1, 0.4]).view(2, 1, 1, 1).expand(2, 1, 8, 8)
    timesteps = torch.tensor([50, 990])
    alpha = ALPHAS[timesteps].float().view(2, 1, 1, 1)
    posterior = alpha * variance / (alpha * variance + 1 - alpha)
    torch.testing.assert_close(network.loss_weight(timesteps, variance) * posterior, torch.ones(2, 1, 8, 8))
    assert (denoiser(prior="none").loss_weight(timesteps, variance) == 1).all()


@pytest.mark.parametrize("name", ["condition_space", "join", "zero_convolutions", "prior"])
def test_an_unknown_option_is_named(name):
    with pytest.raises(ValueError, match=f"{name} is one of .*'both'"):
        denoiser(**{name: "both"})
