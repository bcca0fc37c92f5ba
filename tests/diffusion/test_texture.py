# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from custom.diffusion.texture import texture_like


def draws(like):
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(4))


def scene(size=96, noise=0.04, seed=0):
    """A disc; acquired slices on either side of it with noise, a synthetic one without."""
    generator = torch.Generator().manual_seed(seed)
    place = torch.arange(size) - size / 2
    disc = 0.3 + 0.4 * torch.sigmoid((size / 4 - (place[:, None] ** 2 + place**2).sqrt()) / 2)
    beside = disc + noise * torch.randn(1, 2, size, size, generator=generator)
    return disc.expand(1, 1, -1, -1), beside.clamp(0, 1)


def finest(images):
    return (images - F.avg_pool2d(images, 3, 1, 1, count_include_pad=False)).square().mean().sqrt()


def test_the_finest_band_is_as_strong_as_beside():
    made, beside = scene()
    assert finest(made) < 0.2 * finest(beside)
    textured = texture_like(made, beside, 1.0, draws)
    assert 0.9 < finest(textured) / finest(beside) < 1.1
    half = texture_like(made, beside, 0.5, draws)
    assert finest(made) < finest(half) < finest(textured)


def test_it_is_added_where_it_is_missing_and_nowhere_else():
    made, beside = scene()
    beside[..., 48:] = made[..., 48:]  # the right half beside is as smooth as what was made
    change = (texture_like(made, beside, 1.0, draws) - made).abs()
    assert change[..., 64:].max() < 2e-3 < 0.02 < change[..., :32].mean()
    assert torch.equal(texture_like(made, beside, 0.0, draws), made)


def test_the_phases_of_a_cine_have_their_own_grain():
    made, beside = scene()
    cine = texture_like(made[:, :, None].repeat(1, 1, 3, 1, 1), beside[:, :, None].repeat(1, 1, 3, 1, 1), 1.0, draws)
    assert cine.shape == (1, 1, 3, 96, 96)
    first, second = (cine[:, :, phase] - made for phase in (0, 1))
    assert abs(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1]) < 0.1


def test_a_realism_out_of_range_is_told():
    with pytest.raises(ValueError, match="realism must be from 0 to 1"):
        texture_like(*scene(), 2.0, draws)
