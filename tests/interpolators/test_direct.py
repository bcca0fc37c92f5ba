# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch
from torch import nn

from custom.inferers.gaps import GapInferer
from custom.interpolators.direct import DirectInterpolator


class Ramp(nn.Module):
    """A network that knows linear interpolation, and counts its calls and the sizes it saw."""

    divisor = 4

    def __init__(self, num_neighbours=2, num_outputs=1, fixed_size=None):
        super().__init__()
        self.num_neighbours, self.num_outputs, self.seen = num_neighbours, num_outputs, []
        if fixed_size:
            self.fixed_size = fixed_size

    def forward(self, images):
        assert images.shape[1] == self.num_neighbours
        self.seen.append(tuple(images.shape[-2:]))
        left = self.num_neighbours // 2 - 1
        shares = torch.arange(1, self.num_outputs + 1).to(images).view(1, -1, 1, 1) / (self.num_outputs + 1)
        return torch.lerp(images[:, left, None], images[:, left + 1, None], shares)


def known(count, *space, batch=2):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, count, 1, *space, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("factor", [2, 3, 4, 6, 12])
def test_positions_of_the_network_take_one_call(count, factor):
    network = Ramp(count, num_outputs=11)
    neighbours, positions = known(count, 8, 12), torch.arange(1, factor, dtype=torch.float64) / factor
    dense = DirectInterpolator(network).interpolate(neighbours, positions)
    before, after = neighbours[:, count // 2 - 1, None], neighbours[:, count // 2, None]
    torch.testing.assert_close(dense, torch.lerp(before, after, positions.view(1, -1, 1, 1, 1)))
    assert len(network.seen) == 1


def test_other_positions_are_reached_in_several_calls():
    network = Ramp(num_outputs=1)
    slices = known(2, 8, 8, batch=1)[0].movedim(0, -1)[None]
    dense = GapInferer(4, axis=2)(slices, DirectInterpolator(network))
    shares = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    torch.testing.assert_close(dense[..., 1:4], torch.lerp(slices[..., :1], slices[..., 1:], shares))
    assert len(network.seen) == 2
    with pytest.raises(ValueError, match="knows the positions k / 2"):
        DirectInterpolator(network).interpolate(known(2, 8, 8), shares)


@pytest.mark.parametrize("fixed_size", [None, 16])
@pytest.mark.parametrize("space", [(5, 7), (16, 16), (37, 22)])
def test_slices_of_any_size_come_back_in_their_size(space, fixed_size):
    network = Ramp(fixed_size=fixed_size)
    method = DirectInterpolator(network, tile_size=(24, 24), tile_overlap=0.25)
    neighbours = known(2, *space)
    middle = method.interpolate(neighbours, torch.tensor([0.5]))
    torch.testing.assert_close(middle[:, 0], neighbours.mean(1))
    if fixed_size:
        assert set(network.seen) == {(16, 16)}
    assert all(height % 4 == 0 and width % 4 == 0 and max(height, width) <= 24 for height, width in network.seen)


def test_rows_go_round_where_they_do():
    """A network that smooths along rows sees the last A-line beside the first."""

    class Smooth(Ramp):
        def forward(self, images):
            padded = nn.functional.pad(images.mean(1, keepdim=True), (0, 0, 1, 1), mode="replicate")
            return (padded[:, :, :-2] + padded[:, :, 1:-1] + padded[:, :, 2:]) / 3

    neighbours = known(2, 8, 8)
    method = DirectInterpolator(Smooth())
    middle = torch.tensor([0.5])
    turned = method.interpolate(neighbours.roll(3, -2), middle, wrap_rows=True)
    torch.testing.assert_close(turned, method.interpolate(neighbours, middle, wrap_rows=True).roll(3, -2))
    assert not torch.allclose(method.interpolate(neighbours.roll(3, -2), middle), turned)


def test_training_asks_for_the_frames_of_its_gap():
    image = known(2, 4, 4)[:, :, 0]
    method = DirectInterpolator(Ramp(num_outputs=11))
    torch.testing.assert_close(method(image, count=3), method(image)[:, [2, 5, 8]])
    with pytest.raises(ValueError, match="4 evenly spaced slices are not among the 11"):
        method(image, count=4)


def test_a_network_without_a_middle_is_refused():
    with pytest.raises(ValueError, match="num_outputs must be odd, got 2"):
        DirectInterpolator(Ramp(num_outputs=2))
