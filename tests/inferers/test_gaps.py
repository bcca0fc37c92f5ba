# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from custom.inferers.gaps import GapInferer
from custom.interpolators.base import Interpolator, Reach, central_pair
from custom.interpolators.cardiointerp import CardioInterp
from custom.interpolators.classical import CubicFrames, LinearFrames
from custom.networks.fusion_autoencoder import FusionAutoencoder
from custom.networks.video_denoiser import MaskedVideoDenoiser


class NoisyFrames(Interpolator):
    """Stochastic: the linear average plus noise from each item's seed, in gaps of up to six steps."""

    reach = Reach(most_steps=6)

    def interpolate(self, neighbours, positions, seeds=None, wrap_rows=False):
        before, after = (frame[:, None] for frame in central_pair(neighbours))
        weights = positions.reshape(1, -1, 1, 1, 1)
        noise = [
            torch.randn(len(positions), *neighbours.shape[2:], generator=torch.Generator().manual_seed(seed))
            for seed in seeds
        ]
        return (1 - weights) * before + weights * after + 0.1 * torch.stack(noise)


class Recorder(LinearFrames):
    """Linear in gaps of up to six steps; remembers the (constant) values of the neighbours, and the batch sizes."""

    reach = Reach(most_steps=6)

    def __init__(self, num_neighbours=2):
        super().__init__()
        self.num_neighbours = num_neighbours
        self.seen, self.batch_sizes, self.seeds = {}, [], []

    def interpolate(self, neighbours, positions, seeds=None, wrap_rows=False):
        self.batch_sizes.append(len(neighbours))
        self.seeds += seeds
        for item in neighbours[..., 0, 0, 0].tolist():
            middle = len(item) // 2
            self.seen[round(item[middle - 1]), round(item[middle])] = [round(value) for value in item]
        return super().interpolate(neighbours, positions, seeds)


def ramp(num_frames, factor):
    """Frames whose one value is their dense index, so that linear interpolation is exact at any position."""
    return [torch.full((1, 1, 2, 3), float(k * factor), dtype=torch.float64) for k in range(num_frames)]


@pytest.mark.parametrize("num_neighbours", [2, 4, 6])
@pytest.mark.parametrize("batch_size", [1, 3, 50])
@pytest.mark.parametrize("factor", [2, 6, 7, 11, 13, 37])
def test_a_ramp_comes_out_dense_and_in_order(factor, batch_size, num_neighbours):
    network = Recorder(num_neighbours)
    dense = list(GapInferer(factor, batch_size=batch_size).stream(ramp(6, factor), network))
    assert [frame.index for frame in dense] == list(range(5 * factor + 1))
    assert [frame.synthetic for frame in dense] == [k % factor != 0 for k in range(5 * factor + 1)]
    torch.testing.assert_close(
        torch.stack([frame.mean[0, 0, 0, 0] for frame in dense]), torch.arange(5 * factor + 1, dtype=torch.float64)
    )
    assert max(network.batch_sizes) <= batch_size
    assert len(set(network.seeds)) == len(network.seeds)


def test_acquired_frames_are_the_very_tensors():
    frames = [torch.rand(2, 1, 2, 3) for _ in range(4)]
    dense = list(GapInferer(3).stream(frames, LinearFrames()))
    assert all(out.mean is frame for out, frame in zip(dense[::3], frames, strict=True))


def test_four_neighbours_are_acquired_frames_and_replicated_at_the_ends():
    network = Recorder(4)
    list(GapInferer(8, batch_size=2).stream(ramp(3, 8), network))
    # Level 1 sees acquired frames 0, 8, 16; level 2 also what level 1 made of its own gap, 4 or 12.
    assert network.seen[0, 8] == [0, 0, 8, 16]
    assert network.seen[8, 16] == [0, 8, 16, 16]
    assert network.seen[0, 4] == [0, 0, 4, 8]
    assert network.seen[4, 8] == [0, 4, 8, 8]
    assert network.seen[8, 12] == [8, 8, 12, 16]
    assert network.seen[12, 16] == [8, 12, 16, 16]


def test_windows_of_equal_positions_share_batches():
    network = Recorder()
    list(GapInferer(36, batch_size=12).stream(ramp(5, 36), network))
    assert network.batch_sizes == [4, 12, 12]


@pytest.mark.parametrize("factor", [6, 13])
@pytest.mark.parametrize("num_samples", [1, 3])
def test_batch_size_does_not_change_the_result(num_samples, factor):
    frames = [torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(k)) for k in range(5)]

    def run(batch_size, seed=5):
        inferer = GapInferer(factor, batch_size=batch_size, num_samples=num_samples, seed=seed)
        return torch.stack([frame.mean for frame in inferer.stream(frames, NoisyFrames())])

    alone = run(1)
    assert torch.equal(alone, run(3)) and torch.equal(alone, run(100))
    assert not torch.equal(alone, run(3, seed=6))


@pytest.mark.parametrize("factor", [3, 7])
def test_batch_size_does_not_change_what_cardiointerp_makes(factor):
    torch.manual_seed(0)
    denoiser = MaskedVideoDenoiser(
        channels=(16, 16),
        num_res_blocks=1,
        spatial_attention=(False, True),
        temporal_attention=(True, True),
        num_head_channels=8,
        norm_num_groups=8,
    )
    network = CardioInterp(
        FusionAutoencoder(channels=8, num_res_blocks=1), denoiser, num_inference_steps=2, realism=1.0
    ).eval()
    frames = [torch.rand(1, 1, 24, 40) for _ in range(4)]

    def run(batch_size, seed=0):
        inferer = GapInferer(factor, batch_size=batch_size, num_samples=2, seed=seed)
        return [frame for frame in inferer.stream(frames, network) if frame.synthetic]

    alone, together, other = run(1), run(3), run(3, seed=1)
    for one, all_at_once in zip(alone, together, strict=True):
        torch.testing.assert_close(one.mean, all_at_once.mean, atol=1e-4, rtol=0)
        torch.testing.assert_close(one.std, all_at_once.std, atol=1e-3, rtol=0)
    assert all((one.mean - another.mean).abs().max() > 1e-3 for one, another in zip(alone, other, strict=True))


def test_every_window_of_every_level_has_its_own_noise():
    frames = [torch.zeros(1, 1, 8, 8)] * 4
    dense = [frame.mean for frame in GapInferer(12).stream(frames, NoisyFrames()) if frame.synthetic]
    correlation = np.corrcoef(torch.stack(dense).flatten(1).numpy())
    # The middle of a gap leaks into its neighbours through the second level; noise drawn twice would give 1.
    assert np.abs(correlation - np.eye(len(dense))).max() < 0.95


def test_mean_and_deviation_are_those_of_coherent_samples():
    frames = [torch.rand(1, 1, 4, 4) for _ in range(4)]
    each_index = {}

    class Keeper(NoisyFrames):
        def interpolate(self, neighbours, positions, seeds=None, wrap_rows=False):
            answer = super().interpolate(neighbours, positions, seeds)
            for frame in answer:
                each_index.setdefault(len(each_index), frame)
            return answer

    # One gap at a time and one window per gap: the calls come gap by gap, and within a gap sample by sample.
    dense = list(GapInferer(2, batch_size=1, num_samples=5).stream(frames, Keeper()))
    samples = torch.stack(list(each_index.values())).reshape(3, 5, 1, 1, 4, 4)
    for gap in range(3):
        synthetic = dense[2 * gap + 1]
        torch.testing.assert_close(synthetic.mean, samples[gap].mean(0))
        torch.testing.assert_close(synthetic.std, samples[gap].std(0, unbiased=False))
        assert dense[2 * gap].std is None


def test_samples_recurse_apart():
    """A sample's second level must stand on its own first level, not on another sample's or on the mean."""

    class Offset(LinearFrames):
        """Adds a value drawn per window at level 1 (gap of 1.0), nothing below it."""

        reach = Reach(most_steps=6)

        def interpolate(self, neighbours, positions, seeds=None, wrap_rows=False):
            draws = torch.tensor([seed % 1000 / 10 for seed in seeds]).reshape(-1, 1, 1, 1, 1)
            first_level = len(positions) == 1
            return super().interpolate(neighbours, positions) + draws * first_level

    frames = [torch.zeros(1, 1, 1, 1)] * 2
    dense = list(GapInferer(8, num_samples=4).stream(frames, Offset()))
    # Pieces of 4: the quarter lies linearly below the middle in every sample, hence also in mean and deviation.
    torch.testing.assert_close(dense[2].mean, dense[4].mean / 2)
    torch.testing.assert_close(dense[2].std, dense[4].std / 2)
    assert dense[4].std > 0


@pytest.mark.parametrize(("network", "factor"), [(LinearFrames(), 6), (LinearFrames(), 13), (CubicFrames(), 13)])
def test_memory_is_bounded_by_the_batch_and_not_by_the_pullback(network, factor):
    def most_alive(num_frames):
        alive, most = weakref.WeakSet(), 0

        def frames():
            for _ in range(num_frames):
                frame = torch.rand(1, 1, 2, 2)
                alive.add(frame)
                yield frame
                del frame

        for frame in GapInferer(factor, batch_size=2, num_samples=2).stream(frames(), network):
            if frame.synthetic:
                alive.add(frame.mean)
            most = max(most, len(alive))
        return most

    assert most_alive(40) == most_alive(20) <= (2 + 2 * 2) * factor


def test_volumes_in_memory():
    volume = torch.rand(2, 1, 3, 4, 5)
    dense = GapInferer(4, axis=2)(volume, LinearFrames())
    assert dense.shape == (2, 1, 3, 4, 17)
    assert torch.equal(dense[..., ::4], volume)
    torch.testing.assert_close(dense[..., 2], (volume[..., 0] + volume[..., 1]) / 2)


@pytest.mark.parametrize("collated", [False, True])
def test_target_spacing_is_read_from_the_affine(collated):
    affine = torch.diag(torch.tensor([1.0, 0.01, 0.2, 1.0], dtype=torch.float64))
    volume = MetaTensor(torch.rand(1, 1, 3, 4, 5), affine=affine)
    volume.affine = affine[None] if collated else affine
    dense = GapInferer(target_spacing=0.04, axis=2)(inputs=volume, network=LinearFrames())
    assert dense.shape[-1] == 21 and not isinstance(dense, MetaTensor)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": 0}, "factor must be an integer of at least 2, got 0"),
        ({"factor": 1.5}, "factor must be"),
        ({"target_spacing": -1.0}, "target_spacing must be above 0 mm"),
        ({"target_spacing": "fine"}, "target_spacing must be above 0 mm, got 'fine'"),
        ({"num_samples": 0}, "num_samples must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        list(GapInferer(**options).stream(ramp(3, 6), LinearFrames()))


def test_one_frame_and_a_target_already_met():
    with pytest.raises(ValueError, match="at least two"):
        list(GapInferer().stream(ramp(1, 6), LinearFrames()))
    with pytest.raises(ValueError, match="at least two"):
        GapInferer(axis=2)(torch.rand(1, 1, 2, 2, 1), LinearFrames())
    with pytest.raises(ValueError, match="0.2 mm, already meets the target of 0.3 mm"):
        GapInferer(target_spacing=0.3).factor_for(0.2)
    with pytest.raises(ValueError, match="is 199999 times finer than that of the scan, 0.2 mm, and at most 1000"):
        GapInferer(target_spacing=1e-6).factor_for(0.2)
