# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from custom.transforms.augmentation_intensity import RandDynamicRanged
from custom.transforms.augmentation_order import RandReverseSlicesd
from custom.transforms.augmentation_polar import RandGuidewireShadowd, RandRollRowsd, RandRowShiftd

POLAR = (RandRollRowsd, RandRowShiftd, RandGuidewireShadowd)


@pytest.fixture
def frames():
    """The frames of an item differ, smoothly around the circle."""
    angle = 2 * torch.pi * torch.arange(120).view(1, -1, 1) / 120
    depth, frame = torch.arange(20).view(1, 1, -1) / 40, torch.arange(3).view(-1, 1, 1)
    return 0.5 + 0.2 * torch.cos(angle + frame) + 0.25 * depth


def polar(frames):
    return {"image": frames, "coordinates": "polar"}


@pytest.mark.parametrize("kind", [*POLAR, RandReverseSlicesd, RandDynamicRanged])
def test_draws_follow_the_random_state_and_prob(frames, kind):
    always, never = kind("image", prob=1.0), kind("image", prob=0.0)
    drawn = [always.set_random_state(seed=seed)(polar(frames))["image"] for seed in (0, 1, 0)]
    assert torch.equal(drawn[0], drawn[2]) and not torch.equal(drawn[0], frames)
    assert torch.equal(drawn[0], drawn[1]) == (kind is RandReverseSlicesd)
    assert all(x.shape == frames.shape and x.dtype == frames.dtype and 0 <= x.min() and x.max() <= 1 for x in drawn)
    assert torch.equal(never(polar(frames))["image"], frames)
    tracked = always.set_random_state(seed=0)(polar(MetaTensor(frames)))["image"]
    assert torch.equal(torch.as_tensor(tracked), drawn[0]), "behind MONAI's own transforms too"
    item = {**polar(frames), "other": frames}
    assert always.set_random_state(seed=0)(item)["other"] is frames and item["image"] is frames


@pytest.mark.parametrize("kind", POLAR)
def test_frames_not_known_to_be_polar_have_no_a_lines(frames, kind):
    transform = kind("image", prob=1.0).set_random_state(seed=0)
    for item in ({"coordinates": "cartesian"}, {"coordinates": "unknown"}, {}):
        assert torch.equal(transform({"image": frames, **item})["image"], frames)
    assert not torch.equal(transform(polar(frames))["image"], frames)


def test_reversal_keeps_phases_in_order_and_turns_positions():
    cine = torch.arange(6.0).view(6, 1, 1).expand(6, 2, 2)  # 3 slices of 2 phases
    item = {"image": cine, "phases": 2, "positions": torch.tensor([0.0, 0.25, 1.0])}
    turned = RandReverseSlicesd("image", prob=1.0)(item)
    assert turned["image"][:, 0, 0].tolist() == [4, 5, 2, 3, 0, 1]
    assert turned["positions"].tolist() == [0, 0.75, 1]
    both = RandReverseSlicesd("image", prob=0.5).set_random_state(seed=0)
    seen = [both(item)["image"][0, 0, 0].item() for _ in range(40)]
    assert 10 < seen.count(4.0) < 30


def test_roll_goes_around_the_circle_by_any_number_of_rows():
    numbered = torch.arange(30.0).view(1, 30, 1).expand(2, 30, 4)
    roll, seen = RandRollRowsd("image").set_random_state(seed=0), set()
    for _ in range(300):
        turned = roll(polar(numbered))["image"]
        seen.add(int(turned[0, 0, 0]))
        assert torch.equal(turned, numbered.roll(-int(turned[0, 0, 0]), 1))
    assert seen == set(range(30))


def test_uneven_rotation_moves_all_frames_alike_without_a_seam_or_a_fold(frames):
    shift = RandRowShiftd("image", most=0.03, prob=1.0).set_random_state(seed=2)
    largest = []
    rows = torch.arange(120.0)
    for _ in range(50):
        places = shift._draw(120, 20)
        steps = np.diff(np.append(places, places[0] + 120))
        assert 0.5 - 1e-9 <= steps.min() and steps.max() <= 1.5 + 1e-9
        largest.append(np.abs(places - np.arange(120)).max())
    assert 1.5 < max(largest) <= 0.03 * 120 + 1e-9 and min(largest) < 1
    turned = shift(polar(frames))["image"]
    # The same phase of the cosine in each frame: what moves one moves the others.
    phases = [torch.acos(((x[:, 0] - 0.5) / 0.2).clamp(-1, 1)) for x in turned]
    moved = (phases[0] - 2 * torch.pi * rows / 120)[10:50], (phases[1] - 1 - 2 * torch.pi * rows / 120)[10:40]
    torch.testing.assert_close(moved[0][:30], moved[1], atol=0.02, rtol=0)
    assert moved[0].abs().max() > 0.005


def test_guidewire_darkens_a_sector_behind_some_depth_in_all_frames(frames):
    wire = RandGuidewireShadowd("image", width=(0.1, 0.1), depth=(0.25, 0.25), strength=(0.8, 0.8), prob=1.0)
    wire.set_random_state(seed=0)
    across_the_seam = 0
    for _ in range(60):
        ratio = wire(polar(frames))["image"] / frames
        assert torch.equal(ratio[:, :, :5], torch.ones(3, 120, 5))
        torch.testing.assert_close(ratio[:, :, 5:], ratio[:1, :, 5:6].expand(3, 120, 15))
        shade = ratio[0, :, 5]
        assert 10 <= (shade < 1).sum() <= 12 and shade.min() == pytest.approx(0.2)
        dark = (shade < 1).int()
        assert (dark.diff().abs().sum() + (dark[0] != dark[-1])) == 2, "one sector"
        across_the_seam += bool(dark[0] and dark[-1])
    assert across_the_seam


def test_dynamic_range_is_a_clipped_line():
    levels = torch.linspace(0, 1, 101).view(1, 1, -1)
    change = RandDynamicRanged("image", floor=(0.1, 0.1), ceiling=(0.6, 0.6), prob=1.0)
    torch.testing.assert_close(change({"image": levels})["image"], ((levels - 0.1) / 0.5).clamp(0, 1))
    with pytest.raises(ValueError, match="below ceiling"):
        RandDynamicRanged("image", floor=(0, 0.5), ceiling=(0.4, 1))
