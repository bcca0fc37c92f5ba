# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Networks trained on crops, run on whole frames: overlapping tiles, blended.

MONAI's `sliding_window_inference` is not used because a decoder tile needs two inputs of different resolution, and
because it resizes blending weights by nearest neighbour when output and input differ in size, which leaves steps.
Tile positions are MONAI's `dense_patch_slices`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from monai.data.utils import dense_patch_slices


class FrameTiler:
    """Applies a map to overlapping tiles of maps that share one field of view.

    Args:
        tile_size: height and width of a tile in pixels, multiples of `cell`.
        overlap: share of a tile that it has in common with the next one, in [0, 1).
        batch_size: tiles that go through the network at once.
        cell: pixels of one latent cell; the grid on which tiles are placed.

    Raises:
        ValueError: if the tile size is not a positive multiple of `cell`, or the overlap is out of range.
    """

    def __init__(
        self, tile_size: Sequence[int] = (256, 256), overlap: float = 0.25, batch_size: int = 8, cell: int = 8
    ) -> None:
        if any(size <= 0 or size % cell for size in tile_size):
            raise ValueError(f"tile_size is a positive multiple of {cell} in each direction, got {tuple(tile_size)}.")
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap is in [0, 1), got {overlap}.")
        self.tile_size, self.overlap, self.batch_size, self.cell = tuple(tile_size), overlap, batch_size, cell

    def tiles(self, cells: Sequence[int]) -> list[tuple[slice, slice]]:
        """Where the tiles of a frame of `cells` (rows, columns) lie, in cells. Every cell is in at least one."""
        size = [min(edge // self.cell, count) for edge, count in zip(self.tile_size, cells, strict=True)]
        step = [max(1, int(edge * (1 - self.overlap))) for edge in size]
        return dense_patch_slices(cells, size, step)

    def __call__(
        self, function: Callable[..., torch.Tensor], *maps: tuple[torch.Tensor, int], out_scale: int
    ) -> torch.Tensor:
        """Run `function` over tiles and blend what it returns.

        Args:
            function: called with one tile of each map, `(n, C_i, h_i, w_i)`; returns `(n, C, h, w)`.
            maps: pairs of a map `(N, C_i, H_i, W_i)` and its pixels per cell; 8 for images, 1 for latents.
            out_scale: pixels per cell of what `function` returns.

        Returns:
            The blended result, `(N, C, H, W)`.
        """
        reference, scale = maps[0]
        count, cells = reference.shape[0], [extent // scale for extent in reference.shape[-2:]]
        places = [(item, tile) for item in range(count) for tile in self.tiles(cells)]
        if len(places) == count:  # one tile covers the frame: no blending
            parts = [function(*[m[i : i + self.batch_size] for m, _ in maps]) for i in range(0, count, self.batch_size)]
            return torch.cat(parts)
        output = weights = total = None
        for start in range(0, len(places), self.batch_size):
            batch = places[start : start + self.batch_size]
            result = function(*[torch.stack([m[item][:, *_scaled(tile, s)] for item, tile in batch]) for m, s in maps])
            if output is None:
                weights = torch.outer(*[self._ramp(extent, result) for extent in result.shape[-2:]])
                output = result.new_zeros(count, result.shape[1], *[extent * out_scale for extent in cells])
                total = result.new_zeros(output.shape[-2:])
                for tile in self.tiles(cells):
                    total[_scaled(tile, out_scale)] += weights
            for (item, tile), values in zip(batch, result, strict=True):
                output[item][:, *_scaled(tile, out_scale)] += values * weights
        return output / total

    def _ramp(self, extent: int, like: torch.Tensor) -> torch.Tensor:
        """Weight along one edge of a tile: rises linearly over the overlap, so that a tile fades in from nothing."""
        place = torch.arange(extent, device=like.device, dtype=like.dtype) + 0.5
        return (torch.minimum(place, extent - place) / max(1.0, self.overlap * extent)).clamp(max=1)


def _scaled(tile: tuple[slice, slice], scale: int) -> tuple[slice, slice]:
    rows, columns = tile
    return slice(rows.start * scale, rows.stop * scale), slice(columns.start * scale, columns.stop * scale)
