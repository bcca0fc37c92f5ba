# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from custom.diffusion.schedules import alpha_bar_at, alphas_cumprod, betas, inversion_pairs, timestep_pairs

SPACINGS = ("trailing", "leading", "linspace")


def test_scaled_linear_is_lvdms_linear():
    values = betas()
    assert values.dtype == torch.float64 and values.shape == (1000,)
    # The middle of an odd grid is the squared mean of the square roots, not the mean of the ends.
    middle = betas("scaled_linear", 1001)[500].item()
    assert middle == pytest.approx(((0.0015**0.5 + 0.0155**0.5) / 2) ** 2, rel=1e-12)
    assert alphas_cumprod(values)[-1].sqrt().item() == pytest.approx(0.0259, abs=5e-5)


def test_noise_levels_of_lvdms_conditioning_augmentation():
    noise = (1 - alphas_cumprod(betas())).sqrt()
    assert noise[100].item() == pytest.approx(0.414, abs=2e-3)
    assert noise[250].item() == pytest.approx(0.680, abs=2e-3)


def test_linear_is_ddpms():
    values = betas("linear", 1000, 1e-4, 0.02)
    assert values[0].item() == pytest.approx(1e-4) and values[-1].item() == pytest.approx(0.02)
    assert alphas_cumprod(values)[-1].item() == pytest.approx(4.04e-5, rel=2e-3)
    assert betas("linear", 3, 0.1, 0.3).tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert alphas_cumprod(betas("linear", 3, 0.1, 0.3)).tolist() == pytest.approx([0.9, 0.72, 0.504])


def test_alpha_bar_of_minus_one_is_one():
    table = alphas_cumprod(betas())
    assert alpha_bar_at(table, -1).item() == 1.0
    assert alpha_bar_at(table, 0).item() == table[0].item()
    one = torch.ones((), dtype=torch.float64)
    mixed = alpha_bar_at(table, torch.tensor([[-1, 3], [999, -1]]))
    assert torch.equal(mixed, torch.stack([one, table[3], table[999], one]).reshape(2, 2))


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("num_timesteps", (1000, 997))
def test_every_grid_descends_and_links_up(spacing, num_timesteps):
    for num_steps in [*range(1, 51), 64, 128, 333, 501, 999 % num_timesteps, num_timesteps]:
        pairs = timestep_pairs(num_steps, num_timesteps, spacing)
        times = [t for t, _ in pairs]
        assert len(pairs) == num_steps
        assert all(isinstance(t, int) and 0 <= t < num_timesteps for t in times)
        assert all(a > b for a, b in zip(times, times[1:], strict=False))
        assert [t_next for _, t_next in pairs] == [*times[1:], -1]
        assert inversion_pairs(num_steps, num_timesteps, spacing) == [(b, a) for a, b in reversed(pairs)]
        if spacing != "leading":
            assert times[0] == num_timesteps - 1
        if spacing == "leading" or (spacing == "linspace" and num_steps > 1):
            assert times[-1] == 0


def test_grids_of_four_steps():
    assert [t for t, _ in timestep_pairs(4, 1000, "trailing")] == [999, 749, 499, 249]
    assert [t for t, _ in timestep_pairs(4, 1000, "leading")] == [750, 500, 250, 0]
    assert [t for t, _ in timestep_pairs(4, 1000, "linspace")] == [999, 666, 333, 0]


@pytest.mark.parametrize(
    "call",
    (
        lambda: betas("quadratic"),
        lambda: betas(num_timesteps=0),
        lambda: betas(beta_end=1.5),
        lambda: timestep_pairs(0),
        lambda: timestep_pairs(1001),
        lambda: timestep_pairs(10, spacing="karras"),
    ),
)
def test_bad_settings_are_refused(call):
    with pytest.raises(ValueError, match="scaled_linear|num_timesteps|num_steps|spacing"):
        call()
