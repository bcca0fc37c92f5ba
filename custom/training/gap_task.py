# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a regression network is given and asked for: known slices, and the unknown ones between the central two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from custom.data.sizes import whole_numbers
from custom.errors import InputError
from custom.training.task import Task


class GapTask(Task):
    """Splits windows into what `custom.interpolators.direct.DirectInterpolator` takes and should return.

    Args:
        num_neighbours: known slices, 2 or 4. The outer two come from the batch's "outer" `(B, 2, 1, H, W)`; without
            that key the ends of the window are replicated, as at the ends of a scan.
        gaps: steps between known slices to choose from for each batch; the window then holds `num_neighbours - 1` gaps
            of the largest, of which the central ones are used. None: the window is one gap, its ends known.
        seed: of the choice.

    Raises:
        InputError: gaps with nothing in them.
        ValueError: another number of neighbours.
    """

    reads = ("image", "outer")

    def __init__(self, num_neighbours: int = 2, gaps: Sequence[int] | None = None, seed: int = 0) -> None:
        super().__init__(seed)
        if num_neighbours not in (2, 4):
            raise ValueError(f"num_neighbours is 2 or 4, got {num_neighbours!r}.")
        self.num_neighbours, self.gaps = num_neighbours, whole_gaps(gaps)

    def check(self, length: int) -> None:
        """See `Task.check`."""
        check_gaps(self.gaps, length, self.num_neighbours - 1)

    def make(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """See `Task.make`: `(B, num_neighbours, H, W)` to `(B, m, H, W)`, and "count", m.

        Args:
            batch: has "image" `(B, L, 1, H, W)`, and may have "outer".
        """
        frames = batch["image"].squeeze(2)
        if self.gaps is None:
            known, unknown = frames[:, [0, -1]], frames[:, 1:-1]
            if self.num_neighbours == 4:
                known = four_known(known, batch)
        else:
            gap = self.gaps[int(torch.randint(len(self.gaps), (), generator=self.generator()))]
            first = (frames.shape[1] - 1 - (self.num_neighbours - 1) * gap) // 2
            places = [first + k * gap for k in range(self.num_neighbours)]
            left = places[self.num_neighbours // 2 - 1]
            known, unknown = frames[:, places], frames[:, left + 1 : left + gap]
        return known, unknown, {"count": unknown.shape[1]}


def four_known(known: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The two slices beside a gap and the batch's "outer" around them, `(B, 4, H, W)`; without that key, themselves."""
    outer = batch["outer"].squeeze(2) if "outer" in batch else known
    return torch.cat([outer[:, :1], known, outer[:, 1:]], dim=1)


def whole_gaps(gaps: Sequence[int] | None) -> tuple[int, ...] | None:
    """Steps between known slices, as `--gaps` gives them; `InputError` where one leaves nothing between two of them."""
    return None if gaps is None else whole_numbers("--gaps", gaps, 2, single=False)


def check_gaps(gaps: Sequence[int] | None, length: int, count: int = 1) -> None:
    """Raise an `InputError` unless windows of `length` frames hold `count` of each gap."""
    widest = (length - 1) // count
    if gaps is not None and max(gaps) > widest:
        fault = f"has {max(gaps)}, and a window of {length} frames holds {count} of {widest}"
        raise InputError("--gaps", fault, f"give at most {widest}, or --window {count * max(gaps) + 1}")


class WindowTask(Task):
    """Splits windows `(B, L, 1, *space)` into key frames `(B, 2, *space)` and those between, `(B, L - 2, *space)`."""

    def make(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """See `Task.make`; no keywords."""
        frames = batch["image"].squeeze(2)
        return frames[:, [0, -1]], frames[:, 1:-1], {}
