# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Temporal shift: direction, share, and no leak between batch items."""

from __future__ import annotations

import torch

from custom.networks.temporal_shift import temporal_shift


def test_first_fold_comes_from_the_next_frame_and_second_from_the_previous_one():
    frames = torch.arange(3.0).view(1, 3, 1, 1, 1).expand(1, 3, 8, 1, 1)  # every channel of frame i holds i
    shifted = temporal_shift(frames)[0, :, :, 0, 0]
    assert shifted[:, 0].tolist() == [1, 2, 0]  # from t + 1, zero beyond the end
    assert shifted[:, 1].tolist() == [0, 0, 1]  # from t - 1, zero before the start
    assert torch.equal(shifted[:, 2:], torch.arange(3.0)[:, None].expand(3, 6))


def test_batch_items_do_not_mix():
    frames = torch.rand(2, 4, 16, 2, 2)
    assert torch.equal(temporal_shift(frames)[1:], temporal_shift(frames[1:]))
