# Copyright 2026 The CardioInterp Bundles Authors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

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
