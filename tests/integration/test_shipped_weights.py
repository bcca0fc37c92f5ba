# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The weights in the repository: they load, they beat linear interpolation, they leave no seam."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from custom.interpolators.classical import LinearFrames
from custom.metrics.fidelity import psnr, ssim
from custom.phantoms.oct import OctPhantomConfig, simulate_pullback
from custom.weights import load_model

BUNDLE = Path(__file__).resolve().parents[2] / "bundles" / "cardiointerp"
POSITIONS = torch.arange(1, 7) / 6


@pytest.fixture(scope="module")
def network():
    parser = ConfigParser()
    parser.read_config(BUNDLE / "configs" / "inference.json")
    return load_model(parser.get_parsed_content("network_def"), BUNDLE / "models" / "model.pt").eval()


@pytest.fixture(scope="module")
def frames() -> torch.Tensor:
    """Seven frames of a vessel that no training set holds, `(7, 1, 256, 256)` in [0, 1]."""
    polar = simulate_pullback(OctPhantomConfig(num_frames=7), seed=20_261_121).polar
    return torch.from_numpy(polar.transpose(2, 0, 1)[:, None].astype(np.float32) / 255)


def test_shipped_weights_beat_linear_interpolation_at_x6(network, frames):
    ends, truth, positions = frames[None, [0, -1]], frames[1:-1], POSITIONS[:5]
    ours, linear = (method.interpolate(ends, positions)[0] for method in (network, LinearFrames()))
    assert psnr(ours, truth).mean() > psnr(linear, truth).mean()
    assert ssim(ours, truth).mean() > ssim(linear, truth).mean() + 0.01


def test_between_equal_key_frames_lies_the_same_frame(network, frames):
    same = frames[None, [2, 2]]
    mean_square = (network.interpolate(same, POSITIONS[:5], wrap_rows=True) - frames[2]).square().flatten(2).mean(2)
    assert (mean_square < 1e-4).all(), mean_square  # 40 dB


def test_neither_tiles_nor_the_first_a_line_leave_a_seam(network, frames):
    """Steps between neighbouring A-lines at tile borders and at the wrap are like those anywhere else."""
    ends = frames[None, [2, 4]]
    middle = network.interpolate(ends, POSITIONS[2:3], wrap_rows=True)[0, 0, 0]
    tiles = network.tiler.tiles(tuple(extent // 8 for extent in network._pad(ends, wrap_rows=True)[0].shape[-2:]))
    assert len(tiles) > 1
    steps = (middle - middle.roll(1, dims=0)).abs().mean(1)
    typical = steps.median()
    assert steps[0] < 2 * typical, "from the last A-line to the first"
    assert steps[8::8].mean() < 1.5 * typical, "where latent cells and tiles begin"
