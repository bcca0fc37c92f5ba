# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Methods that are one forward pass: regression networks that map known slices to the unknown ones between them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from custom.interpolators.base import Interpolator, Reach
from custom.networks.padding import pad_slices
from custom.networks.tiling import FrameTiler


class DirectInterpolator(Interpolator):
    """Asks a network for the slices at all its positions at once: with n outputs, the positions k / (n + 1) of a gap.

    Args:
        network: maps known slices `(B, num_neighbours, H, W)` in [0, 1] to `(B, num_outputs, H, W)`. Has the attributes
            `num_neighbours`, 2 or 4; `num_outputs`, an odd number; `divisor`, what H and W must be multiples of; and
            where only one size will do, `fixed_size`, that height and width.
        resampling: see `Interpolator`.
        tile_size: tile in pixels, (height, width), for larger slices; networks of a fixed size have their own.
        tile_overlap: share of a tile in common with the next.
        batch_size: gaps, and tiles, that go through the network at once.
        most_steps: the widest gap that the network is trained on, in steps between its frames, where that is less than
            its positions allow: those of 11 outputs are the common ones of gaps of 4 and of 6 steps. None: no less.

    Raises:
        ValueError: the network has an even number of outputs, none of which is the middle.
    """

    one_pass = True

    def __init__(
        self,
        network: nn.Module,
        resampling: str = "linear",
        tile_size: Sequence[int] = (160, 160),
        tile_overlap: float = 0.2,
        batch_size: int = 16,
        most_steps: int | None = None,
    ) -> None:
        super().__init__()
        if network.num_outputs % 2 == 0:
            raise ValueError(f"num_outputs must be odd, got {network.num_outputs}.")
        self.network, self.resampling, self.batch_size = network, resampling, batch_size
        self.num_neighbours, self.reach = network.num_neighbours, Reach(network.num_outputs + 1, most_steps)
        self.fixed_size = getattr(network, "fixed_size", None)
        size = tile_size if self.fixed_size is None else (self.fixed_size,) * 2
        self.tiler = FrameTiler(size, tile_overlap, batch_size, cell=network.divisor)

    def forward(self, image: torch.Tensor, count: int | None = None) -> torch.Tensor:
        """One crop; for training, validation and the Zoo.

        Args:
            image: known slices `(B, num_neighbours, H, W)` in [0, 1], sizes as the network takes them.
            count: how many evenly spaced unknown slices to return; all the network's outputs by default.

        Returns:
            `(B, count, H, W)`, not clamped.

        Raises:
            ValueError: so many slices are not among the network's positions.
        """
        outputs = self.network(image)
        if count is None:
            return outputs
        if self.reach.steps % (count + 1):
            raise ValueError(f"{count} evenly spaced slices are not among the {self.reach.steps - 1} of the network.")
        step = self.reach.steps // (count + 1)
        return outputs[:, step - 1 :: step]

    @property
    def divisor(self) -> int:
        """What height and width of a slice must be multiples of."""
        return self.network.divisor

    def validate(self) -> None:
        """See `Interpolator.validate`."""
        super().validate()
        self.tiler.validate(self.network.divisor)

    @torch.no_grad()
    def interpolate(
        self,
        neighbours: torch.Tensor,
        positions: torch.Tensor,
        seeds: Sequence[int] | None = None,
        wrap_rows: bool = False,
    ) -> torch.Tensor:
        """See `Interpolator.interpolate`."""
        places = [place - 1 for place in self.reach.places(positions)]
        slices, divisor = neighbours.squeeze(2), self.network.divisor
        # The first A-line is a neighbour of the last: rows go on around the frame.
        turn = min(4 * divisor, slices.shape[-2]) if wrap_rows else 0
        extents = slices.shape[-2] + 2 * turn, slices.shape[-1]
        least = [divisor if extent > (self.fixed_size or 0) else self.fixed_size for extent in extents]
        padded, window = pad_slices(slices, least, turn)
        outputs = self.tiler(self.network, (padded, divisor), out_scale=divisor)[..., *window]
        return outputs[:, places].clamp(0, 1).unsqueeze(2)
