# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from custom.inferers.gap_filling import fill_gaps
from custom.inferers.gaps import GapInferer
from custom.inferers.plan import plan_gap
from custom.interpolators.base import MIDDLE, Interpolator, Reach
from custom.interpolators.classical import LinearFrames
from custom.networks.batching import BatchSize


class Average(Interpolator):
    """Knows the middle of a gap, the average of the two central frames; a record of what it was asked."""

    reach = MIDDLE

    def __init__(self, num_neighbours=2):
        super().__init__()
        self.num_neighbours = num_neighbours
        self.asked, self.seeds, self.seen, self.wrapped = [], [], [], set()

    def interpolate(self, neighbours, positions, seeds=None, wrap_rows=False):
        assert len(neighbours) == len(seeds) and neighbours.shape[1] == self.num_neighbours
        self.reach.places(positions)
        self.asked.append(len(neighbours))
        self.seeds.append(list(seeds))
        self.wrapped.add(wrap_rows)
        self.seen += [values.flatten(1)[:, 0].tolist() for values in neighbours]
        middle = self.num_neighbours // 2
        return neighbours[:, middle - 1 : middle + 1].mean(1, keepdim=True)


def ramp(*space, batch=2):
    """Neighbours whose values are 0 and 1 plus the batch index."""
    offsets = torch.arange(batch, dtype=torch.float64).view(batch, 1, *(1,) * len(space))
    ends = [torch.zeros(batch, 1, *space, dtype=torch.float64) + offsets + value for value in (0, 1)]
    return torch.stack(ends, dim=1)


def fill(network, neighbours, factor, seeds=None, batch_size=100, **options):
    seeds = range(len(neighbours)) if seeds is None else seeds
    plan = plan_gap(factor, network.reach, network.resampling)
    return fill_gaps(network, neighbours, plan, lambda item, window: seeds[item], BatchSize(batch_size), **options)[0]


@pytest.mark.parametrize("space", [(4, 5), (3, 4, 5)])
@pytest.mark.parametrize("factor", [2, 3, 4, 5, 6, 8, 12])
def test_a_linear_change_is_reproduced_at_every_position(factor, space):
    dense = fill(Average(), ramp(*space), factor)
    assert dense.shape == (2, factor - 1, 1, *space)
    expected = torch.arange(1, factor, dtype=torch.float64) / factor
    torch.testing.assert_close(dense[0, :, 0, ..., 0, 0].reshape(factor - 1, -1)[:, 0], expected)
    torch.testing.assert_close(dense[1] - 1, dense[0])


def test_one_batch_per_level_holds_all_gaps():
    network = Average()
    fill(network, ramp(2, 2, batch=5), 8, [9, 8, 7, 6, 5])
    assert network.asked == [5, 10, 20]
    # All slices of a gap start from the seed of the gap.
    assert network.seeds[1] == [9, 9, 8, 8, 7, 7, 6, 6, 5, 5]


def test_batches_are_cut_to_size_without_changing_the_result():
    small, large = Average(), Average()
    assert torch.equal(fill(small, ramp(2, 2), 8, batch_size=3), fill(large, ramp(2, 2), 8))
    assert max(small.asked) == 3


def test_outer_neighbours_are_given_where_known_and_replicated_within_the_gap():
    network, known = Average(4), torch.tensor([-8.0, 0.0, 8.0, 16.0]).view(1, 4, 1, 1, 1)
    assert fill(network, known, 4).flatten().tolist() == [2, 4, 6]
    # The middle slice is known when the quarters are asked for; the quarters beyond the gap are not.
    assert network.seen == [[-8, 0, 8, 16], [0, 0, 4, 8], [0, 4, 8, 8]]


def test_wrapped_rows_are_told_as_an_argument():
    network = Average()
    fill(network, ramp(2, 2), 4, wrap_rows=True)
    assert network.wrapped == {True}


def test_a_gap_inferer_asks_a_midpoint_method_level_by_level():
    network = Average()
    slices = torch.arange(4, dtype=torch.float64).expand(1, 1, 2, 2, 4).contiguous()
    dense = GapInferer(factor=4, batch_size=64, axis=2)(slices, network)
    torch.testing.assert_close(dense[0, 0, 0, 0], torch.arange(13, dtype=torch.float64) / 4)
    assert network.asked == [3, 6]


def test_positions_beyond_the_reach_are_refused():
    assert Reach(12).places(torch.tensor([1 / 12, 0.25, 0.5])) == [1, 3, 6]
    with pytest.raises(ValueError, match="knows the positions k / 2 of a gap, not"):
        MIDDLE.places(torch.tensor([0.25]))


class Hungry(LinearFrames):
    """A method that has memory for so many windows."""

    def __init__(self, fits):
        super().__init__()
        self.fits, self.asked = fits, []

    def interpolate(self, neighbours, positions, seeds=None, wrap_rows=False):
        self.asked.append(len(neighbours))
        if len(neighbours) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().interpolate(neighbours, positions, seeds, wrap_rows)


def test_out_of_memory_halves_the_batch_for_good(caplog):
    network, frames = Hungry(3), list(torch.rand(20, 1, 1, 4, 4))
    inferer = GapInferer(factor=4, batch_size=16)
    dense = torch.stack([frame.mean for frame in inferer.stream(frames, network)])
    plain = torch.stack([frame.mean for frame in inferer.stream(frames, LinearFrames())])
    assert torch.equal(dense, plain)
    assert network.asked == [16, 8, 4, *[2] * 8, 2, 1]
    assert caplog.messages[0] == "out of memory with 16 at once: 8 from here on" and len(caplog.messages) == 3


def test_a_window_that_does_not_fit_alone_is_told_in_one_line():
    with pytest.raises(MemoryError, match="^one window of 4x4 does not fit in the memory of cpu; use a smaller"):
        list(GapInferer(factor=4).stream(list(torch.rand(3, 1, 1, 4, 4)), Hungry(0)))
