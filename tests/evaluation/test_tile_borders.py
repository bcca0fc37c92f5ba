# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from custom.evaluation.tile_borders import watching
from custom.interpolators.classical import LinearFrames
from custom.interpolators.motion import TURN_MARGIN, MotionInterpolator
from custom.networks.tiling import FrameTiler

SMALL = {"motion_features": (8,) * 6, "residual_features": (8,) * 6}


def ask(network, wrap_rows):
    frames = torch.rand(1, 2, 1, 100, 150, generator=torch.Generator().manual_seed(0))
    with watching(network, frames[0, 0, 0]) as seen:
        made = network.interpolate(frames, torch.tensor([0.5]), [0], wrap_rows)
    return made, seen.lines


@pytest.mark.parametrize("wrap_rows", [False, True])
def test_borders_are_told_in_pixels_of_the_frame(wrap_rows):
    network = MotionInterpolator(SMALL, tile_size=(96, 96), tile_overlap=0.25).eval()
    made, (rows, columns) = ask(network, wrap_rows)
    # Rows: 64 A-lines of the other side before the frame, or 14 of 128; columns: 5 of 160.
    top, height, left, width = TURN_MARGIN if wrap_rows else 14, 256 if wrap_rows else 128, 5, 160
    tiles = network.tiler.tiles([height // 32, width // 32])
    edges = {(axis, 32 * edge) for tile in tiles for axis in (0, 1) for edge in (tile[axis].start, tile[axis].stop)}
    assert rows == {edge - top for axis, edge in edges if axis == 0 and 0 < edge < height and 0 < edge - top < 100}
    assert columns == {edge - left for axis, edge in edges if axis == 1 and 0 < edge < width and 0 < edge - left < 150}
    assert rows and columns
    assert type(network.tiler) is FrameTiler
    assert torch.equal(network.interpolate(*_again(), wrap_rows), made), "watched or not, the frames are the same"


def _again():
    frames = torch.rand(1, 2, 1, 100, 150, generator=torch.Generator().manual_seed(0))
    return frames, torch.tensor([0.5]), [0]


def test_what_is_not_cut_has_no_borders():
    assert ask(LinearFrames(), True)[1] == (set(), set())
    assert ask(MotionInterpolator(SMALL, tile_size=(704, 704)).eval(), False)[1] == (set(), set())
