# Copyright 2026 The CardioInterp Bundles Authors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""What is measured on each unknown frame, and how the tables name it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from custom.metrics.fidelity import psnr, speckle_filtered_psnr, ssim

NOT_AVAILABLE = "not available"


@dataclass(frozen=True)
class Metric:
    """One column of the tables.

    Attributes:
        key: column name in the CSV files.
        label: heading in Markdown, LaTeX and figures.
        scale: the CSV value times this is what the tables show (SSIM is shown in percent, as the paper does).
        digits: decimals shown.
    """

    key: str
    label: str
    scale: float = 1.0
    digits: int = 2

    def show(self, value: float) -> str:
        """The value as the tables print it."""
        return f"{value * self.scale:.{self.digits}f}"


METRICS = (
    Metric("psnr", "PSNR (dB)"),
    Metric("ssim", "SSIM (%)", scale=100.0),
    Metric("lpips", "LPIPS", digits=3),
    Metric("speckle_psnr", "PSNR, speckle filtered (dB)"),
)


@torch.no_grad()
def score_frames(
    pred: torch.Tensor, truth: torch.Tensor, lpips: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None
) -> dict[str, list[float] | None]:
    """Every metric of every frame.

    Args:
        pred: interpolated frames, `(N, 1, h, w)`, clipped to [0, 1] by the metrics.
        truth: acquired frames, same shape and range.
        lpips: per-image distance of two `(N, 1, h, w)` stacks, or None where its weights are absent.

    Returns:
        Metric key -> one number per frame; None for a metric that is not available.
    """
    scores = {
        "psnr": psnr(pred, truth),
        "ssim": ssim(pred, truth),
        "lpips": None if lpips is None else lpips(pred, truth),
        "speckle_psnr": speckle_filtered_psnr(pred, truth),
    }
    return {key: None if value is None else value.flatten().tolist() for key, value in scores.items()}
