# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Speckle of OCT frames in two numbers, how strong and how coarse; and frames without it.

Speckle multiplies the amplitude a of the light. A frame shows it through a logarithm, k ln(1 + a): in bright tissue as
a grain of the same strength everywhere, in the dark hardly at all. What is measured is the deviation of a, so that
frames of all brightnesses agree; without correlation between frames it cannot be predicted, only matched.

Real frames 1 to 100 of the published pullback (Danilov et al.), polar, 497x375 pixels: see `REAL`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from skimage.restoration import denoise_nl_means

KNEE = 35 / 255
"""k above in shares of white: what the phantom's display was fitted to (`custom.phantoms.oct_physics`)."""
WINDOW = 6.0
"""Sigma in pixels of the local mean that speckle is measured against."""
TISSUE = 0.12, 0.45
"""Local means that are tissue in any display: above noise and shadow, below wire and struts."""
UNEVEN = 1.5
"""Where the local power of the grain is above so many times its median, there is an edge in it."""
FARTHEST = 16
"""Lags in pixels at which a correlation is looked for."""


@dataclass(frozen=True)
class SpeckleStatistics:
    """Of a set of frames.

    Attributes:
        contrast: deviation over mean of the amplitude.
        axial: distance along the depth at which its correlation falls to 1/e, in pixels.
        lateral: the same across the A-lines.
    """

    contrast: float
    axial: float
    lateral: float


REAL = SpeckleStatistics(contrast=0.387, axial=2.33, lateral=1.42)
"""Of real frames, see above; the average of two of them has a contrast of 0.28. A test measures it again."""


def amplitudes(frames: torch.Tensor) -> torch.Tensor:
    """Of the light under the logarithm of the display, in units at which that begins to bend; frames in [0, 1]."""
    return torch.expm1(frames / KNEE)


def displayed(amplitude: torch.Tensor) -> torch.Tensor:
    """Frames in [0, 1] of `amplitudes`."""
    return (KNEE * torch.log1p(amplitude)).clamp(0, 1)


def speckle_statistics(frames: np.ndarray) -> SpeckleStatistics:
    """Contrast and correlation lengths of the speckle in the tissue of frames, pooled over all of them.

    Args:
        frames: polar, `(F, A, D)` in [0, 1]. Of Cartesian ones "axial" is along the rows of the array, "lateral" across
            them, which means little away from the horizontal.

    Returns:
        NaN for what cannot be measured: no tissue, or a grain coarser than `FARTHEST` pixels.
    """
    grain, inside = _grain(np.asarray(frames, np.float32))
    if not inside.any():
        return SpeckleStatistics(np.nan, np.nan, np.nan)
    contrast = float(np.sqrt(np.square(grain).sum() / inside.sum()))
    return SpeckleStatistics(contrast, _length(grain, inside, 2), _length(grain, inside, 1))


def despeckled(frames: np.ndarray) -> np.ndarray:
    """Frames `(F, H, W)` in [0, 1] without most of their speckle, same shape, float32.

    Non-local means (Buades et al., 2005; scikit-image, patches of 5x5 within 13x13 pixels, h 0.8 times the frame's
    speckle): walls and layers stay sharp, which a Gaussian would blur. A frame without tissue stays as it is.
    """
    return np.stack([_without_speckle(frame) for frame in np.asarray(frames, np.float32)])


def _without_speckle(frame: np.ndarray) -> np.ndarray:
    sigma = KNEE * speckle_statistics(frame[None]).contrast
    if not sigma > 0:
        return frame
    options = {"patch_size": 5, "patch_distance": 6, "h": 0.8 * sigma, "sigma": sigma, "fast_mode": True}
    return denoise_nl_means(frame, **options).astype(np.float32)


def _grain(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Relative deviation of the amplitude from its local mean, 0 outside the tissue; and where that is."""
    mean = _local_mean(frames)
    inside = (mean > TISSUE[0]) & (mean < TISSUE[1])
    # d(k ln(1 + a)) = k a / (1 + a) (da / a), and a / (1 + a) = 1 - exp(-shown / k).
    grain = (frames - mean) / (KNEE * (1 - np.exp(-mean.clip(TISSUE[0]) / KNEE))) * inside
    if not inside.any():
        return grain, inside
    # Walls and layers are no speckle: they deviate more than the grain beside them.
    power = _local_mean(np.square(grain)) / _local_mean(inside.astype(np.float32)).clip(1e-6)
    inside = inside & (power < UNEVEN * np.median(power[inside]))
    return grain * inside, inside


def _local_mean(frames: np.ndarray) -> np.ndarray:
    return gaussian_filter(frames, (0, WINDOW, WINDOW), mode=("nearest", "wrap", "nearest"), truncate=3.0)


def _length(grain: np.ndarray, inside: np.ndarray, axis: int) -> float:
    """Lag at which the correlation of a masked field falls below 1/e, linear between whole pixels."""
    last = 1.0
    for lag in range(1, min(FARTHEST, grain.shape[axis] - 1) + 1):
        first, second = (np.take(grain, np.arange(*span), axis) for span in _spans(grain.shape[axis], lag))
        both = np.multiply(*(np.take(inside, np.arange(*span), axis) for span in _spans(grain.shape[axis], lag)))
        power = np.sqrt((np.square(first) * both).sum() * (np.square(second) * both).sum())
        now = float((first * second * both).sum() / power) if power > 0 else 0.0
        if now < 1 / np.e:
            return lag - 1 + (last - 1 / np.e) / (last - now)
        last = now
    return float("nan")


def _spans(size: int, lag: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (0, size - lag), (lag, size)
