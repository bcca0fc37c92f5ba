# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
import torch

from custom.diffusion.speckle import add_speckle, correlated_noise, speckle_like
from custom.evaluation.oct_sampling import SAMPLINGS, read_frames
from custom.metrics.speckle import speckle_statistics


@pytest.fixture
def frames():
    """Two clean frames: a dark lumen with a little noise, tissue that fades with depth."""
    depth = torch.arange(160).view(1, 1, 1, -1)
    gray = torch.where(depth < 60, torch.tensor(0.02), 0.4 - 0.002 * (depth - 60)).expand(2, 1, 200, 160)
    return gray + 0.005 * torch.rand(2, 1, 200, 160, generator=torch.Generator().manual_seed(0))


def measured(frames):
    return speckle_statistics(frames[:, 0].numpy())


def test_noise_is_of_unit_variance_and_has_the_asked_lengths():
    noise = correlated_noise((300, 301), axial=3.0, lateral=1.5, seeds=[1, 2, 3, 4])
    assert noise.std().item() == pytest.approx(1, abs=0.02) and abs(noise.mean().item()) < 0.02
    for axis, length in ((2, 3.0), (1, 1.5)):
        low, high = (noise * noise.roll(int(step), axis) for step in (np.floor(length), np.ceil(length)))
        assert high.mean() < 1 / np.e < low.mean() + 0.03, "1/e lies between the whole pixels around the length"


def test_tissue_gets_the_asked_speckle_and_keeps_its_gray(frames):
    out = add_speckle(frames, 0.3, axial=2.4, lateral=1.5, seeds=[1, 2])
    found = measured(out)
    assert found.contrast == pytest.approx(0.3, rel=0.12)
    assert found.axial == pytest.approx(2.4, rel=0.15) and found.lateral == pytest.approx(1.5, rel=0.15)
    assert torch.equal(out[..., :50], frames[..., :50]), "the noise floor is left alone"
    assert out[..., 70:].mean().item() == pytest.approx(frames[..., 70:].mean().item(), rel=0.02)
    assert out.min() >= 0 and out.max() <= 1 and out.dtype == frames.dtype
    bright, dim = (out[..., where].std() / frames[..., where].mean() for where in (slice(70, 80), slice(145, 155)))
    assert dim > bright, "a multiple of the amplitude, not a constant"


def test_a_seed_is_a_grain_whatever_else_is_in_the_batch(frames):
    one = add_speckle(frames, 0.3, 2.4, 1.5, seeds=[7, 8])
    assert torch.equal(one[1:], add_speckle(frames[1:], 0.3, 2.4, 1.5, seeds=[8]))
    assert not torch.equal(one[0], add_speckle(frames, 0.3, 2.4, 1.5, seeds=[9, 8])[0])
    assert torch.equal(add_speckle(frames, 0.0, 2.4, 1.5, seeds=[7, 8]), frames)
    with pytest.raises(ValueError, match="needs a seed"):
        add_speckle(frames, 0.3, 2.4, 1.5, seeds=[7])


def test_what_is_missing_beside_the_key_frames_is_added(frames):
    keys = add_speckle(frames, 0.35, 2.4, 1.5, seeds=[1, 2])
    average = keys.mean(0, keepdim=True)
    like, target = speckle_like(average, keys, 1.0, seeds=[5])
    assert target == measured(keys) and measured(average).contrast < 0.8 * target.contrast
    assert measured(like).contrast == pytest.approx(target.contrast, rel=0.1)
    half, _ = speckle_like(average, keys, 0.5, seeds=[5])
    assert measured(average).contrast < measured(half).contrast < measured(like).contrast
    assert speckle_like(average, keys, 0, seeds=[5])[0] is average
    assert torch.equal(speckle_like(keys[:1], keys[:1], 1.0, seeds=[5])[0], keys[:1]), "nothing is missing"
    dark = torch.zeros(1, 1, 40, 40)
    assert speckle_like(dark, dark, 1.0, seeds=[1])[0] is dark
    with pytest.raises(ValueError, match="from 0 to 1"):
        speckle_like(average, keys, 2, seeds=[5])


def test_the_average_of_real_frames_looks_like_one(real_pullback):
    frames = SAMPLINGS["polar_497x375"](read_frames(real_pullback, 101, 109)).transpose(2, 0, 1)
    keys = torch.from_numpy(frames.astype(np.float32) / 255)[:, None]
    averages = (keys[:-2:2] + keys[2::2]) / 2
    like, target = speckle_like(averages, keys, 1.0, seeds=list(range(len(averages))))
    found = measured(like)
    assert found.contrast == pytest.approx(target.contrast, rel=0.05)
    assert found.axial == pytest.approx(target.axial, rel=0.12)
    assert found.lateral == pytest.approx(target.lateral, rel=0.12)
