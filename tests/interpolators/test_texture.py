# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Texture of synthetic slices, on scenes whose strength, place and truth are known."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from custom.interpolators.motion import MotionInterpolator
from custom.interpolators.texture import with_texture

HALF = torch.full((1, 1, 96, 96), 0.5)


def scene(size=96, noise=0.04, seed=0):
    """A disc without grain, and its neighbours on either side, each with a grain of its own."""
    generator = torch.Generator().manual_seed(seed)
    place = torch.arange(size) - size / 2
    disc = 0.3 + 0.4 * torch.sigmoid((size / 4 - (place[:, None] ** 2 + place**2).sqrt()) / 2)
    beside = disc + noise * torch.randn(1, 2, size, size, generator=generator)
    return disc.expand(1, 1, -1, -1), beside.clamp(0, 1)


def finest(images):
    return (images - F.avg_pool2d(images, 3, 1, 1, count_include_pad=False)).square().mean().sqrt()


def test_the_finest_band_becomes_as_strong_as_beside_and_half_of_it_lies_between():
    made, beside = scene()
    assert finest(made) < 0.2 * finest(beside)
    textured, _ = with_texture(made, beside, HALF, beside, 1.0)
    assert 0.93 < finest(textured) / finest(beside) < 1.07
    half, _ = with_texture(made, beside, HALF, beside, 0.5)
    torch.testing.assert_close(half, (made + textured) / 2, atol=1e-6, rtol=0)


def test_it_is_the_texture_of_the_neighbour_that_lies_nearer():
    made, beside = scene()
    for weight, near, far in ((0.97, 0, 1), (0.03, 1, 0)):
        added = with_texture(made, beside, torch.full_like(made, weight), beside, 1.0)[0] - made
        alike = [torch.corrcoef(torch.stack([added.flatten(), (beside - made)[:, k].flatten()]))[0, 1] for k in (0, 1)]
        assert alike[near] > 0.9 and abs(alike[far]) < 0.3


def test_a_slice_that_has_the_texture_already_is_left_as_it_is():
    _, beside = scene()
    first = beside[:, :1]
    textured, error = with_texture(first, beside, torch.ones_like(first), beside, 1.0, 0.01 * torch.ones_like(first))
    assert (textured - first).abs().mean() < 0.1 * 0.04
    assert error.mean() < 0.0105


def test_edges_that_the_slice_has_are_not_doubled():
    made, beside = scene(noise=0.0)
    textured, _ = with_texture(made, beside, HALF, beside, 1.0)
    assert (textured - made).abs().max() < 0.01


def test_it_is_added_where_it_is_missing_and_nowhere_else():
    made, beside = scene()
    beside[..., 48:] = made[..., 48:]  # the right half beside is as smooth as what was made
    change = (with_texture(made, beside, HALF, beside, 1.0)[0] - made).abs()
    assert change[..., 72:].max() < 2e-3 < 0.02 < change[..., :32].mean()
    unchanged = torch.rand(1, 1, 96, 96)
    assert with_texture(made, beside, HALF, beside, 0.0, unchanged) == (made, unchanged)


def test_what_warping_softened_is_put_back():
    made, beside = scene()
    soft = (beside + beside.roll(1, -1)) / 2  # half a pixel to the side, read bilinearly
    textured, _ = with_texture(made, soft, HALF, beside, 1.0)
    assert finest(soft) < 0.75 * finest(beside) and 0.9 < finest(textured) / finest(beside) < 1.1


def test_what_warping_lost_is_not_made_up():
    made, beside = scene()
    lost = 0.5 + 0.001 * torch.randn(
        beside.shape, generator=torch.Generator().manual_seed(5)
    )  # tissue out of the picture
    textured, _ = with_texture(made, lost, HALF, beside, 1.0)
    assert (textured - made).abs().mean() < 0.1 * (with_texture(made, beside, HALF, beside, 1.0)[0] - made).abs().mean()


def test_the_expected_error_grows_by_what_was_added():
    made, beside = scene(noise=0.06)
    error = torch.full_like(made, 0.03)
    textured, told = with_texture(made, beside, HALF, beside, 1.0, error)
    inner = (slice(None), slice(None), slice(16, 80), slice(16, 80))
    added = (textured - made)[inner].square().mean()
    assert told[inner].square().mean() == pytest.approx(float(0.03**2 + added / 2), rel=0.1)
    # A truth that differs from the smooth slice by a Laplace draw, and not by the neighbours' grain.
    draw = torch.distributions.Laplace(0.0, 0.03).sample(made.shape)
    assert float((textured - made - draw).square().mean()) == pytest.approx(float(2 * told.square().mean()), rel=0.1)


def test_phases_of_a_cine_take_the_texture_of_their_own_phase():
    made, _ = scene()
    cine = made[:, :, None].repeat(1, 1, 3, 1, 1)
    grain = 0.04 * torch.randn(1, 2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    together, _ = with_texture(cine, cine + grain, HALF[:, :, None].expand_as(cine), cine + grain, 1.0)
    for phase in range(3):
        beside = made + grain[:, :, phase]
        alone, _ = with_texture(made, beside, HALF, beside, 1.0)
        torch.testing.assert_close(together[:, :, phase], alone)
    still = (made[:, :, None] + grain[:, :, :1]).expand(-1, -1, 3, -1, -1)
    textured, _ = with_texture(cine, still, HALF[:, :, None].expand_as(cine), still, 1.0)
    torch.testing.assert_close(textured, textured[:, :, :1].expand_as(textured))


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (33, 18)])
def test_any_size_is_taken(size):
    images, sides = torch.rand(2, 1, *size), torch.rand(2, 2, *size)
    textured, error = with_texture(images, sides, torch.rand(2, 1, *size), sides, 1.0, images)
    assert textured.shape == error.shape == images.shape
    assert textured.isfinite().all() and error.isfinite().all() and 0 <= textured.min() <= textured.max() <= 1


def test_the_motion_network_gives_it_in_tiles_as_in_one_piece_and_says_what_it_costs():
    torch.manual_seed(0)
    _, beside = scene(size=128)
    known, positions = beside.unsqueeze(2), torch.tensor([0.25, 0.5])
    plain, whole = MotionInterpolator().eval(), MotionInterpolator(texture=1.0).eval()
    tiled = MotionInterpolator(texture=1.0, tile_size=(96, 96)).eval()
    for other in (whole, tiled):
        other.load_state_dict(plain.state_dict())
    smooth, expected = plain.predict(known, positions)
    textured, told = whole.predict(known, positions)
    assert textured.shape == smooth.shape == (1, 2, 1, 128, 128) and (told >= expected - 1e-6).all()
    assert finest(smooth[:, 1]) < 0.8 * finest(textured[:, 1]) < finest(beside)
    torch.testing.assert_close(tiled.predict(known, positions)[0], textured, atol=0.02, rtol=0)


def test_a_texture_out_of_range_is_told():
    made, beside = scene()
    with pytest.raises(ValueError, match="texture must be from 0 to 1, got 2"):
        with_texture(made, beside, HALF, beside, 2)
    with pytest.raises(ValueError, match="texture must be from 0 to 1, got -1"):
        MotionInterpolator(texture=-1).validate()
