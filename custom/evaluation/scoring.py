# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What is measured on each unknown image, and how the tables name it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from custom.metrics.fidelity import detail_ratio, legacy_ssim, psnr, speckle_filtered_psnr, ssim
from custom.metrics.temporal import roughness_ratio

NOT_AVAILABLE = "not available"
Lpips = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Metric:
    """One column of the tables.

    Attributes:
        key: column name in the CSV files.
        label: heading in Markdown, LaTeX and figures.
        scale: the CSV value times this is what the tables show (percent, where a paper prints percent).
        digits: decimals shown.
        better: "higher", "lower" or "one": where the best value lies.
    """

    key: str
    label: str
    scale: float = 1.0
    digits: int = 2
    better: str = "higher"

    def goodness(self, value: float) -> float:
        """A number that is larger the better the value is."""
        return {"higher": value, "lower": -value, "one": -abs(value - 1)}[self.better]

    def show(self, value: float) -> str:
        """The value as the tables print it."""
        return f"{value * self.scale:.{self.digits}f}"


#: Measures of one 2D image.
_IMAGE_MEASURES: dict[str, Lpips] = {
    "psnr": psnr,
    "ssim": ssim,
    "ssim_legacy": legacy_ssim,
    "speckle_psnr": speckle_filtered_psnr,
    "detail": detail_ratio,
}


@torch.no_grad()
def score_frames(
    pred: torch.Tensor,
    truth: torch.Tensor,
    lpips: Lpips | None,
    metrics: Sequence[Metric],
    st_lpips: Lpips | None = None,
) -> dict[str, list[float] | None]:
    """Every metric of every interpolated frame or slice; of a cine, the mean over its phases, each a 2D image.

    Args:
        pred: interpolated, `(N, 1, h, w)` or `(N, 1, T, h, w)`, clipped to [0, 1] by the metrics.
        truth: acquired, same shape and range.
        lpips: per-image distance of two `(N, 1, h, w)` stacks, or None where its weights are absent.
        metrics: which; "roughness" is for cines of at least three phases.
        st_lpips: as `lpips`.

    Returns:
        Metric key -> N numbers, in the order of `metrics`; None for a metric that is not available.
    """
    images = [fold_phases(x) for x in (pred, truth)]
    measures = _IMAGE_MEASURES | {"lpips": lpips, "st_lpips": st_lpips}
    scores: dict[str, list[float] | None] = {}
    for metric in metrics:
        if metric.key == "roughness":
            cine = pred.ndim == 5 and pred.shape[2] > 2
            scores[metric.key] = roughness_ratio(pred, truth).tolist() if cine else None
            continue
        measure = measures[metric.key]
        values = None if measure is None else measure(*images).reshape(len(pred), -1).mean(1).tolist()
        scores[metric.key] = values
    return scores


def fold_phases(images: torch.Tensor) -> torch.Tensor:
    """`(N, 1, T, h, w)` as `(N T, 1, h, w)`; `(N, 1, h, w)` as it is."""
    return images.movedim(2, 1).flatten(0, 1) if images.ndim == 5 else images
