# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""How evenly a cine moves: a method that draws every phase by itself flickers, and no single image shows it."""

from __future__ import annotations

import torch


def roughness(cine: torch.Tensor) -> torch.Tensor:
    """Temporal roughness of each cine: the mean absolute second difference along time.

    Time is cyclic, as a retrospectively gated cine is: the first phase follows the last.

    Args:
        cine: `(N, 1, T, h, w)`, T at least 3.

    Returns:
        `(N,)`, in intensities per squared phase.

    Raises:
        ValueError: not a cine, or fewer than three phases.
    """
    if cine.ndim != 5 or cine.shape[2] < 3:
        raise ValueError(f"Temporal roughness needs (N, 1, T, h, w) with at least 3 phases, got {tuple(cine.shape)}.")
    second = cine.roll(1, dims=2) - 2 * cine + cine.roll(-1, dims=2)
    return second.abs().flatten(1).mean(1)


def roughness_ratio(pred: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Temporal roughness of each cine over that of its truth, `(N,)`: 1 moves as evenly as the truth, noise included;
    above 1 flickers, below 1 is smoothed over time.

    Raises:
        ValueError: shapes differ, not cines, or fewer than three phases.
    """
    if pred.shape != truth.shape:
        raise ValueError(f"Cines must share one shape, got {tuple(pred.shape)} and {tuple(truth.shape)}.")
    # A truth that stands still would divide by zero; 1e-6 is far below one grey level.
    return roughness(pred.float()) / roughness(truth.float()).clamp(min=1e-6)
