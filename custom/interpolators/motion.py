# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The motion network as a method of its own: one pass, any position, milliseconds a slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from custom.interpolators.base import Interpolator, ToldByPrediction, check_number
from custom.interpolators.texture import with_texture
from custom.interpolators.turns import whole_turn
from custom.networks.motion import Motion, MotionNetwork
from custom.networks.padding import pad_slices
from custom.networks.parts import build_part
from custom.networks.tiling import FrameTiler
from custom.switches import is_on

TURN_MARGIN = 64
"""Rows of the far side that a polar frame is continued with: about what the networks see to either side."""


class MotionInterpolator(ToldByPrediction, Interpolator):
    """Slices at any position of a gap by a `MotionNetwork`; its state dict is the bundle's `models/model.pt`.

    Of polar frames the rows go on around the frame, and a rotation of the whole frame between the neighbours is found
    first and undone in proportion to the position; rolling by whole rows is exact, so the network sees what is left.

    Args:
        network: the motion network, or the arguments of one that differ from its defaults.
        tile_size: tile in pixels, (height, width), multiples of 32; slices up to this size are run whole.
        tile_overlap: share of a tile in common with the next.
        both_ways: look from either side and take the mean, which costs twice the time: the order of the slices then
            makes no difference at all.
        batch_size: slices, and tiles, that go through the network at once.
        error_scale: what the expected error of the weights is multiplied by, found on validation data
            (docs/uncertainty.md of the repository).
        texture: share of the texture that the likeliest slice lacks beside its neighbours and is given of theirs, moved
            (`custom.interpolators.texture`): 0 is nearest to the truth and smooth, 1 is as sharp as the neighbours.
    """

    one_pass = True

    def __init__(
        self,
        network: MotionNetwork | Mapping[str, Any] | None = None,
        tile_size: Sequence[int] = (704, 704),
        tile_overlap: float = 0.25,
        both_ways: bool = False,
        batch_size: int = 8,
        error_scale: float = 1.0,
        texture: float = 0.0,
    ) -> None:
        super().__init__()
        # On CPUs convolutions of this order of memory take a fifth less time.
        self.network = build_part(network, MotionNetwork).to(memory_format=torch.channels_last)
        self.num_neighbours, self.both_ways = self.network.num_neighbours, is_on(both_ways)
        self.batch_size, self.error_scale, self.texture = batch_size, error_scale, texture
        self.tiler = FrameTiler(tile_size, tile_overlap, batch_size, cell=self.network.divisor)

    def forward(self, image: torch.Tensor, positions: torch.Tensor | None = None, parts: bool = False) -> torch.Tensor:
        """One crop; for training, validation and the Zoo.

        Args:
            image: the known slices in order, `(B, num_neighbours, H, W)` in [0, 1], sizes multiples of `divisor`.
            positions: where between the two in the middle, `(B,)` in (0, 1); halfway by default.
            parts: what `custom.training.motion_task.MotionLoss` looks at, seen from one side only.

        Returns:
            The slice, `(B, 1, H, W)`, not clamped; or slice, blend and log of the expected error, `(B, 3, H, W)`.
        """
        positions = image.new_full((image.shape[0],), 0.5) if positions is None else positions
        if not parts:
            return self._look(image, positions).image
        found = self.network(image, positions)
        return torch.cat([found.image, found.blend, found.log_scale], dim=1)

    @property
    def divisor(self) -> int:
        """What height and width of a slice must be multiples of."""
        return self.network.divisor

    def validate(self) -> None:
        """See `Interpolator.validate`."""
        super().validate()
        check_number("texture", self.texture, 0, 1)
        self.tiler.validate(self.network.divisor)

    @torch.no_grad()
    def predict(
        self,
        neighbours: torch.Tensor,
        positions: torch.Tensor,
        seeds: Sequence[int] | None = None,
        wrap_rows: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Interpolator.predict`; the expected error is the scale of a Laplace distribution."""
        slices, places = neighbours[:, :, 0], positions.to(neighbours)
        left = self.num_neighbours // 2
        turns = [whole_turn(*item[left - 1 : left + 1]) if wrap_rows else 0 for item in slices]
        asked = []
        for item, turn in zip(slices, turns, strict=True):
            for place in positions.tolist():
                shift = round(place * turn)
                asked.append(torch.cat([item[:left].roll(shift, 1), item[left:].roll(shift - turn, 1)]))
        cell = self.network.divisor
        padded, window = pad_slices(torch.stack(asked), (cell, cell), TURN_MARGIN if wrap_rows else 0)
        share = places.repeat(len(slices)).view(-1, 1, 1, 1).expand(-1, 1, *padded.shape[-2:])

        def look(tiles: torch.Tensor, share_tiles: torch.Tensor) -> torch.Tensor:
            found = self._look(tiles, share_tiles[:, 0, 0, 0])
            seen = [found.image.clamp(0, 1), self.error_scale * found.log_scale.exp()]
            if self.texture:
                seen += [found.weight, found.sides]
            return torch.cat(seen, dim=1)

        made = self.tiler(look, (padded, cell), (share, cell), out_scale=cell)[(..., *window)]
        image, scale, *seen = made.split([1, 1, 1, 2] if self.texture else 1, dim=1)
        if self.texture:
            weight, sides = seen
            beside = slices[:, left - 1 : left + 1]
            image, scale = with_texture(image, sides, weight, beside, self.texture, scale)
        return tuple(part.unflatten(0, (len(slices), len(places))) for part in (image, scale))

    def _look(self, neighbours: torch.Tensor, positions: torch.Tensor) -> Motion:
        """From one side, or the mean of both."""
        return (self.network.both_ways if self.both_ways else self.network)(neighbours, positions)
