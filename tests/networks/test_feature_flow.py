# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Feature flow: displacements, the warp's direction, and the weights of Eq. 8."""

from __future__ import annotations

import pytest
import torch

from custom.networks.feature_flow import backward_warp, feature_flow, flow_interpolation, linear_interpolation


@pytest.fixture
def moving():
    """Two feature maps (1, 16, 24, 24) in float64: the second is the first moved by 4 cells along x, 2 along y."""
    field = torch.randn(1, 16, 40, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def at(dx: int, dy: int) -> torch.Tensor:
        return field[..., 8 - dy : 32 - dy, 8 - dx : 32 - dx]

    return at


@pytest.mark.parametrize("search_radius", [None, 5])
def test_flow_is_the_displacement_not_the_position(moving, search_radius):
    flow = feature_flow(moving(0, 0), moving(4, 2), search_radius)
    inside = flow[0, :, :20, :20]  # cells whose match lies inside the second frame
    assert (inside[0] == 4).all() and (inside[1] == 2).all()


def test_warp_reads_at_own_position_plus_flow():
    features = torch.arange(12.0).view(1, 1, 3, 4)
    flow = torch.zeros(1, 2, 3, 4)
    flow[:, 0] = 1  # x, so the neighbour on the right
    assert backward_warp(features, flow)[0, 0, 0].tolist() == [1, 2, 3, 3]


def test_middle_frame_of_a_translation_is_the_half_way_map(moving):
    between = flow_interpolation(moving(0, 0), moving(4, 2), torch.tensor([0.25, 0.5]), search_radius=5)
    truth = moving(2, 1)
    assert torch.allclose(between[0, 1, :, 6:-6, 6:-6], truth[0, :, 6:-6, 6:-6], atol=1e-9)
    lerp = linear_interpolation(moving(0, 0), moving(4, 2), torch.tensor([0.5]))
    assert (lerp[0, 0, :, 6:-6, 6:-6] - truth[0, :, 6:-6, 6:-6]).abs().mean() > 0.5


@pytest.mark.parametrize("interpolate", [flow_interpolation, linear_interpolation])
def test_key_frames_return_their_own_features(moving, interpolate):
    first, last = moving(0, 0), moving(4, 2)
    ends = interpolate(first, last, torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert torch.allclose(ends[:, 0], first) and torch.allclose(ends[:, 1], last)


def test_printed_weights_give_the_wrong_key_frame(moving):
    """Eq. 8 as printed returns the last frame at δ = 0: kept as an option, so it must stay what it is."""
    first, last = moving(0, 0), moving(0, 0) + 1
    start = flow_interpolation(first, last, torch.tensor([0.0]), printed_weights=True)[:, 0]
    assert not torch.allclose(start, first) and torch.allclose(start.mean(), last.mean(), atol=0.1)


def test_gradient_reaches_features_through_the_warp(moving):
    first = moving(0, 0).clone().requires_grad_()
    flow_interpolation(first, moving(4, 2), torch.tensor([0.5])).sum().backward()
    assert first.grad.abs().sum() > 0


def test_median_removes_a_single_wild_match():
    features = torch.zeros(1, 49, 7, 7)
    features[0].view(49, 49).fill_diagonal_(1)  # every cell is its own best match
    swapped = features.clone()
    swapped[..., 3, 3], swapped[..., 0, 0] = features[..., 0, 0], features[..., 3, 3]
    assert feature_flow(features, swapped)[..., 3, 3].abs().sum() > 0
    assert feature_flow(features, swapped, median=1)[..., 3, 3].abs().sum() == 0
