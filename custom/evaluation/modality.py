# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What differs between OCT and cardiac MR in the tables and figures: words and measures."""

from __future__ import annotations

from dataclasses import dataclass

from custom.evaluation.scoring import Metric
from custom.metrics import efficientnet_lite, inception
from custom.metrics.frechet import FEW_IMAGES

_COMMON = (
    "Intensities in [0, 1], data range 1; SSIM 11 x 11 Gaussian, sigma 1.5. "
    "Finest detail: what differs from the mean of 3 x 3 pixels, over that of the truth; below 1 an image is smoother. "
    "Brackets: 95 % bootstrap interval over patients. Oracles see the images they are scored on. "
)
_PSNR, _LPIPS = Metric("psnr", "PSNR (dB)"), Metric("lpips", "LPIPS", digits=3, better="lower")
_ST_LPIPS = Metric("st_lpips", "ST-LPIPS", digits=3, better="lower")
_SSIM_PERCENT, _SSIM = Metric("ssim", "SSIM (%)", scale=100.0), Metric("ssim", "SSIM", digits=3)
# The predecessor of CaLID's code measured SSIM on [-1, 1] images with data range 1 (B20).
_SSIM_LEGACY = Metric("ssim_legacy", "SSIM of [-1, 1] images at range 1", digits=3)
_DETAIL = Metric("detail", "Finest detail (truth = 1)", better="one")
_ROUGHNESS = Metric("roughness", "Temporal roughness (truth = 1)", better="one")


@dataclass(frozen=True)
class Modality:
    """The words and measures of one kind of scan.

    Attributes:
        key: "oct", "cmr" or "cmr_cine".
        image: what is interpolated, "frame" or "slice".
        scan: what it is interpolated in, "pullback" or "stack".
        metrics: columns of the tables.
        protocol: what a reader must know, above the tables.
        has_rfid: whether the tables have columns of rFID and of FD-Lite0.
    """

    key: str
    image: str
    scan: str
    metrics: tuple[Metric, ...]
    protocol: str
    has_rfid: bool

    def metric(self, key: str) -> Metric:
        """The metric of this key."""
        return next(metric for metric in self.metrics if metric.key == key)


def _oct() -> Modality:
    protocol = "Only frames between the given ones are scored. " + _COMMON
    speckle_psnr = Metric("speckle_psnr", "PSNR, speckle filtered (dB)")
    metrics = (_PSNR, _SSIM_PERCENT, _LPIPS, _ST_LPIPS, speckle_psnr, _DETAIL)
    return Modality("oct", "frame", "pullback", metrics, protocol, has_rfid=False)


def _cmr(key: str) -> Modality:
    cine = key == "cmr_cine"
    protocol = "Only slices between the given ones are scored" + (
        ", phase by phase, and averaged over the phases. " if cine else ". "
    )
    protocol += _COMMON + f"rFID: {inception.EXTRACTOR}; it is biased upwards below {FEW_IMAGES} images, so their "
    protocol += f"number stands beside it. FD-Lite0: the same distance with {efficientnet_lite.EXTRACTOR}; no FID. "
    if cine:
        protocol += (
            "Temporal roughness: mean absolute second difference along the heart cycle, over that of the truth; "
        )
        protocol += "above 1 flickers, below 1 is smoothed. "
    metrics = (_PSNR, _SSIM, _LPIPS, _ST_LPIPS, _DETAIL, _SSIM_LEGACY) + ((_ROUGHNESS,) if cine else ())
    return Modality(key, "slice", "stack", metrics, protocol, has_rfid=True)


MODALITIES = {modality.key: modality for modality in (_oct(), _cmr("cmr"), _cmr("cmr_cine"))}
