# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Optical flow follows what moves where an average would see double."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from custom.interpolators.classical import LinearFrames
from custom.interpolators.optical_flow import FlowMidpoint


def disc(x: float, size: int = 48, y: float = 24.0) -> torch.Tensor:
    """A smooth bright disc of radius 7 at column `x` on a dim textured ground, `(1, h, w)`."""
    rows, columns = np.indices((size, size))
    distance = np.hypot(rows - y, columns - x)
    image = 0.1 + 0.8 / (1 + np.exp(2 * (distance - 7)))
    return torch.from_numpy(image.astype(np.float32))[None]


@pytest.fixture(scope="module")
def neighbours():
    return torch.stack([disc(20), disc(26)])[None]


def error(a, b):
    return float((a - b).square().mean().sqrt())


def test_a_moving_disc_is_where_it_should_be_at_every_position(neighbours):
    positions = torch.tensor([0.25, 0.5, 0.75])
    flow = FlowMidpoint().interpolate(neighbours, positions)
    linear = LinearFrames().interpolate(neighbours, positions)
    assert flow.shape == (1, 3, 1, 48, 48) and flow.dtype == torch.float32 and flow.min() >= 0 and flow.max() <= 1
    for k, x in enumerate((21.5, 23, 24.5)):
        assert error(flow[0, k], disc(x)) < 0.35 * error(linear[0, k], disc(x))


def test_both_directions_agree(neighbours):
    positions = torch.tensor([0.3])
    forwards = FlowMidpoint().interpolate(neighbours, positions)
    backwards = FlowMidpoint().interpolate(neighbours.flip(1), 1 - positions)
    torch.testing.assert_close(forwards, backwards, atol=1e-5, rtol=0)


def test_phases_and_batch_items_are_pairs_of_their_own(neighbours):
    other = torch.stack([disc(24, y=20), disc(24, y=27)])[None]
    both = torch.stack([neighbours, other], dim=3)  # (1, 2, 1, T = 2, h, w)
    half = torch.tensor([0.5])
    cine = FlowMidpoint().interpolate(both, half)
    assert cine.shape == (1, 1, 1, 2, 48, 48)
    batch = FlowMidpoint().interpolate(torch.cat([neighbours, other]), half)
    assert torch.equal(cine[0, :, :, 0], batch[0]) and torch.equal(cine[0, :, :, 1], batch[1])


def test_equal_neighbours_stay_as_they_are(neighbours):
    still = neighbours[:, :1].expand(-1, 2, -1, -1, -1)
    torch.testing.assert_close(FlowMidpoint().interpolate(still, torch.tensor([0.5])), still[:, :1])
