# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What comes out of filled gaps: frames in order, whole volumes, and how good they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch

from custom.inferers.likeness import Likeness


@dataclass(frozen=True)
class DenseFrame:
    """One frame of the dense scan.

    Attributes:
        index: its place in the dense scan.
        synthetic: False for an acquired frame.
        mean: `(B, C, *space)` in [0, 1]. The very tensor that came in where the frame is acquired, else the samples'
            mean.
        std: standard deviation of a synthetic frame, `(B, C, *space)`: that of the samples and, of a method that says
            how far off it is, that of its error (Laplace: the expected error times the root of 2), added as
            variances; None for one sample.
        error: absolute error that the method expects of a synthetic frame, `(B, C, *space)`; None if it does not say.
        likeness: of an acquired frame with the next acquired one; None of the last, and of synthetic frames.
    """

    index: int
    synthetic: bool
    mean: torch.Tensor
    std: torch.Tensor | None = None
    error: torch.Tensor | None = None
    likeness: Likeness | None = None


class Dense(NamedTuple):
    """Dense volumes in memory, see `GapInferer.moments`.

    Attributes:
        mean: of the samples.
        std: their deviation; None for one sample.
        errors: absolute error that the method expects, mean and root mean square over pixels and phases, `(m, 2)`, 0
            where a slice is acquired; None of a method that does not say. As a fraction of the intensity range.
        likenesses: of the ends of each gap, in order; one entry per volume and phase.
    """

    mean: torch.Tensor
    std: torch.Tensor | None
    errors: torch.Tensor | None
    likenesses: list[Likeness]


class Moments:
    """Mean and deviation of samples that come one by one (Welford 1962), and the errors expected of them."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares, self.error = 0, None, 0.0, None

    def add(self, sample: torch.Tensor, error: torch.Tensor | None) -> None:
        """Take in a sample and, of a method that says so, the absolute error expected of its pixels."""
        self.count += 1
        if self.count == 1:
            self.mean, self.error = sample, error
            return
        shift = sample - self.mean
        self.mean = self.mean + shift / self.count
        self.squares = self.squares + shift * (sample - self.mean)
        self.error = None if error is None else torch.lerp(self.error, error, 1 / self.count)

    @property
    def result(self) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """See `DenseFrame`: mean, deviation and expected error."""
        variance = self.squares / self.count if self.count > 1 else None
        if variance is not None and self.error is not None:
            variance = variance + 2 * self.error.square()
        return self.mean, None if variance is None else variance.sqrt(), self.error
