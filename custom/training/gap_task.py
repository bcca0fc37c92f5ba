# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a regression network is given and asked for: known slices, and the unknown ones between the central two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from custom.training.prepare_batch import DrawingPrepareBatch
from custom.training.validation import GapPrepareBatch


class GapTaskPrepareBatch(DrawingPrepareBatch):
    """Splits windows into what `custom.interpolators.direct.DirectInterpolator` takes and should return.

    Args:
        num_neighbours: known slices, 2 or 4. The outer two come from the batch's "outer" `(B, 2, 1, H, W)`; without
            that key the ends of the window are replicated, as at the ends of a scan.
        gaps: steps between known slices to choose from for each batch; the window then holds `num_neighbours - 1` gaps
            of the largest, of which the central ones are used. None: the window is one gap, its ends known.
        seed: of the choice.

    Raises:
        ValueError: another number of neighbours.
    """

    def __init__(self, num_neighbours: int = 2, gaps: Sequence[int] | None = None, seed: int = 0) -> None:
        super().__init__(seed)
        if num_neighbours not in (2, 4):
            raise ValueError(f"num_neighbours is 2 or 4, got {num_neighbours!r}.")
        self.num_neighbours, self.gaps = num_neighbours, gaps

    def __call__(
        self,
        batchdata: dict[str, torch.Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, tuple, dict]:
        """Input `(B, num_neighbours, H, W)`, label `(B, m, H, W)`, no arguments, and "count", m.

        Args:
            batchdata: has "image" `(B, L, 1, H, W)` in [0, 1], and may have "outer".
            device: of everything returned.
            non_blocking: as in `Tensor.to`.
            kwargs: further arguments for `Tensor.to`.
        """
        if self.gaps is None:
            known, unknown = GapPrepareBatch()(batchdata, device, non_blocking, **kwargs)
            if self.num_neighbours == 4:
                outer = batchdata["outer"].squeeze(2).to(known) if "outer" in batchdata else known
                known = torch.cat([outer[:, :1], known, outer[:, 1:]], dim=1)
        else:
            frames = batchdata["image"].squeeze(2).to(device, non_blocking=non_blocking, **kwargs)
            gap = self.gaps[int(torch.randint(len(self.gaps), (), generator=self.generator()))]
            first = (frames.shape[1] - 1 - (self.num_neighbours - 1) * gap) // 2
            places = [first + k * gap for k in range(self.num_neighbours)]
            left = places[self.num_neighbours // 2 - 1]
            known, unknown = frames[:, places], frames[:, left + 1 : left + gap]
        return known, unknown, (), {"count": unknown.shape[1]}
