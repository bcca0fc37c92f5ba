# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from custom.networks.regression_unet import RegressionUNet


@pytest.mark.parametrize(("neighbours", "outputs"), [(2, 1), (4, 1), (2, 11)])
def test_untrained_it_is_linear_interpolation_between_the_central_slices(neighbours, outputs):
    network = RegressionUNet(neighbours, outputs, features=(8, 8, 8, 16, 16, 8))
    images = torch.rand(2, neighbours, 16, 32)
    shares = (torch.arange(1, outputs + 1) / (outputs + 1)).view(1, -1, 1, 1)
    left = neighbours // 2 - 1
    expected = torch.lerp(images[:, left, None], images[:, left + 1, None], shares)
    torch.testing.assert_close(network(images), expected)


def test_it_learns_what_linear_interpolation_cannot():
    """A disc that moves: halfway between its two places is one disc, and not two faint ones."""
    torch.manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")

    def disc(centres):
        distance = (rows - 16).square() + (columns - centres.view(-1, 1, 1)).square()
        return torch.sigmoid((25 - distance) / 4)

    network = RegressionUNet(features=(8, 8, 16, 16, 16, 8))
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(60):
        middle = 12 + 8 * torch.rand(8)
        known, truth = torch.stack([disc(middle - 4), disc(middle + 4)], 1), disc(middle)[:, None]
        loss = (network(known) - truth).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.5 * (known.mean(1, keepdim=True) - truth).abs().mean()
