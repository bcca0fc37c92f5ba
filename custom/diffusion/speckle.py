# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Speckle for OCT frames that have too little of it: multiplied in, as light interferes, of given strength and grain.

A frame between two others can be predicted, its speckle cannot. What is added here is drawn, not measured: it makes a
frame look like its neighbours, and moves it away from the truth. Nothing adds it unless asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from custom.metrics.speckle import SpeckleStatistics, amplitudes, displayed, speckle_statistics

FADES_IN = 0.05, 0.12
"""Local means between which speckle sets in: below is the floor of the display's noise, which is left alone."""


def add_speckle(
    frames: torch.Tensor, contrast: float | torch.Tensor, axial: float, lateral: float, seeds: Sequence[int]
) -> torch.Tensor:
    """Multiply the amplitude under log-compressed frames by correlated noise; tissue only.

    The amplitude a of a gray is exp(gray / k) - 1 (`custom.metrics.speckle`). It is multiplied by exp(c n), n a
    Gaussian field of unit variance, so that the gray of bright tissue keeps its mean.

    Args:
        frames: polar, `(N, 1, A, D)` in [0, 1].
        contrast: c, the deviation of the amplitude over its mean, 0 or more; one number, or one per frame `(N,)`.
        axial: distance along the depth, in pixels, at which the correlation of the noise falls to 1/e.
        lateral: the same across the A-lines; the noise goes on around the turn.
        seeds: one per frame; the same seed and size give the same noise on every device.

    Returns:
        Frames of the same shape in [0, 1]. With a contrast of 0 bit-identical.

    Raises:
        ValueError: as many seeds as frames are needed.
    """
    if len(seeds) != len(frames):
        raise ValueError(f"Each of {len(frames)} frames needs a seed, got {len(seeds)}.")
    contrast = torch.as_tensor(contrast, dtype=frames.dtype, device=frames.device).expand(len(frames))
    noise = correlated_noise(frames.shape[-2:], axial, lateral, seeds).to(frames)[:, None]
    low, high = FADES_IN
    tissue = ((_local_mean(frames) - low) / (high - low)).clamp(0, 1)
    factor = (contrast.view(-1, 1, 1, 1) * tissue * noise).exp()
    speckled = displayed(amplitudes(frames) * factor)
    return torch.where(factor == 1, frames, speckled)


def speckle_like(
    frames: torch.Tensor, keys: torch.Tensor, realism: float, seeds: Sequence[int]
) -> tuple[torch.Tensor, SpeckleStatistics]:
    """Add what speckle frames lack beside the acquired ones.

    Independent grains add up in power: of the contrast K of the key frames and F of the frames, the noise gets
    `realism` times sqrt(K^2 - F^2), at the key frames' grain.

    Args:
        frames: synthetic polar frames `(N, 1, A, D)` in [0, 1].
        keys: the acquired frames beside them, `(M, 1, A, D)`.
        realism: 0 (the frames as they are) to 1 (as much speckle as the key frames have).
        seeds: one per frame.

    Returns:
        The frames, and what was measured of the key frames (NaN where they show no tissue: nothing is then added).

    Raises:
        ValueError: a realism outside [0, 1].
    """
    if not 0 <= realism <= 1:
        raise ValueError(f"realism must be from 0 to 1, got {realism!r}")
    target = _measure(keys)
    if realism == 0 or not math.isfinite(target.axial + target.lateral + target.contrast):
        return frames, target
    have = [_measure(frame[None]).contrast for frame in frames]
    missing = [math.sqrt(max(target.contrast**2 - (0.0 if math.isnan(h) else h) ** 2, 0.0)) for h in have]
    contrast = realism * torch.tensor(missing)
    return add_speckle(frames, contrast, target.axial, target.lateral, seeds), target


def correlated_noise(size: Sequence[int], axial: float, lateral: float, seeds: Sequence[int]) -> torch.Tensor:
    """Gaussian noise of unit variance, `(N, A, D)`, periodic both ways, whose correlation falls to 1/e at the lengths.

    White noise under a Gaussian whose sigma is half the correlation length, as its correlation is twice as wide.
    """
    rows, columns = size
    white = torch.stack([torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    response = torch.outer(_gaussian(torch.fft.fftfreq(rows), lateral), _gaussian(torch.fft.rfftfreq(columns), axial))
    weights = torch.full((columns // 2 + 1,), 2.0)  # the other half of the spectrum mirrors this one
    weights[0] = 1
    if columns % 2 == 0:
        weights[-1] = 1
    power = (response.square() * weights).sum() / (rows * columns)
    return torch.fft.irfft2(torch.fft.rfft2(white) * response, s=(rows, columns)) / power.sqrt()


def _gaussian(frequencies: torch.Tensor, length: float) -> torch.Tensor:
    return (-0.5 * (math.pi * length * frequencies).square()).exp()


def _local_mean(frames: torch.Tensor) -> torch.Tensor:
    """Over 9 x 9 pixels, around the turn."""
    around = F.pad(frames, (0, 0, 4, 4), mode="circular")
    return F.avg_pool2d(F.pad(around, (4, 4, 0, 0), mode="replicate"), 9, stride=1)


def _measure(frames: torch.Tensor) -> SpeckleStatistics:
    return speckle_statistics(frames.detach()[:, 0].float().cpu().numpy())
