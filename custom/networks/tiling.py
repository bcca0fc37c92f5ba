# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Networks trained on crops, run on whole frames: overlapping tiles, blended.

MONAI's `sliding_window_inference` is not used because a decoder tile needs two inputs of different resolution, and
because it resizes blending weights by nearest neighbour when output and input differ in size, which leaves steps.
Tile positions are MONAI's `dense_patch_slices`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real

import torch
from monai.data.utils import dense_patch_slices

from custom.networks.batching import BatchSize
from custom.networks.padding import nearest_sizes
from custom.networks.precision import at_least_single
from custom.progress import tick


class FrameTiler:
    """Applies a map to overlapping tiles of maps that share one field of view.

    Args:
        tile_size: height and width of a tile in pixels, see `validate`; frames up to this size are run whole.
        overlap: share of a tile that it has in common with the next one, in [0, 1).
        batch_size: tiles that go through the network at once, fewer where memory is short.
        cell: pixels of one latent cell; the grid on which tiles are placed.
    """

    def __init__(
        self, tile_size: Sequence[int] = (256, 256), overlap: float = 0.25, batch_size: int = 8, cell: int = 8
    ) -> None:
        self.tile_size, self.overlap, self.cell = tile_size, overlap, cell
        self._batch = BatchSize(batch_size)

    def validate(self, unit: int) -> None:
        """Raise ValueError, in one line, unless a network takes such tiles.

        Args:
            unit: what height and width of a tile must be multiples of, in pixels.
        """
        size = self.tile_size
        if not isinstance(size, Sequence) or len(size) != 2 or not all(isinstance(edge, int) for edge in size):
            raise ValueError(f"tile_size is (height, width) in pixels, got {size!r}")
        if any(edge <= 0 or edge % unit for edge in size):
            nearest = nearest_sizes(size, (unit, unit))
            raise ValueError(f"tile_size must be multiples of {unit}, got {list(size)}; the nearest: {nearest}")
        if not isinstance(self.overlap, Real) or not 0 <= self.overlap < 1:
            raise ValueError(f"tile_overlap must be at least 0 and below 1, got {self.overlap!r}")

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
            function: called with one tile of each map, `(n, *lead_i, h_i, w_i)`; returns `(n, *lead, h, w)`.
            maps: pairs of a map `(N, *lead_i, H_i, W_i)` and its pixels per cell: `cell` for images, 1 for latents.
            out_scale: pixels per cell of what `function` returns.

        Returns:
            The blended result, `(N, *lead, H, W)`.

        Raises:
            torch.OutOfMemoryError: not even one tile fits.
        """
        reference, scale = maps[0]
        count, cells = reference.shape[0], [extent // scale for extent in reference.shape[-2:]]
        tiles = self.tiles(cells)
        places = [(item, tile) for item in range(count) for tile in tiles]
        parts = []
        output = weights = total = None
        for piece in self._batch.pieces(len(places)):
            try:
                if len(tiles) == 1:  # one tile covers the frame: no blending
                    parts.append(at_least_single(function(*[m[piece] for m, _ in maps])))
                    tick()
                    continue
                batch = places[piece]
                result = function(
                    *[torch.stack([m[item][(..., *_scaled(tile, s))] for item, tile in batch]) for m, s in maps]
                )
            except torch.OutOfMemoryError:
                if not self._batch.halve():
                    raise
                continue
            tick()
            result = at_least_single(result)  # not blended, nor stepped with, in half precision
            if output is None:
                weights = torch.outer(*[self._ramp(extent, result) for extent in result.shape[-2:]])
                output = result.new_zeros(count, *result.shape[1:-2], *[extent * out_scale for extent in cells])
                total = result.new_zeros(output.shape[-2:])
                for tile in tiles:
                    total[_scaled(tile, out_scale)] += weights
            for (item, tile), values in zip(batch, result, strict=True):
                output[item][(..., *_scaled(tile, out_scale))] += values * weights
        return torch.cat(parts) if output is None else output / total

    def _ramp(self, extent: int, like: torch.Tensor) -> torch.Tensor:
        """Weight along one edge of a tile: rises linearly over the overlap, so that a tile fades in from nothing."""
        place = torch.arange(extent, device=like.device, dtype=like.dtype) + 0.5
        return (torch.minimum(place, extent - place) / max(1.0, self.overlap * extent)).clamp(max=1)


def _scaled(tile: tuple[slice, slice], scale: int) -> tuple[slice, slice]:
    rows, columns = tile
    return slice(rows.start * scale, rows.stop * scale), slice(columns.start * scale, columns.stop * scale)
