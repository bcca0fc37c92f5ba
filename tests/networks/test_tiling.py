# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Tiles: cover, blend without steps, keep memory to the tile."""

from __future__ import annotations

import pytest
import torch

from custom.networks.tiling import FrameTiler


def test_identity_survives_blending_at_any_size():
    tiler = FrameTiler((32, 32), overlap=0.25, batch_size=3)
    for size in [(64, 64), (40, 136), (32, 32), (16, 200)]:
        image = torch.rand(2, 1, *size, dtype=torch.float64)
        assert torch.allclose(tiler(lambda tile: tile, (image, 8), out_scale=8), image)


def test_maps_of_two_resolutions_are_cut_at_the_same_place():
    tiler = FrameTiler((32, 32))
    coarse = torch.rand(1, 1, 8, 12)
    fine = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="nearest")

    def difference(low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(low, scale_factor=8, mode="nearest") - high

    assert tiler(difference, (coarse, 1), (fine, 8), out_scale=8).abs().max() == 0


def test_seam_between_disagreeing_tiles_is_spread_over_the_overlap():
    """Every tile returns its own constant; the step from one pixel to the next stays a fraction of the difference."""
    tiler = FrameTiler((64, 64), overlap=0.5, batch_size=1)
    values = iter(range(100))
    result = tiler(lambda tile: torch.full_like(tile, next(values)), (torch.zeros(1, 1, 64, 128), 8), out_scale=8)
    profile = result[0, 0, 32]
    assert profile[0] == 0 and profile[-1] == 2  # three tiles: 0, 1, 2
    assert profile.diff().abs().max() < 1.1 / 32  # no steeper than a straight line over the overlap
    assert (profile.diff() > -1e-4).all()


def test_tiles_go_through_in_batches():
    seen = []

    def record(tile: torch.Tensor) -> torch.Tensor:
        seen.append(tile.shape)
        return tile

    FrameTiler((32, 32), overlap=0, batch_size=4)(record, (torch.zeros(3, 1, 64, 64), 8), out_scale=8)
    assert [shape[0] for shape in seen] == [4, 4, 4] and {shape[-2:] for shape in seen} == {(32, 32)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tile_size": [100, 96]}, r"^tile_size must be multiples of 16, .*: \[96, 96\] and \[112, 96\]"),
        ({"tile_size": (96, 8)}, r"got \[96, 8\]; the nearest: \[96, 16\]$"),
        ({"tile_size": (0, 32)}, r"got \[0, 32\]; the nearest: \[16, 32\]$"),
        ({"tile_size": 96}, r"^tile_size is \(height, width\) in pixels, got 96$"),
        ({"tile_size": "[96,96]"}, r"^tile_size is \(height, width\) in pixels, got '\[96,96\]'$"),
        ({"overlap": 1.0}, "^tile_overlap must be at least 0 and below 1, got 1.0$"),
        ({"overlap": "much"}, "^tile_overlap must be at least 0 and below 1, got 'much'$"),
    ],
)  # fmt: skip
def test_impossible_tiles_are_refused_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message):
        FrameTiler(**arguments).validate(16)
    FrameTiler((96, 32)).validate(16)


def test_maps_may_have_any_axes_before_height_and_width():
    """Frames, phases and channels go along with their tile, and may leave as other ones."""
    tiler, clip = FrameTiler((32, 32), batch_size=3), torch.rand(2, 3, 4, 40, 72, dtype=torch.float64)
    result = tiler(lambda tile: tile.sum(1), (clip, 8), out_scale=8)
    torch.testing.assert_close(result, clip.sum(1))


def test_tiles_that_do_not_fit_in_memory_go_through_in_smaller_batches():
    seen = []

    def hungry(tile: torch.Tensor) -> torch.Tensor:
        seen.append(len(tile))
        if len(tile) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return tile

    for image in (torch.rand(3, 1, 64, 64), torch.rand(5, 1, 32, 32)):
        tiler = FrameTiler((32, 32), overlap=0.25, batch_size=8)
        torch.testing.assert_close(tiler(hungry, (image, 8), out_scale=8), image)
        assert tiler._batch.size == 2
        with pytest.raises(torch.OutOfMemoryError):
            FrameTiler((32, 32), batch_size=8)(lambda tile: hungry(tile.repeat(3, 1, 1, 1)), (image, 8), out_scale=8)
