# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from custom.networks.motion import FLOW_SCALE, MotionNetwork

TINY = {"motion_features": (8, 8, 8, 8, 8, 8), "residual_features": (8, 8, 8, 8, 8, 8)}


def smooth(batch=2, side=64, seed=0):
    noise = torch.rand(batch, 1, side // 8, side // 8, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, size=(side, side), mode="bicubic", align_corners=True).clamp(0, 1)


@pytest.fixture
def network():
    torch.manual_seed(1)
    return MotionNetwork(**TINY)


def give_flow(network, before, after):
    """Make the flow head constant, in pixels (x, y)."""
    with torch.no_grad():
        network.motion.final_conv.bias[:4] = torch.tensor([*before, *after]) / FLOW_SCALE


def test_untrained_it_is_linear_interpolation_at_any_position(network):
    pair, places = torch.cat([smooth(seed=1), smooth(seed=2)], dim=1), torch.tensor([0.25, 0.9])
    found, share = network(pair, places), places.view(-1, 1, 1, 1)
    torch.testing.assert_close(found.image, (1 - share) * pair[:, :1] + share * pair[:, 1:])
    torch.testing.assert_close(found.blend, found.image)
    assert not found.flows.any()


def test_flows_lead_from_the_asked_slice_to_the_known_ones(network):
    # The content moves 6 px down and 3 px left from the first slice to the last: (2, -1) after a third of the way.
    wide = smooth(1, 96, seed=3)
    first, there, last = (wide[..., 16 - y : 80 - y, 16 - x : 80 - x] for y, x in ((0, 0), (2, -1), (6, -3)))
    give_flow(network, before=(1, -2), after=(-2, 4))
    found = network(torch.cat([first, last], dim=1), torch.tensor([1 / 3]))
    inner = (..., slice(8, -8), slice(8, -8))
    torch.testing.assert_close(found.image[inner], there[inner], atol=1e-5, rtol=0)
    assert (found.image - there)[inner].abs().max() < 0.01 * (first - there)[inner].abs().max()


def test_both_ways_do_not_know_the_order(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5)))
    pair, places = torch.cat([smooth(seed=1), smooth(seed=2)], dim=1), torch.tensor([0.3, 0.5])
    one, other = network.both_ways(pair, places), network.both_ways(pair.flip(1), 1 - places)
    torch.testing.assert_close(one.image, other.image)
    torch.testing.assert_close(one.flows, other.flows.flip(1))
    torch.testing.assert_close(one.log_scale, other.log_scale)
    assert (network(pair, places).image - one.image).abs().max() > 1e-4


def test_a_step_reaches_every_parameter(network):
    pair, target = torch.cat([smooth(seed=1), smooth(seed=2)], dim=1), smooth(seed=4)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(2):  # behind heads that start at zero, gradients come with the second step
        optimizer.zero_grad()
        found = network(pair, torch.tensor([0.3, 0.6]))
        error = (found.image - target).abs()
        (error.mean() + (error.detach() * (-found.log_scale).exp() + found.log_scale).mean()).backward()
        optimizer.step()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


def test_the_expected_error_is_learnt_without_touching_the_slice(network):
    pair, target = torch.cat([smooth(seed=1), smooth(seed=2)], dim=1), smooth(seed=4)
    found = network(pair, torch.tensor([0.3, 0.6]))
    ((found.image - target).abs().detach() * (-found.log_scale).exp() + found.log_scale).mean().backward()
    assert not network.motion.final_conv.weight.grad.any()
    head = network.residual.final_conv.bias.grad
    assert head[4:].any() and not head[:4].any()


def test_four_neighbours_help_and_only_the_inner_two_are_displaced():
    torch.manual_seed(1)
    network = MotionNetwork(**TINY, num_neighbours=4)
    slices, places = torch.cat([smooth(seed=k) for k in range(4)], dim=1), torch.tensor([0.25, 0.9])
    found, share = network(slices, places), places.view(-1, 1, 1, 1)
    torch.testing.assert_close(found.image, (1 - share) * slices[:, 1:2] + share * slices[:, 2:3])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5)))
    other = slices.clone()
    other[:, 0] = other[:, 3] = 0
    assert (network(slices, places).image - network(other, places).image).abs().max() > 1e-4
    one, turned = network.both_ways(slices, places), network.both_ways(slices.flip(1), 1 - places)
    torch.testing.assert_close(one.image, turned.image)
    with pytest.raises(ValueError, match="2 or 4, got 3"):
        MotionNetwork(num_neighbours=3)
