# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The one question that every method, learned or classical, is asked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class Interpolator(nn.Module):
    """Given the known neighbours of a gap and fractional positions in it, return the frames at those positions.

    A method is a subclass; nothing else about it is known to the inferers and to the evaluation.

    Attributes:
        num_neighbours: how many known frames the method reads, half of them on each side of the gap. Where the
            scan ends, the caller replicates the end frame.
        takes_phases: whether a frame is a whole cine slice `(T, H, W)`; other methods do a cine phase by phase.
        wrap_rows: whether the last row is a neighbour of the first, as the A-lines of a whole polar frame are. Set by
            whoever knows the frames; methods for which it makes no difference ignore it.
    """

    num_neighbours: int = 2
    takes_phases: bool = False
    wrap_rows: bool = False

    def validate(self) -> None:
        """Raise ValueError, in one line, if an option is out of its range.

        Asked before the first scan and not at construction, where a MONAI config would bury the line in a traceback.
        """

    def interpolate(
        self, neighbours: torch.Tensor, positions: torch.Tensor, seeds: Sequence[int] | None = None
    ) -> torch.Tensor:
        """Interpolate one gap of each batch item. A frame's `space` is `(H, W)`, or `(T, H, W)` for a cine slice.

        Args:
            neighbours: known frames in order, `(B, num_neighbours, C, *space)`, intensities in [0, 1].
            positions: ascending fractions of the gap between the two central neighbours, `(m,)`, each in (0, 1).
            seeds: one per batch item. The same seed gives the same frames whatever else is in the batch;
                deterministic methods ignore it.

        Returns:
            The frames at `positions`, `(B, m, C, *space)`, intensities in [0, 1].
        """
        raise TypeError(f"{type(self).__name__} does not say how it interpolates: override interpolate().")


def check_steps(num_inference_steps: int, num_timesteps: int) -> None:
    """Raise ValueError unless a sampler over `num_timesteps` timesteps can take so many steps."""
    if not isinstance(num_inference_steps, int) or not 1 <= num_inference_steps <= num_timesteps:
        raise ValueError(f"num_inference_steps must be from 1 to {num_timesteps}, got {num_inference_steps!r}")


def central_pair(neighbours: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The two frames beside the gap, each `(B, C, *space)`, of any even number of neighbours `(B, K, C, *space)`."""
    left = neighbours.shape[1] // 2 - 1
    return neighbours[:, left], neighbours[:, left + 1]
