# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import torch

from custom.networks.guess_latents import between, draw_shares
from custom.networks.motion import MotionNetwork
from custom.networks.motion_view import CHANNELS, View, look, moved, squared_error

SMALL = {"motion_features": (8,) * 6, "residual_features": (8,) * 6, "norm_num_groups": 4}


def speaking(seed=0):
    """A small motion network whose zero-initialised heads speak."""
    torch.manual_seed(seed)
    network = MotionNetwork(**SMALL).eval()
    for head in (network.motion.final_conv, network.residual.final_conv):
        torch.nn.init.normal_(head.weight, std=0.05)
    return network


def view_of(flow_x, weight, space):
    flows = torch.zeros(1, 4, *space)
    flows[:, 0] = flow_x
    ones = torch.ones(1, 1, *space)
    return View(ones, ones.expand(-1, 2, *space), weight * ones, 0.1 * ones, flows)


def test_a_view_survives_packing():
    view = look(speaking(), torch.rand(2, 2, 40, 36), torch.tensor([0.25, 0.5]))
    packed = view.packed()
    assert packed.shape == (2, CHANNELS, 40, 36)
    for part, same in zip(view, View.of(packed), strict=True):
        assert torch.equal(part, same)


def test_the_phases_of_a_cine_are_looked_at_one_by_one():
    network, cine, places = speaking(), torch.rand(2, 2, 3, 32, 32), torch.tensor([0.3, 0.6])
    together = look(network, cine, places).packed()
    alone = torch.stack([look(network, cine[:, :, phase], places).packed() for phase in range(3)], dim=2)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_features_move_by_the_flow_at_their_own_resolution():
    features = torch.rand(1, 5, 8, 8)
    first, last, weight = moved(features, features, view_of(8.0, 0.3, (32, 32)))
    assert torch.allclose(first[..., :-2], features[..., 2:], atol=1e-5)  # 8 pixels are two cells of four
    assert torch.allclose(last, features, atol=1e-5) and torch.allclose(weight, torch.tensor(0.3))
    cine = features[:, :, None].expand(-1, -1, 3, -1, -1)
    view = view_of(8.0, 0.3, (3, 32, 32))
    assert torch.allclose(moved(cine, cine, view)[0][:, :, 1], first, atol=1e-5)


def test_the_square_of_the_expected_error_is_pooled_to_cells():
    view = view_of(0.0, 0.5, (16, 16))
    assert (
        torch.allclose(squared_error(view, (4, 4)), torch.tensor(0.01)) and squared_error(view, (4, 4)).shape[-1] == 4
    )
    assert squared_error(view_of(0.0, 0.5, (3, 16, 16)), (1, 4, 4)).shape == (1, 1, 3, 4, 4)


def test_training_latents_lie_between_guess_and_truth_and_at_both_ends():
    guess, truth = torch.zeros(400, 1, 1, 1), torch.ones(400, 1, 1, 1)
    drawn = between(guess, truth, draw_shares(400, torch.Generator().manual_seed(0))).flatten()
    assert ((drawn >= 0) & (drawn <= 1)).all()
    assert 0.25 < (drawn == 0).float().mean() < 0.45 and 0.25 < (drawn == 1).float().mean() < 0.45
    assert ((drawn > 0) & (drawn < 1)).float().mean() > 0.2
