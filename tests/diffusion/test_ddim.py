# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""DDIM against a model whose every answer is known: data that are Gaussian, N(MEAN, STD^2) in each element.

At level t the marginal is N(sqrt(ab) MEAN, ab STD^2 + 1 - ab). The best noise prediction is linear in z, and along the
probability-flow ODE the standardised latent (z - sqrt(ab) MEAN) / sqrt(ab STD^2 + 1 - ab) does not change.
"""

from __future__ import annotations

import math

import pytest
import torch

from custom.diffusion.ddim import (
    PREDICTION_KINDS,
    add_noise,
    ddim_invert,
    ddim_sample,
    ddim_step,
    predict_clean,
    target_for,
    to_epsilon,
)
from custom.diffusion.schedules import alpha_bar_at, alphas_cumprod, betas, inversion_pairs, timestep_pairs

MEAN, STD = 0.7, 0.5
TABLE = alphas_cumprod(betas())


def marginal(alpha_bar, mean=MEAN, std=STD):
    return alpha_bar.sqrt() * mean, (alpha_bar * std**2 + 1 - alpha_bar).sqrt()


def optimal_eps(z, t, mean=MEAN, std=STD):
    alpha_bar = alpha_bar_at(TABLE, t)
    centre, spread = marginal(alpha_bar, mean, std)
    return (z - centre) * (1 - alpha_bar).sqrt() / spread**2


def ode_solution(z_top, top=999):
    """The exact clean end of the ODE that passes through `z_top` at timestep `top`."""
    centre, spread = marginal(TABLE[top])
    return MEAN + STD * (z_top - centre) / spread


@pytest.fixture
def noise():
    return torch.randn(64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("spacing", ("trailing", "linspace"))
def test_sampler_converges_to_the_ode_at_first_order(noise, spacing):
    """Euler's order; near the clean end sqrt(1 - alpha_bar) has an infinite slope in t, which makes it log(N) / N."""
    steps = (16, 32, 64, 128, 256)
    errors = []
    for num_steps in steps:
        sample = ddim_sample(optimal_eps, noise, timestep_pairs(num_steps, 1000, spacing), TABLE)
        errors.append((sample - ode_solution(noise)).abs().max().item())
    scaled = [error * n / math.log(n) for error, n in zip(errors, steps, strict=True)]
    assert errors[-1] < 0.04
    assert max(scaled) < 1.5 * min(scaled), scaled


def test_sample_has_the_mean_and_spread_of_the_data():
    z = torch.randn(20000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    sample = ddim_sample(optimal_eps, z, timestep_pairs(500), TABLE)
    assert sample.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert sample.std().item() == pytest.approx(STD, abs=0.02)


def test_data_at_one_point_are_found_in_one_step(noise):
    """With STD 0 the predicted clean latent is the datum itself, whatever the grid."""
    for num_steps in (1, 3, 50):
        sample = ddim_sample(lambda z, t: optimal_eps(z, t, std=0.0), noise, timestep_pairs(num_steps), TABLE)
        torch.testing.assert_close(sample, torch.full_like(noise, MEAN), atol=1e-10, rtol=0)


def test_a_step_lands_on_the_line_between_clean_and_noise(noise):
    """Given the true noise, Eq. 12 with eta 0 is exact for a step of any length, in both directions."""
    clean = torch.linspace(-1, 1, noise.numel(), dtype=torch.float64)
    for t, t_next in ((999, 0), (999, -1), (10, 400), (-1, 999)):
        level, level_next = alpha_bar_at(TABLE, t), alpha_bar_at(TABLE, t_next)
        moved = ddim_step(add_noise(clean, noise, level), noise, level, level_next)
        torch.testing.assert_close(moved, add_noise(clean, noise, level_next), atol=1e-10, rtol=0)


def test_inversion_round_trip_shrinks_with_steps():
    z0 = MEAN + STD * torch.randn(256, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def round_trip(num_steps):
        z_top = ddim_invert(optimal_eps, z0, inversion_pairs(num_steps), TABLE)
        return (ddim_sample(optimal_eps, z_top, timestep_pairs(num_steps), TABLE) - z0).pow(2).mean().sqrt().item()

    errors = [round_trip(n) for n in (8, 32, 128, 512)]
    assert all(later < 0.5 * earlier for earlier, later in zip(errors, errors[1:], strict=False)), errors
    assert errors[2] < 0.02


def test_inversion_of_unit_latents_is_nearly_exact_at_128_steps():
    def unit_eps(z, t):
        return optimal_eps(z, t, mean=0.0, std=1.0)

    z0 = torch.randn(256, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    z_top = ddim_invert(unit_eps, z0, inversion_pairs(128), TABLE)
    back = ddim_sample(unit_eps, z_top, timestep_pairs(128), TABLE)
    assert (back - z0).pow(2).mean().sqrt().item() < 1e-2


def test_inversion_asks_only_timesteps_that_sampling_asks():
    asked = {"down": [], "up": []}

    def spy(direction):
        return lambda z, t: asked[direction].append(t) or torch.zeros_like(z)

    ddim_sample(spy("down"), torch.zeros(1), timestep_pairs(7), TABLE)
    ddim_invert(spy("up"), torch.zeros(1), inversion_pairs(7), TABLE)
    assert asked["up"] == asked["down"][::-1] and min(asked["up"]) >= 0


def test_known_latents_are_put_back_at_every_step():
    generator = torch.Generator().manual_seed(4)
    known = torch.randn(2, 7, 4, 3, 3, generator=generator)
    mask = torch.zeros(1, 7, 1, 1, 1)
    mask[:, [0, 6]] = 1

    def constrain(z):
        return torch.where(mask.bool(), known, z)

    seen, z = [], torch.randn(2, 7, 4, 3, 3, generator=generator)

    def predict(z, t):
        seen.append(z)
        return optimal_eps(z, t)

    free = ddim_sample(predict, z, timestep_pairs(9), TABLE)
    seen.clear()
    sample = ddim_sample(predict, z, timestep_pairs(9), TABLE, eta=1.0, constrain=constrain)
    assert len(seen) == 9
    for shown in [*seen, sample]:
        assert torch.equal(shown[:, [0, 6]], known[:, [0, 6]])
    still = ddim_sample(predict, z, timestep_pairs(9), TABLE, constrain=constrain)
    assert torch.equal(still[:, 1:6], free[:, 1:6])  # this model treats frames alone: the rest is left as it was


def test_eta_one_has_the_posterior_variance():
    """Ho et al. (2020), Eq. 6 and 7: mean and variance of q(z_next | z_t, z_0), here over a long step."""
    count = 200_000
    level, level_next = TABLE[400], TABLE[100]
    beta = 1 - level / level_next
    z0, eps = torch.tensor(0.3, dtype=torch.float64), torch.tensor(-1.2, dtype=torch.float64)
    z = add_noise(z0, eps, level)
    noise = torch.randn(count, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    moved = ddim_step(z.expand(count), eps.expand(count), level, level_next, eta=1.0, noise=noise)
    mean = (level_next.sqrt() * beta * z0 + (1 - beta).sqrt() * (1 - level_next) * z) / (1 - level)
    variance = (1 - level_next) / (1 - level) * beta
    assert moved.mean().item() == pytest.approx(mean.item(), abs=5 * (variance.item() / count) ** 0.5)
    assert moved.var().item() == pytest.approx(variance.item(), rel=0.02)


def test_stochastic_sampler_keeps_the_distribution():
    generator = torch.Generator().manual_seed(6)
    z = torch.randn(20000, dtype=torch.float64, generator=generator)
    draws = []

    def draw(z):
        draws.append(1)
        return torch.randn(z.shape, dtype=z.dtype, generator=generator)

    sample = ddim_sample(optimal_eps, z, timestep_pairs(250), TABLE, eta=1.0, noise_fn=draw)
    assert len(draws) == 250
    assert sample.mean().item() == pytest.approx(MEAN, abs=0.03)
    assert sample.std().item() == pytest.approx(STD, abs=0.03)
    assert torch.isfinite(sample).all()


def test_deterministic_sampler_draws_nothing_and_reports_each_step(noise):
    done = []
    ddim_sample(optimal_eps, noise, timestep_pairs(5), TABLE, noise_fn=None, callback=lambda n, z: done.append(n))
    assert done == [1, 2, 3, 4, 5]


def test_the_callback_sees_the_clean_estimate_and_may_end_the_walk_with_it(noise):
    estimates = {}
    sample = ddim_sample(
        optimal_eps, noise, timestep_pairs(5), TABLE, callback=lambda n, clean: estimates.update({n: clean}) or n == 3
    )
    assert list(estimates) == [1, 2, 3] and torch.equal(sample, estimates[3])
    first = predict_clean(noise, optimal_eps(noise, 999), TABLE[999])
    torch.testing.assert_close(estimates[1], first)


@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_schedules_of_plain_numbers_give_the_same_bits(noise, eta):
    """What a sampler on a GPU does not have to fetch, it need not compute otherwise."""
    z, settings = noise.float(), {"eta": eta, "noise_fn": lambda z: torch.ones_like(z)}

    def predict(z, t):
        return optimal_eps(z.double(), t).float()

    samples = [ddim_sample(predict, z, timestep_pairs(7), table, **settings) for table in (TABLE, TABLE.tolist())]
    assert torch.equal(*samples)
    inverted = [ddim_invert(predict, z, inversion_pairs(7), table) for table in (TABLE, TABLE.tolist())]
    assert torch.equal(*inverted)


@pytest.mark.parametrize("kind", PREDICTION_KINDS)
def test_prediction_types_invert(kind):
    generator = torch.Generator().manual_seed(7)
    z0, eps = (torch.randn(3, 2, 4, dtype=torch.float64, generator=generator) for _ in range(2))
    level = TABLE[torch.tensor([0, 500, 999])]
    z = add_noise(z0, eps, level)
    recovered = to_epsilon(target_for(kind, z0, eps, level), z, level, kind)
    torch.testing.assert_close(recovered, eps, atol=1e-10, rtol=0)
    torch.testing.assert_close(predict_clean(z, recovered, level), z0, atol=1e-10, rtol=0)


def test_v_prediction_is_the_derivative_along_the_circle():
    """v = d z / d phi with sqrt(alpha_bar) = cos(phi)."""
    phi = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    z0, eps = torch.tensor(0.3, dtype=torch.float64), torch.tensor(-0.8, dtype=torch.float64)
    (phi.cos() * z0 + phi.sin() * eps).backward()
    assert target_for("v_prediction", z0, eps, math.cos(0.4) ** 2).item() == pytest.approx(phi.grad.item())


def test_one_level_per_frame():
    z0, eps = torch.zeros(2, 3, 1, 4, 4), torch.ones(2, 3, 1, 4, 4)
    levels = torch.rand(2, 3, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    z = add_noise(z0, eps, levels)
    assert z.dtype == torch.float32
    torch.testing.assert_close(z[:, :, 0, 1, 2], (1 - levels).sqrt().float())


@pytest.mark.parametrize("dtype", (torch.bfloat16, torch.float32, torch.float64))
def test_dtype_is_kept(dtype):
    z = torch.randn(2, 4, dtype=dtype)
    assert ddim_sample(optimal_eps, z, timestep_pairs(3), TABLE, eta=0.5).dtype == dtype
    assert ddim_invert(optimal_eps, z, inversion_pairs(3), TABLE).dtype == dtype
    assert target_for("v_prediction", z, z, TABLE[[3, 7]]).dtype == dtype


def test_unknown_prediction_kind_is_refused(noise):
    with pytest.raises(ValueError, match="v_prediction"):
        to_epsilon(noise, noise, 0.5, "velocity")
    with pytest.raises(ValueError, match="v_prediction"):
        target_for("velocity", noise, noise, 0.5)
