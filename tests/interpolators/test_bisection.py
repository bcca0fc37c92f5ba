# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from custom.inferers.gaps import GapInferer
from custom.interpolators.bisection import MidpointInterpolator


class Average(MidpointInterpolator):
    """The average of two slices, and a record of what was asked for."""

    def __init__(self, **options):
        super().__init__()
        self.asked, self.seeds = [], []
        for name, value in options.items():
            setattr(self, name, value)

    def midpoint(self, neighbours, seeds):
        assert len(neighbours) == len(seeds) and neighbours.shape[1] == self.num_neighbours
        self.asked.append(len(neighbours))
        self.seeds.append(list(seeds))
        return (neighbours[:, 0] + neighbours[:, -1]) / 2


def ramp(*space, batch=2):
    """Neighbours whose values are 0 and 1 plus the batch index."""
    offsets = torch.arange(batch, dtype=torch.float64).view(batch, 1, *(1,) * len(space))
    ends = [torch.zeros(batch, 1, *space, dtype=torch.float64) + offsets + value for value in (0, 1)]
    return torch.stack(ends, dim=1)


@pytest.mark.parametrize("space", [(4, 5), (3, 4, 5)])
@pytest.mark.parametrize("factor", [2, 3, 4, 5, 6, 8, 12])
def test_a_linear_change_is_reproduced_at_every_position(factor, space):
    positions = torch.arange(1, factor, dtype=torch.float64) / factor
    dense = Average().interpolate(ramp(*space), positions)
    assert dense.shape == (2, factor - 1, 1, *space)
    torch.testing.assert_close(dense[0, :, 0, ..., 0, 0].reshape(factor - 1, -1)[:, 0], positions)
    torch.testing.assert_close(dense[1] - 1, dense[0])


def test_one_batch_per_level_holds_all_gaps():
    network = Average()
    network.interpolate(ramp(2, 2, batch=5), torch.arange(1, 8) / 8, [9, 8, 7, 6, 5])
    assert network.asked == [5, 10, 20]
    # All slices of a gap start from the seed of the gap.
    assert network.seeds[1] == [9, 8, 7, 6, 5] * 2


def test_batches_are_cut_to_size_without_changing_the_result():
    positions = torch.arange(1, 8) / 8
    small, large = Average(batch_size=3), Average()
    torch.testing.assert_close(
        small.interpolate(ramp(2, 2), positions), large.interpolate(ramp(2, 2), positions), rtol=0, atol=0
    )
    assert max(small.asked) == 3


def test_only_the_midpoints_that_are_needed_are_computed():
    network = Average()
    network.interpolate(ramp(2, 2, batch=1), torch.tensor([0.125]))
    assert network.asked == [1, 1, 1]


def test_thirds_are_mixed_from_quarters_or_taken_from_the_nearest():
    third = torch.tensor([1 / 3, 2 / 3])
    mixed = Average(resampling="linear").interpolate(ramp(1, 1, batch=1), third).flatten()
    torch.testing.assert_close(mixed, third.double(), rtol=1e-6, atol=1e-6)
    nearest = Average(resampling="nearest").interpolate(ramp(1, 1, batch=1), third).flatten()
    assert nearest.tolist() == [0.25, 0.75]


def test_outer_neighbours_are_given_where_known_and_replicated_within_the_gap():
    class Outer(Average):
        num_neighbours = 4

        def midpoint(self, neighbours, seeds):
            self.seen = getattr(self, "seen", []) + [values.flatten().tolist() for values in neighbours]
            return (neighbours[:, 1] + neighbours[:, 2]) / 2

    network, known = Outer(), torch.tensor([-8.0, 0.0, 8.0, 16.0]).view(1, 4, 1, 1, 1)
    dense = network.interpolate(known, torch.tensor([0.25, 0.5, 0.75]))
    assert dense.flatten().tolist() == [2, 4, 6]
    # The middle slice is known when the quarters are asked for; the quarters beyond the gap are not.
    assert network.seen == [[-8, 0, 8, 16], [0, 0, 4, 8], [0, 4, 8, 8]]


def test_bad_options_are_named():
    with pytest.raises(ValueError, match="resampling is 'linear' or 'nearest', got 'cubic'"):
        Average(resampling="cubic").interpolate(ramp(1, 1), torch.tensor([0.5]))
    with pytest.raises(ValueError, match="64 slices in one gap; bisection goes to 63"):
        Average().interpolate(ramp(1, 1), torch.arange(1, 65) / 65)


def test_a_gap_inferer_leaves_the_recursion_to_it():
    network = Average()
    slices = torch.arange(4, dtype=torch.float64).expand(1, 1, 2, 2, 4).contiguous()
    dense = GapInferer(factor=4, batch_size=64, max_factor=64)(slices, network)
    torch.testing.assert_close(dense[0, 0, 0, 0], torch.arange(13, dtype=torch.float64) / 4)
    assert network.asked == [3, 6]
