# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from custom.interpolators.motion import MotionInterpolator
from custom.interpolators.turns import whole_turn

TINY = {"motion_features": (8, 8, 8, 8, 8, 8), "residual_features": (8, 8, 8, 8, 8, 8)}


def polar(rows=96, columns=64, seed=0):
    """A frame whose last row is a neighbour of its first."""
    noise = torch.rand(1, 1, rows // 8 + 1, columns // 8, generator=torch.Generator().manual_seed(seed))
    noise[..., -1, :] = noise[..., 0, :]
    frame = F.interpolate(noise, size=(rows + 1, columns), mode="bilinear", align_corners=True)
    return frame[0, 0, :-1].clamp(0, 1)


@pytest.fixture
def method():
    torch.manual_seed(1)
    return MotionInterpolator(TINY).eval()


@pytest.fixture
def trained(method):
    """Not trained, but no longer the linear interpolation that it starts as."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.add_(0.03 * torch.randn(parameter.shape, generator=generator))
    return method


def test_any_size_and_any_positions(trained):
    neighbours = torch.rand(2, 2, 1, 45, 71)
    image, scale = trained.predict(neighbours, torch.tensor([0.1, 0.5, 2 / 3]))
    assert image.shape == scale.shape == (2, 3, 1, 45, 71)
    assert image.min() >= 0 and image.max() <= 1 and scale.min() > 0
    alone = trained.interpolate(neighbours[1:], torch.tensor([0.5]))
    torch.testing.assert_close(alone[0, 0], image[1, 1])


def test_both_ways_the_order_of_the_slices_makes_no_difference(trained):
    neighbours, positions = torch.rand(1, 2, 1, 64, 64), torch.tensor([0.3])
    for both_ways in (True, False):
        trained.both_ways = both_ways
        one, other = trained.interpolate(neighbours, positions), trained.interpolate(neighbours.flip(1), 1 - positions)
        assert torch.allclose(one, other, atol=1e-6) is both_ways


def test_untrained_equal_neighbours_come_out(method):
    frame = polar()[None, None, None].expand(1, 2, 1, -1, -1)
    for wrap_rows in (False, True):
        made = method.interpolate(frame, torch.tensor([0.3]), wrap_rows=wrap_rows)
        torch.testing.assert_close(made[:, 0], frame[:, 0])


def test_tiles_leave_no_seam():
    torch.manual_seed(1)
    whole = MotionInterpolator(TINY, tile_size=(512, 512)).eval()
    tiled = MotionInterpolator(whole.network, tile_size=(64, 64), tile_overlap=0.5).eval()
    with torch.no_grad():
        whole.network.motion.final_conv.bias[:4] = torch.tensor([0.5, 0.25, -0.5, -0.25])
    frames = torch.stack([polar(160, 128, 1), polar(160, 128, 2)])[None, :, None]
    one, other = (method.interpolate(frames, torch.tensor([0.5])) for method in (whole, tiled))
    edge = 16  # at the frame's own border the flow reads outside
    torch.testing.assert_close(one[..., edge:-edge, edge:-edge], other[..., edge:-edge, edge:-edge], atol=0.02, rtol=0)


def test_the_first_row_of_a_polar_frame_is_like_any_other(trained):
    first = polar(128, seed=1)
    frames = torch.stack([first, 0.8 * first + 0.2 * polar(128, seed=2)])[None, :, None]
    straight = trained.interpolate(frames, torch.tensor([0.5]), wrap_rows=True)
    turned = trained.interpolate(frames.roll(32, -2), torch.tensor([0.5]), wrap_rows=True)
    cut = trained.interpolate(frames.roll(32, -2), torch.tensor([0.5]), wrap_rows=False)
    ends = (..., [*range(8), *range(-8, 0)], slice(None))
    difference = (straight.roll(32, -2) - turned)[ends].abs().mean()
    assert difference < 0.5 * (straight.roll(32, -2) - cut)[ends].abs().mean()


@pytest.mark.parametrize("turn", [-20, 7, 24])
def test_a_rotation_is_found_and_undone_in_proportion(method, turn):
    frame = polar(seed=3)
    assert whole_turn(frame, frame.roll(turn, 0)) == turn
    pair = torch.stack([frame, frame.roll(turn, 0)])[None, :, None]
    made = method.interpolate(pair, torch.tensor([0.5]), wrap_rows=True)
    torch.testing.assert_close(made[0, 0, 0], frame.roll(round(turn / 2), 0))


def test_no_rotation_is_made_up():
    assert whole_turn(polar(seed=3), polar(seed=3)) == 0
    assert whole_turn(torch.rand(96, 64), torch.rand(96, 64)) == 0


def test_four_neighbours_are_read_in_order_and_turn_with_the_inner_two():
    torch.manual_seed(1)
    method = MotionInterpolator({**TINY, "num_neighbours": 4}).eval()
    assert method.num_neighbours == 4
    frame = polar()
    frames = torch.stack([frame.roll(rows, 0) for rows in (0, 0, 16, 16)])[None, :, None]
    made = method.interpolate(frames, torch.tensor([0.5]), wrap_rows=True)
    torch.testing.assert_close(made[0, 0, 0], frame.roll(8, 0))
