# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Where the tiles of a method begin and end in its frames, seen while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product

import torch
from torch import nn

from custom.networks.tiling import FrameTiler


class TileBorders:
    """What `watching` has seen.

    Attributes:
        lines: rows and columns at which a tile begins or ends.
    """

    def __init__(self, frame: torch.Tensor) -> None:
        self._frame = frame
        self.lines: tuple[set[int], set[int]] = (set(), set())

    def see(self, tiler: FrameTiler, padded: torch.Tensor) -> None:
        """Note the tiles that a map `(N, ..., H, W)`, the frame continued on all sides, is cut into."""
        corner = _corner(self._frame, padded)
        if corner is None:
            return
        cells = [extent // tiler.cell for extent in padded.shape[-2:]]
        for tile in tiler.tiles(cells):
            for axis, span in enumerate(tile):
                for edge in (span.start, span.stop):
                    line = edge * tiler.cell - corner[axis]
                    if 0 < edge < cells[axis] and 0 < line < self._frame.shape[axis]:
                        self.lines[axis].add(line)


@contextmanager
def watching(network: nn.Module, frame: torch.Tensor) -> Iterator[TileBorders]:
    """Inside, the tiles of a method that has a `tiler` are noted; of others there are none.

    Args:
        network: the method.
        frame: one of the frames `(H, W)` that it is given.
    """
    borders, tiler = TileBorders(frame), getattr(network, "tiler", None)
    if not isinstance(tiler, FrameTiler):
        yield borders
        return

    class Watched(FrameTiler):
        def __call__(
            self, function: Callable[..., torch.Tensor], *maps: tuple[torch.Tensor, int], out_scale: int
        ) -> torch.Tensor:
            for image, scale in maps:
                if scale == self.cell:
                    borders.see(self, image)
            return super().__call__(function, *maps, out_scale=out_scale)

    tiler.__class__ = Watched
    try:
        yield borders
    finally:
        tiler.__class__ = FrameTiler


def _corner(frame: torch.Tensor, padded: torch.Tensor) -> tuple[int, int] | None:
    """Where in the first plane of a padded map the frame lies; None if it is not there, pixel by pixel."""
    plane = padded.reshape(-1, *padded.shape[-2:])[0].to(frame)
    spare = [have - want for have, want in zip(plane.shape, frame.shape, strict=True)]
    if min(spare) < 0:
        return None
    corners = torch.tensor(list(product(*(range(room + 1) for room in spare))))
    probes = torch.rand(64, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor(frame.shape)
    rows, columns = probes.long().unbind(1)
    fits = plane[corners[:, :1] + rows, corners[:, 1:] + columns] == frame[rows, columns]
    matching = corners[fits.all(1)]
    height, width = frame.shape
    for top, left in matching.tolist():
        if torch.equal(plane[top : top + height, left : left + width], frame):
            return top, left
    return None
