# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Stacks that go through the network side by side: the phases of a cine, the volumes of a batch."""

from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor

from custom.inferers.gaps import GapInferer
from custom.interpolators.base import MIDDLE, Interpolator


class NoisySlices(Interpolator):
    """Linear plus noise from each item's seed, for any number of spatial axes; remembers batch sizes and seeds."""

    def __init__(self, takes_phases=False):
        super().__init__()
        self.takes_phases = takes_phases
        self.spaces, self.seeds = [], []

    def interpolate(self, neighbours, positions, seeds=None, wrap_rows=False):
        self.spaces.append(tuple(neighbours.shape[3:]))
        self.seeds.append(list(seeds))
        weights = positions.reshape(1, -1, *(1,) * (neighbours.ndim - 2))
        shape = len(positions), *neighbours.shape[2:]
        noise = torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
        return (1 - weights) * neighbours[:, :1] + weights * neighbours[:, 1:] + 0.1 * noise


def stacked(frames):
    return torch.stack([frame.mean for frame in frames])


@pytest.mark.parametrize("factor", [4, 13])
@pytest.mark.parametrize("batch_size", [1, 2, 7, 100])
def test_each_stack_comes_out_as_it_does_alone(batch_size, factor):
    frames = list(torch.rand(4, 3, 1, 5, 6))
    inferer = GapInferer(factor, batch_size=batch_size, num_samples=2)
    network = NoisySlices()
    together = stacked(inferer.stream(frames, network))
    assert together.shape == (3 * factor + 1, 3, 1, 5, 6)
    for k in range(3):
        alone = stacked(inferer.stream([frame[k : k + 1] for frame in frames], NoisySlices()))
        assert torch.equal(together[:, k], alone[:, 0])
    assert max(map(len, network.seeds)) <= batch_size


def test_stacks_side_by_side_share_their_noise():
    frames = [torch.zeros(3, 1, 5, 6)] * 3
    dense = stacked(GapInferer(4, batch_size=100).stream(frames, NoisySlices()))
    assert torch.equal(dense[:, 0], dense[:, 1]) and torch.equal(dense[:, 0], dense[:, 2])
    assert not torch.equal(dense[1], dense[5]), "gaps differ"


def test_all_gaps_and_stacks_of_a_level_fill_one_batch():
    network = NoisySlices()
    network.reach = MIDDLE
    list(GapInferer(4, batch_size=20).stream(list(torch.rand(5, 5, 1, 2, 2)), network))
    # Bisection: 4 gaps x 5 stacks, then both halves of each, in as few calls as 20 windows allow.
    assert [len(seeds) for seeds in network.seeds] == [20, 20, 20]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_volumes_in_memory_along_any_axis(axis):
    volumes = torch.rand(2, 1, 4, 5, 6)
    network = NoisySlices()
    dense = GapInferer(3, axis=axis, batch_size=50)(volumes, network)
    across = [size for k, size in enumerate((4, 5, 6)) if k != axis]
    assert set(network.spaces) == {tuple(across)}
    turned = GapInferer(3, axis=2)(volumes.movedim(2 + axis, -1), NoisySlices())
    assert torch.equal(dense.movedim(2 + axis, -1), turned)
    assert torch.equal(turned[..., ::3], volumes.movedim(2 + axis, -1))


@pytest.mark.parametrize("axis", [0, 2])
def test_a_method_of_single_slices_does_a_cine_phase_by_phase(axis):
    cines = torch.rand(2, 1, 4, 5, 6, 3)
    network = NoisySlices()
    dense = GapInferer(2, axis=axis, batch_size=100)(cines, network)
    assert torch.equal(dense.movedim(2 + axis, 0)[::2], cines.movedim(2 + axis, 0))
    for phase in range(3):
        assert torch.equal(dense[..., phase], GapInferer(2, axis=axis)(cines[..., phase], NoisySlices()))
    assert len(network.seeds) == 1, "phases and volumes of all gaps are one batch"


def test_a_cine_method_gets_phases_before_rows():
    cines = torch.rand(2, 1, 4, 5, 6, 3)
    network = NoisySlices(takes_phases=True)
    dense = GapInferer(2, batch_size=100, axis=2)(cines, network)
    assert network.spaces == [(3, 4, 5)] and len(network.seeds[0]) == 2 * 5
    assert dense.shape == (2, 1, 4, 5, 11, 3) and torch.equal(dense[..., ::2, :], cines)
    straight = (cines[..., 0, :] + cines[..., 1, :]) / 2
    assert (dense[..., 1, :] - straight).std() == pytest.approx(0.1, rel=0.3)
    with pytest.raises(ValueError, match="takes the phases of a cine together"):
        GapInferer(2, axis=2)(cines[..., 0], network)


def test_the_through_plane_axis_and_its_spacing_are_read_from_the_affine():
    affine = torch.diag(torch.tensor([1.5, 9.0, 1.5, 1.0], dtype=torch.float64))
    volume = MetaTensor(torch.rand(1, 1, 4, 3, 6), affine=affine)
    assert GapInferer(target_spacing=3.0, axis=None)(volume, NoisySlices()).shape == (1, 1, 4, 7, 6)
    with pytest.raises(ValueError, match="already meets"):
        GapInferer(target_spacing=3.0, axis=2)(volume, NoisySlices())
    with pytest.raises(ValueError, match="no affine"):
        GapInferer(2, axis=None)(volume.as_tensor(), NoisySlices())


@pytest.mark.parametrize(
    ("shape", "axis", "message"),
    [((1, 2, 3, 4), 2, "volumes are"), ((1,) * 7, 2, "volumes are"), ((1, 1, 2, 3, 4), 3, "axis must be 0, 1, 2")],
)
def test_other_dimensions_are_refused(shape, axis, message):
    with pytest.raises(ValueError, match=message):
        GapInferer(2, axis=axis)(torch.rand(shape), NoisySlices())
