# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Whether the ends of a gap show the same tissue."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from custom.inferers.likeness import likeness


def texture(seed, size=192, grain=6):
    """Structure of about `grain` pixels, `(1, 1, size, size)` in [0, 1]."""
    noise = torch.rand(1, 1, size // grain, size // grain, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, size=(size, size), mode="bicubic").clamp(0, 1)


def test_the_same_tissue_is_alike_also_moved_and_other_tissue_is_not():
    frame = texture(0)
    assert likeness(frame, frame).correlation > 0.93
    moved = likeness(frame, frame.roll((8, -4), (-2, -1)))
    assert moved.correlation > 0.85 and moved.shift.tolist() == [[8, -4]]
    assert likeness(frame, texture(1)).correlation < 0.72
    assert likeness(frame, 0.5 * frame + 0.3).correlation > 0.9  # gain and offset say nothing of tissue


def test_rows_of_polar_frames_go_round():
    frame = texture(0)
    turned = frame.roll(10, -2)
    assert likeness(frame, turned, wrap_rows=True).correlation > likeness(frame, turned).correlation + 0.01


def test_every_frame_of_a_batch_is_judged_alone_and_empty_ones_are_not_unlike():
    first = torch.cat([texture(0), texture(1), torch.full((1, 1, 192, 192), 0.2)])
    last = torch.cat([texture(0), texture(2), torch.full((1, 1, 192, 192), 0.3)])
    both = likeness(first, last)
    assert both.correlation[0] > 0.93 and both.correlation[1] < 0.72 and both.correlation[2] == 1
    assert both.shift.shape == (3, 2)
    torch.testing.assert_close(likeness(first[1:2], last[1:2]).correlation, both.correlation[1:2])


@pytest.mark.parametrize("shape", [(5, 6), (3, 200), (1, 1)])
def test_frames_of_any_size_are_compared(shape):
    frames = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(likeness(frames[:1], frames[1:]).correlation).all()
