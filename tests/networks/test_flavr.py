# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from custom.networks.flavr import FLAVR, SpaceTimeGate


def flavr(**options):
    torch.manual_seed(0)
    return FLAVR(**{"channels": (4, 6, 8, 8), "blocks": (1, 1, 1, 1), "residual": False, **options}).eval()


@pytest.mark.parametrize("outputs", [1, 11])
def test_one_pass_makes_every_frame_of_the_gap_at_any_divisible_size(outputs):
    assert flavr(num_outputs=outputs)(torch.rand(2, 4, 16, 24)).shape == (2, outputs, 16, 24)


def test_the_papers_size_is_the_papers():
    """42.1 million parameters for colour; one channel saves two thirds of the stem and two filters of the head."""
    count = sum(p.numel() for p in FLAVR((64, 128, 256, 512), (2, 2, 2, 2)).parameters())
    # stem 64 x 2 channels x 3 x 7 x 7, head 2 channels x (64 x 7 x 7 + 1)
    assert round((count + 64 * 2 * 147 + 2 * (64 * 49 + 1)) / 1e6, 1) == 42.1


def test_a_gate_is_one_number_per_channel_from_the_mean_over_time_and_space():
    torch.manual_seed(0)
    gate, features = SpaceTimeGate(3), torch.rand(2, 3, 4, 5, 6)
    weights = gate(features) / features
    torch.testing.assert_close(weights, weights[:, :, :1, :1, :1].expand_as(weights))
    assert 0 < weights.min() and weights.max() < 1
    # Change one moment at one place: the weights of all moments and places change, of that item only.
    changed = features.clone()
    changed[0, 1, 3, 0, 0] += 50
    other = (gate(changed) / changed)[:, :, :1, :1, :1]
    assert (other[0] - weights[0, :, :1, :1, :1]).abs().min() > 1e-4
    torch.testing.assert_close(other[1], weights[1, :, :1, :1, :1])


def test_every_gate_sees_all_four_moments_together():
    network, seen = flavr(), []
    for module in network.modules():
        if isinstance(module, SpaceTimeGate):
            module.register_forward_hook(lambda gate, args, result: seen.append(args[0].shape[2]))
    network(torch.rand(1, 4, 16, 16))
    assert seen == [4] * 9  # four blocks, five decoder stages


def test_order_in_time_changes_the_gates_and_the_result():
    network, images = flavr(), torch.rand(1, 4, 16, 16)
    gates = []
    network.stages[0][0].branch[-1].mix.register_forward_hook(lambda module, args, result: gates.append(result))
    straight, shuffled = network(images), network(images[:, [0, 2, 1, 3]])
    assert not torch.allclose(straight, shuffled, atol=1e-4)
    assert not torch.allclose(gates[0], gates[1], atol=1e-6)


def test_convolutions_reach_across_time():
    """Without its gates, whose average couples everything, one block passes a change on to the next moment only."""
    block = flavr().stages[1]
    block[0].branch[-1] = torch.nn.Identity()
    features = torch.rand(1, 4, 7, 8, 8)
    changed = features.clone()
    changed[:, :, 0] += 1
    difference = (block(features) - block(changed)).abs().amax((0, 1, 3, 4))
    assert difference[1] > 1e-3 and difference[2] > 1e-4  # two 3x3x3 convolutions
    assert difference[3:].max() == 0


def test_a_brighter_scan_gives_a_brighter_frame_and_nothing_else():
    network, images = flavr(num_outputs=3), torch.rand(2, 4, 16, 16)
    torch.testing.assert_close(network(images + 0.25), network(images) + 0.25, atol=1e-5, rtol=0)


def test_as_a_correction_it_starts_from_linear_interpolation():
    network, images = flavr(num_outputs=3, residual=True), torch.rand(2, 4, 16, 16)
    shares = torch.tensor([0.25, 0.5, 0.75]).view(1, 3, 1, 1)
    torch.testing.assert_close(network(images), torch.lerp(images[:, 1:2], images[:, 2:3], shares))
    torch.nn.init.normal_(network.head[-1].weight, std=0.1)
    assert not torch.allclose(network(images), torch.lerp(images[:, 1:2], images[:, 2:3], shares), atol=1e-3)
    torch.testing.assert_close(network(images + 0.25), network(images) + 0.25, atol=1e-5, rtol=0)


def test_bad_options_and_sizes_are_told():
    with pytest.raises(ValueError, match="odd"):
        FLAVR(num_outputs=2)
    with pytest.raises(ValueError, match="four numbers"):
        FLAVR(channels=(4, 8))
    with pytest.raises(ValueError, match="multiples of 8"):
        flavr()(torch.rand(1, 4, 16, 20))
    with pytest.raises(ValueError, match="multiples of 8"):
        flavr()(torch.rand(1, 2, 16, 16))
