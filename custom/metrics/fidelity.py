# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""How close predicted frames are to the true ones, one number per image.

The protocol, the same for every method: images are `(B, C, H, W)` with intensities in [0, 1]; whatever lies outside is
clipped first, since no display shows it; the data range is 1, never that of the image at hand.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from monai.metrics import PSNRMetric, SSIMMetric
from scipy.ndimage import gaussian_filter

# Equal images have infinite PSNR, which no mean survives. 100 dB is an RMS error of 1e-5 of the data range.
PSNR_CAP_DB = 100.0
_NO_DETAIL = 1e-5
"""Far below the step of an 8-bit image: a ratio of nothing to nothing is 1."""


def psnr(pred: torch.Tensor, target: torch.Tensor, data_range: float = 1.0) -> torch.Tensor:
    """Peak signal-to-noise ratio of each image.

    Args:
        pred: predicted images, `(B, C, H, W)`, clipped to [0, data_range].
        target: true images, same shape, clipped likewise.
        data_range: largest possible intensity.

    Returns:
        dB, `(B,)`, at most `PSNR_CAP_DB`, which is also the value of equal images.

    Raises:
        ValueError: shapes differ or are not `(B, C, H, W)`.
    """
    pred, target = _clipped(pred, target, data_range)
    return PSNRMetric(max_val=data_range)(pred, target).flatten().clamp(max=PSNR_CAP_DB)


def ssim(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Structural similarity of each image (Wang et al., 2004): 11 x 11 Gaussian window of sigma 1.5, data range 1.

    Variances are weighted by the window alone (`use_sample_covariance=False`). The mean is over the windows that lie
    wholly inside the image, so 5 pixels at each border are centres of none; scikit-image crops the same.

    Args:
        pred: predicted images, `(B, C, H, W)`, at least 11 x 11, clipped to [0, 1].
        target: true images, same shape, clipped likewise.

    Returns:
        `(B,)`, at most 1.

    Raises:
        ValueError: shapes differ or are not `(B, C, H, W)`.
    """
    return _ssim(*_clipped(pred, target))


def legacy_ssim(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """SSIM as the code that preceded CaLID measured it: images in [-1, 1], but data range 1 (methods.md, 3.2 and B20).

    The stabilising constants are then a quarter of what they should be, so flat and noisy regions score lower. It is no
    better a measure; it is shown because published numbers may be of this kind.

    Args:
        pred: predicted images, `(B, C, H, W)`, at least 11 x 11, clipped to [0, 1].
        target: true images, same shape, clipped likewise.

    Returns:
        `(B,)`, at most 1.

    Raises:
        ValueError: shapes differ or are not `(B, C, H, W)`.
    """
    pred, target = _clipped(pred, target)
    return _ssim(2 * pred - 1, 2 * target - 1)


def speckle_filtered_psnr(pred: torch.Tensor, target: torch.Tensor, sigma: float = 2.0) -> torch.Tensor:
    """PSNR after both images have been smoothed alike: how well a method predicts the anatomy under the speckle.

    Speckle decorrelates from frame to frame, so no method can predict it and plain PSNR rewards blur. A Gaussian
    a few grains wide averages it away; being linear, it treats a blurred prediction and a grainy one alike, where a
    median would move the grainy one alone, because speckle is skewed.

    Args:
        pred: predicted images, `(B, C, H, W)`, clipped to [0, 1].
        target: true images, same shape, clipped likewise.
        sigma: of the Gaussian, pixels. Edge pixels are repeated beyond the border.

    Returns:
        dB, `(B,)`, capped as in `psnr`.

    Raises:
        ValueError: shapes differ or are not `(B, C, H, W)`.
    """
    return psnr(*(_smooth(image, sigma) for image in _clipped(pred, target)))


def detail_ratio(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """How sharp predicted images are beside the true ones, whatever they show; below 1 they are smoother.

    The finest detail is what an image differs by from its means of 3 x 3 pixels, as a root mean square. Edges, texture
    and noise of the acquisition are in it: it says whether an image looks acquired, not whether it is right.

    Args:
        pred: predicted images, `(B, C, H, W)`, clipped to [0, 1].
        target: true images, same shape, clipped likewise.

    Returns:
        `(B,)`; 1 where both are flat.

    Raises:
        ValueError: shapes differ or are not `(B, C, H, W)`.
    """
    made, true = (_finest(image).square().mean(dim=(1, 2, 3)).sqrt() for image in _clipped(pred, target))
    return (made + _NO_DETAIL) / (true + _NO_DETAIL)


def error_map(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Absolute error of each pixel, shape of the inputs, in [0, 1]; inputs are clipped to [0, 1] first.

    Raises:
        ValueError: shapes differ or are not `(B, C, H, W)`.
    """
    pred, target = _clipped(pred, target)
    return (pred - target).abs()


def _clipped(pred: torch.Tensor, target: torch.Tensor, data_range: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Both images in at least float32, clipped. Shapes must agree: broadcasting would score the wrong pairs."""
    if pred.shape != target.shape or pred.ndim != 4:
        raise ValueError(f"Images must share one (B, C, H, W), got {tuple(pred.shape)} and {tuple(target.shape)}.")
    dtype = torch.promote_types(torch.promote_types(pred.dtype, target.dtype), torch.float32)
    return pred.to(dtype).clamp(0, data_range), target.to(dtype).clamp(0, data_range)


def _ssim(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return SSIMMetric(spatial_dims=2, data_range=1.0, win_size=11, kernel_sigma=1.5)(pred, target).flatten()


def _finest(image: torch.Tensor) -> torch.Tensor:
    return image - F.avg_pool2d(image, 3, 1, 1, count_include_pad=False)


def _smooth(image: torch.Tensor, sigma: float) -> torch.Tensor:
    smooth = gaussian_filter(image.detach().cpu().numpy(), sigma, mode="nearest", axes=(-2, -1))
    return torch.from_numpy(smooth).to(image)
