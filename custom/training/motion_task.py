# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What the motion network is given, asked for and told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from custom.errors import InputError
from custom.training.gap_task import check_gaps, four_known, whole_gaps
from custom.training.losses import SliceDistance, check_weights
from custom.training.task import Task


class MotionTask(Task):
    """Splits windows into known slices, one between the two in the middle, and the position of that one.

    Args:
        num_neighbours: known slices, 2, or 4 of triplets, with "outer" as `GapTask` takes it.
        gaps: steps between the known slices to choose from, for each item of a batch; the window holds at least the
            largest. Which of the slices between is asked for is drawn too. None: windows are triplets.
        parts: what the network gives is for `MotionLoss`; otherwise it is the slice alone, as validation takes it.
        seed: of the draws.

    Raises:
        InputError: gaps with nothing in them; four neighbours of windows that have two.
    """

    reads = ("image", "outer", "positions")

    def __init__(
        self, num_neighbours: int = 2, gaps: Sequence[int] | None = None, parts: bool = True, seed: int = 0
    ) -> None:
        super().__init__(seed)
        self.num_neighbours = num_neighbours
        self.gaps, self.parts = whole_gaps(gaps), parts

    def check(self, length: int) -> None:
        """See `Task.check`."""
        check_gaps(self.gaps, length)
        if self.num_neighbours == 4 and self.gaps is not None:
            raise InputError("--num_neighbours", "is 4, and windows of frames are asked with 2", "leave it out")

    def make(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """See `Task.make`: `(B, num_neighbours, H, W)` to `(B, 1, H, W)`, "positions" `(B,)` in (0, 1), and "parts".

        Args:
            batch: has "image" `(B, L, 1, H, W)`. Triplets may have "positions" `(B, 3)` of their slices, from 0 to 1;
                without, and in longer windows, slices are evenly spaced.
        """
        frames = batch["image"].squeeze(2)
        count, last = len(frames), frames.shape[1] - 1
        if self.gaps is None:
            first, inner, gap = torch.zeros(count).long(), torch.full((count,), last // 2), torch.full((count,), last)
        else:
            draws = torch.rand(3, count, generator=self.generator())
            gap = torch.tensor(self.gaps)[(draws[0] * len(self.gaps)).long()]
            inner = 1 + (draws[1] * (gap - 1)).long()
            first = (draws[2] * (last - gap + 1)).long()
        items = torch.arange(count)
        before, asked, after = (frames[items, place] for place in (first, first + inner, first + gap))
        places = batch["positions"][:, 1] if "positions" in batch else inner / gap
        known = torch.stack([before, after], dim=1)
        if self.num_neighbours == 4:
            known = four_known(known, batch)
        return known, asked[:, None], {"positions": places.to(frames), "parts": self.parts}


class MotionLoss(nn.Module):
    """Distance of the slice, and of the blend before its residual, from the truth; and how well the error was told.

    The distance is that of `SliceDistance`. The expected error b is a Laplace scale, its loss |error| / b + log b; the
    error has no gradient there, so that the slice is not made worse for the sake of a good forecast.

    Args:
        log_rmse: see `SliceDistance`.
        ssim: see `SliceDistance`.
        blend: weight of the blend's loss.
        forecast: weight of the expected error's loss.

    Raises:
        InputError: a weight below 0.
    """

    def __init__(self, log_rmse: float = 0.05, ssim: float = 0.1, blend: float = 0.3, forecast: float = 0.01) -> None:
        super().__init__()
        check_weights(blend=blend, forecast=forecast)
        self.distance, self.blend, self.forecast = SliceDistance(log_rmse, ssim), blend, forecast

    def forward(self, prediction: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Scalar, computed in float32.

        Args:
            prediction: slice, blend and log of the expected error, `(B, 3, H, W)`.
            label: the true slice, `(B, 1, H, W)`.
        """
        image, blend, log_scale = prediction.float().split(1, dim=1)
        label = label.float()
        error = (image - label).abs().detach()
        forecast = (error * (-log_scale).exp() + log_scale).mean()
        return self.distance(image, label) + self.blend * self.distance(blend, label) + self.forecast * forecast
