# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from custom.inferers.gaps import GapInferer
from custom.interpolators.direct import DirectInterpolator
from custom.networks.residual_dense import ResidualDenseBlock, ResidualDenseNetwork
from custom.networks.tscnet import TSCNet

TINY = dict(features=8, growth=4, num_blocks=2, layers=2, factor=4)


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_dense_block_sees_all_features_before_and_adds_its_input():
    block = ResidualDenseBlock(8, 4, 3)
    assert [layer.in_channels for layer in block.layers] == [8, 12, 16] and block.fusion.in_channels == 20
    torch.nn.init.zeros_(block.fusion.weight)
    torch.nn.init.zeros_(block.fusion.bias)
    x = torch.rand(1, 8, 5, 6)
    assert torch.equal(block(x), x)


def test_every_dense_block_is_heard_in_the_fusion():
    network = ResidualDenseNetwork(1, 1, features=8, growth=4, num_blocks=3, layers=2)
    network(torch.rand(1, 1, 8, 8)).sum().backward()
    assert network.fusion[0].in_channels == 24
    for part in network.fusion[0].weight.grad.split(8, dim=1):
        assert part.abs().max() > 0


def test_sizes_of_paper_and_compact_network():
    # As counted in the unofficial code: 5.61 million.
    assert parameters(TSCNet(64, 64, 3, 5, factor=1, residual=False)) == 5_609_409
    assert 2.25e6 < parameters(TSCNet()) < 9e6


def test_untrained_network_is_the_average_and_the_papers_is_not():
    images = torch.rand(2, 2, 16, 24)
    torch.testing.assert_close(TSCNet(**TINY)(images), images.mean(dim=1, keepdim=True))
    plain = TSCNet(**TINY, residual=False)(images)
    assert plain.shape == (2, 1, 16, 24) and not torch.allclose(plain, images.mean(dim=1, keepdim=True), atol=0.05)


@pytest.mark.parametrize("factor", [1, 4])
def test_each_slice_has_a_feature_network_of_its_own_and_both_are_read(factor):
    torch.manual_seed(0)
    network = TSCNet(**{**TINY, "factor": factor}, residual=False)
    images = torch.rand(1, 2, 16, 16, requires_grad=True)
    network(images).sum().backward()
    assert all(images.grad[0, k].abs().max() > 0 for k in range(2))
    assert network.before.shallow.weight.grad is not None and network.after.shallow.weight.grad is not None
    assert not torch.allclose(network(images), network(images.flip(1)))


def test_two_passes_reach_quarters_of_a_gap():
    torch.manual_seed(0)
    network = TSCNet(**TINY, residual=False)
    method = DirectInterpolator(network, tile_size=(32, 32)).eval()
    pair = torch.rand(1, 2, 1, 16, 16)
    dense = GapInferer(factor=4, axis=2)(pair.permute(0, 2, 3, 4, 1), method)  # slices on the last axis
    quarter, half = dense[..., 1], dense[..., 2]
    with torch.no_grad():
        middle = network(pair.squeeze(2)).clamp(0, 1)
        torch.testing.assert_close(half, middle)
        torch.testing.assert_close(quarter, network(torch.cat([pair[:, 0], middle], dim=1)).clamp(0, 1))
