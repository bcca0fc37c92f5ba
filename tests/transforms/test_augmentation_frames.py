# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor

from custom.transforms.augmentation_frames import (
    RandBloodd,
    RandJumpFramesd,
    RandResamplePolard,
    RandSideBranchd,
    RandStillFramesd,
    RandTurnFramesd,
)
from custom.transforms.augmentation_intensity import RandNoiseFloord

POLAR = (RandTurnFramesd, RandJumpFramesd, RandResamplePolard, RandSideBranchd, RandBloodd)


@pytest.fixture
def frames():
    """Seven frames that differ, smoothly around the circle."""
    angle = 2 * torch.pi * torch.arange(180).view(1, -1, 1) / 180
    depth, frame = torch.arange(160).view(1, 1, -1) / 320, torch.arange(7).view(-1, 1, 1)
    return 0.3 + 0.1 * torch.cos(angle) + 0.25 * depth + 0.02 * frame


def polar(frames):
    return {"image": frames, "coordinates": "polar"}


@pytest.mark.parametrize("kind", [*POLAR, RandStillFramesd, RandNoiseFloord])
def test_draws_follow_the_random_state_and_prob(frames, kind):
    always = kind("image", prob=1.0)
    drawn = [always.set_random_state(seed=seed)(polar(frames))["image"] for seed in (0, 2, 0)]
    assert torch.equal(drawn[0], drawn[2]) and drawn[0].dtype == frames.dtype
    assert drawn[0].shape != frames.shape or not torch.equal(drawn[0], frames)
    assert drawn[0].shape != drawn[1].shape or not torch.equal(drawn[0], drawn[1])
    assert all(0 <= x.min() and x.max() <= 1 and len(x) == 7 for x in drawn)
    tracked = always.set_random_state(seed=0)(polar(MetaTensor(frames)))["image"]
    assert torch.equal(torch.as_tensor(tracked), drawn[0]), "behind MONAI's own transforms too"
    assert torch.equal(kind("image", prob=0.0)(polar(frames))["image"], frames)
    if kind in POLAR:
        assert torch.equal(always({"image": frames, "coordinates": "cartesian"})["image"], frames)


def test_frames_turn_evenly_up_to_the_angle(frames):
    turn, seen = RandTurnFramesd("image", most=90, prob=1.0).set_random_state(seed=0), []
    flat = frames - 0.02 * torch.arange(7).view(-1, 1, 1)  # nothing but the turn tells the frames apart
    for _ in range(40):
        turned = turn(polar(flat))["image"]
        torch.testing.assert_close(turned[0], flat[0])
        wave = torch.fft.rfft(turned[:, :, 0], dim=1)[:, 1]
        angles = torch.rad2deg((wave / wave[0]).angle())
        torch.testing.assert_close(angles, angles[-1] * torch.arange(7) / 6, atol=0.5, rtol=0)
        seen.append(angles[-1].item())
    assert -90.5 < min(seen) < -50 and 50 < max(seen) < 90.5


def test_resampled_frames_show_the_same_in_other_sizes(frames):
    resample, sizes = RandResamplePolard("image", prob=1.0).set_random_state(seed=0), []
    for _ in range(60):
        other = resample(polar(frames))["image"]
        sizes.append(other.shape[1:])
        for part in (0.1, 0.5, 0.8):
            places = [[int(part * n) for n in x.shape[1:]] for x in (frames, other)]
            first, second = (x[:, y, z] for x, (y, z) in zip((frames, other), places, strict=True))
            torch.testing.assert_close(first, second, atol=0.02, rtol=0)
    rows, depths = zip(*sizes, strict=True)
    assert min(rows) >= 256 and 700 < max(rows) <= 1024
    assert min(depths) == 128 and 280 < max(depths) <= 320
    few = RandResamplePolard("image", alines=(20, 40), prob=1.0).set_random_state(seed=0)
    assert few(polar(frames))["image"].shape[1] == 128, "a crop still fits"


def test_a_side_branch_opens_and_closes(frames):
    options = {"width": (0.2, 0.2), "depth": (0.5, 0.5), "length": (0.8, 0.8), "strength": (0.9, 0.9)}
    branch, moved = RandSideBranchd("image", prob=1.0, **options).set_random_state(seed=0), 0
    for _ in range(30):
        ratio = branch(polar(frames))["image"] / frames
        assert torch.equal(ratio[:, :, :80], torch.ones(7, 180, 80))
        torch.testing.assert_close(ratio[:, :, 80:], ratio[:, :, 80:81].expand(7, 180, 80))
        widths = (ratio[:, :, 100] < 0.99).sum(1)
        assert widths.max() <= 0.2 * 180 + 1 and ratio.min() == pytest.approx(0.1, abs=0.02)
        steps = widths.diff().sign().tolist()
        assert 1 not in steps[steps.index(-1) :] if -1 in steps else True, "it opens, then it closes"
        moved += len(set(widths.tolist())) > 2
    assert moved > 20


def test_frames_jump_by_themselves_in_angle_and_depth():
    depth = torch.arange(160.0).expand(180, -1) / 160
    angle = torch.cos(2 * torch.pi * torch.arange(180.0) / 180)[:, None].expand(-1, 160)
    deepest, turns = [], []
    for index in range(20):
        jump = RandJumpFramesd("image", most=0.02, most_turn=4, reference=375, prob=1.0).set_random_state(seed=index)
        moved = 160 * (jump(polar(depth.repeat(7, 1, 1)))["image"] - depth)[:, :, 40:-40]
        torch.testing.assert_close(moved, moved[..., :1].expand_as(moved), atol=1e-2, rtol=0)  # whole A-lines
        wave = torch.fft.rfft(moved[:, :, 0], dim=1).abs()
        assert (wave[:, 1] > 20 * wave[:, 2:].amax(1) - 1e-3).all(), "a shift of the catheter: one period of the circle"
        if moved.max() > 0.5:
            assert len({round(x, 2) for x in moved.amax((1, 2)).tolist()}) > 4, "each frame by itself"
        deepest.append(moved.abs().max().item())
        turned = RandJumpFramesd("image", most=0, most_turn=4, prob=1.0).set_random_state(seed=index)
        wave = torch.fft.rfft(turned(polar(angle.repeat(7, 1, 1)))["image"][:, :, 0], dim=1)[:, 1]
        turns.append(torch.rad2deg(wave.angle()).abs().max().item())
    assert 0.6 * 7.5 < max(deepest) <= 7.51 and 2.5 < max(turns) <= 4.1


def test_still_frames_are_one_of_them(frames):
    still, seen = RandStillFramesd("image", prob=1.0).set_random_state(seed=0), set()
    for _ in range(60):
        alike = still({"image": frames})["image"]
        assert all(torch.equal(frame, alike[0]) for frame in alike)
        seen.add(next(k for k in range(7) if torch.equal(frames[k], alike[0])))
    assert seen == set(range(7))


def test_noise_is_seen_in_the_dark(frames):
    noise = RandNoiseFloord("image", level=(0.3, 0.3), prob=1.0).set_random_state(seed=0)
    dark, bright = (noise({"image": torch.full((2, 100, 100), gray)})["image"] for gray in (0.0, 0.5))
    assert dark.mean() > 0.03 and bright.mean() == pytest.approx(0.5, abs=0.002) and bright.std() < 0.3 * dark.std()
    assert not torch.equal(dark[0], dark[1])


def test_blood_glows_at_the_catheter_with_its_own_speckle_and_dims_what_lies_behind():
    wall = torch.zeros(7, 180, 160)
    wall[..., 100:] = 0.5
    blood = RandBloodd("image", level=(0.5, 0.5), width=(1.0, 1.0), reach=(0.2, 0.2), dimming=(0.4, 0.4), prob=1.0)
    seen = blood.set_random_state(seed=1)(polar(wall))["image"]
    middle = int(seen[..., :20].mean(dim=(0, 2)).argmax())
    rows = torch.arange(middle - 20, middle + 20) % 180  # well inside the sector
    near, far = seen[:, rows, :10], seen[:, rows, 80:100]
    assert near.mean() > 5 * far.mean() > 0
    grain = near - near.mean(0)
    first, second = grain[0].flatten(), grain[1].flatten()
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 0.35, "new in every frame"
    opposite = (rows + 90) % 180
    assert seen[:, rows, 120:].mean() < 0.95 * 0.5 and seen[:, opposite, 120:].mean() > 0.45
    clear = RandBloodd("image", level=(0, 0), dimming=(0, 0), prob=1.0)
    torch.testing.assert_close(clear(polar(wall))["image"], wall, atol=1e-6, rtol=0)
