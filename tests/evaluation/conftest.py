# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Small test windows whose right answers are known."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import Dataset


class PullbackWindows(Dataset):
    """Consecutive gaps of made-up pullbacks, as `GridWindowDataset` gives them.

    Args:
        pullbacks: patient -> frames `(N, 1, h, w)`.
        gap: steps per gap.
    """

    def __init__(self, pullbacks: dict[str, torch.Tensor], gap: int) -> None:
        self.items = [
            {
                "image": frames[first : first + gap + 1],
                "patient": patient,
                "scan": f"{patient}_pullback",
                "first": first,
                "crop": (0, 0),
            }
            for patient, frames in pullbacks.items()
            for first in range(0, len(frames) - gap, gap)
        ]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict:
        return self.items[index]


def ramp(low: float = 0.1, high: float = 0.9, frames: int = 13, size: int = 16) -> torch.Tensor:
    """Frames that change linearly from one texture to another: linear interpolation is exact."""
    generator = torch.Generator().manual_seed(round(1000 * high))
    ends = low + (high - low) * torch.rand(2, 1, size, size, generator=generator)
    t = torch.linspace(0, 1, frames).reshape(-1, 1, 1, 1)
    return ends[0] * (1 - t) + ends[1] * t


@pytest.fixture
def make_windows():
    """Factory: patients' names -> {factor: windows} on ramps."""

    def make(patients=("P1", "P2"), factors=(2, 4, 6)):
        pullbacks = {patient: ramp(high=0.9 - 0.1 * k) for k, patient in enumerate(patients)}
        return {factor: PullbackWindows(pullbacks, factor) for factor in factors}

    return make
