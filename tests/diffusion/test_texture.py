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


def cine_of(share, phases=8):
    """A cine without texture, and acquired slices beside it whose noise is new in every phase to this share."""
    made, _ = scene()
    noise = torch.randn(1, 2, phases, 96, 96, generator=torch.Generator().manual_seed(1))
    noise = share**0.5 * noise + (1 - share) ** 0.5 * noise[:, :, :1].flip(-1)
    return made[:, :, None].repeat(1, 1, phases, 1, 1), made[:, :, None] + 0.04 * noise


def roughness(cine):
    return (cine.roll(1, 2) - 2 * cine + cine.roll(-1, 2)).square().mean().sqrt()


@pytest.mark.parametrize("share", [1.0, 0.25, 0.05])
def test_a_cine_flickers_as_much_as_those_beside_it(share):
    generator = torch.Generator().manual_seed(9)
    made, beside = cine_of(share)
    cine = texture_like(made, beside, 1.0, lambda like: torch.randn(like.shape, generator=generator))
    assert cine.shape == made.shape and 0.9 < finest(cine[:, 0]) / finest(beside[:, 0]) < 1.1
    assert 0.85 < roughness(cine) / roughness(beside) < 1.15


def test_texture_stands_still_where_it_does_beside_and_of_two_phases_each_has_its_own():
    generator = torch.Generator().manual_seed(9)
    made, beside = cine_of(0.0)
    cine = texture_like(made, beside, 1.0, lambda like: torch.randn(like.shape, generator=generator))
    torch.testing.assert_close(cine, cine[:, :, :1].expand_as(cine), atol=1e-5, rtol=0)
    assert (cine - made).std() > 0.02
    two = texture_like(made[:, :, :2], beside[:, :, :2], 1.0, lambda like: torch.randn(like.shape, generator=generator))
    assert abs(torch.corrcoef((two - made[:, :, :2])[0, 0].flatten(1))[0, 1]) < 0.1


def test_a_realism_out_of_range_is_told():
    with pytest.raises(ValueError, match="realism must be from 0 to 1"):
        texture_like(*scene(), 2.0, draws)
