# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from custom.networks.i3net import CrossView, I2Block, I3Net


def i3net(**options):
    torch.manual_seed(0)
    return I3Net(
        **{"image_size": 32, "channels": 4, "unshuffle": 2, "window_size": 8, "residual": False, **options}
    ).eval()


@pytest.mark.parametrize("outputs", [1, 11])
def test_one_pass_makes_the_unknown_slices_of_the_central_gap(outputs):
    network = i3net(num_outputs=outputs)
    assert network(torch.rand(2, 4, 32, 32)).shape == (2, outputs, 32, 32)
    assert network.fixed_size == 32


def test_the_papers_size_is_the_papers():
    with torch.device("meta"):  # seven outputs: all slices of a window at factor 2, as published
        network = I3Net(256, 64, num_groups=8, blocks_per_group=2, unshuffle=2, window_size=16, num_outputs=7)
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == 23.2


def test_rows_are_the_channels_of_the_sagittal_view_and_columns_those_of_the_coronal():
    """A change in one row, channel for channel, stays near its column in the sagittal view, and fills the rows."""
    torch.manual_seed(0)
    block = CrossView(4, 32)
    features = torch.rand(1, 4, 32, 32)
    changed = features.clone()
    changed[..., 20, 16] += 1
    difference = (block.sagittal(features) - block.sagittal(changed)).abs().amax((0, 1))
    assert difference[:, 16].min() > 0  # all rows: convolutions mix their channels
    assert difference[:, 22:].max() == 0 and difference[:, :11].max() == 0  # columns: by two 3x3 kernels only


def test_the_coronal_view_is_the_sagittal_one_of_the_transposed_slice():
    torch.manual_seed(0)
    block = CrossView(4, 32)
    features = torch.rand(2, 4, 32, 32)
    assert not torch.allclose(block(features), block(features.mT).mT, atol=1e-4)
    block.coronal.load_state_dict(block.sagittal.state_dict())
    torch.testing.assert_close(block(features), block(features.mT).mT)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_each_of_the_three_views_counts(index):
    network, images = i3net(), torch.rand(1, 4, 32, 32)
    before = network(images)
    network.views[index].register_forward_hook(lambda module, args, result: torch.zeros_like(result))
    assert not torch.allclose(network(images), before, atol=1e-4)


def test_a_block_is_its_features_and_two_branches():
    torch.manual_seed(0)
    block, features = I2Block(4, 16, window_size=8).double(), torch.rand(1, 4, 16, 16, dtype=torch.float64)
    expected = features + block.inter(features) + block.intra(features)
    torch.testing.assert_close(block(features), expected)
    # One pixel reaches its neighbourhood through the inter-slice branch, and the whole slice through the spectrum.
    changed = features.clone()
    changed[:, 0, 0, 0] += 1  # one channel: its norm takes away what all have in common
    inter, intra = ((branch(features) - branch(changed)).abs().amax((0, 1)) for branch in (block.inter, block.intra))
    assert inter[:4, :4].min() > 0 and inter[6:].max() == 0 and inter[:, 6:].max() == 0
    assert intra.min() > 1e-9


def test_as_a_correction_it_starts_from_linear_interpolation():
    network, images = i3net(residual=True), torch.rand(2, 4, 32, 32)
    torch.testing.assert_close(network(images), images[:, 1:3].mean(1, keepdim=True))
    torch.nn.init.normal_(network.tail[-1].weight)
    assert not torch.allclose(network(images), images[:, 1:3].mean(1, keepdim=True), atol=1e-3)


def test_gradients_reach_every_parameter():
    network = i3net()
    network(torch.rand(2, 4, 32, 32)).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_bad_options_and_sizes_are_told():
    with pytest.raises(ValueError, match="multiple"):
        i3net(image_size=36)
    with pytest.raises(ValueError, match="num_groups is even"):
        i3net(num_groups=3)
    with pytest.raises(ValueError, match="odd"):
        i3net(num_outputs=4)
    with pytest.raises(ValueError, match=r"takes \(B, 4, 32, 32\), got \(1, 4, 64, 64\)"):
        i3net()(torch.rand(1, 4, 64, 64))
