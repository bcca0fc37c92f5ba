# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What differs between OCT and cardiac MR in the tables and figures: words, measures and the paper beside them."""

from __future__ import annotations

from dataclasses import dataclass

from custom.evaluation.scoring import Metric
from custom.metrics.frechet import FEW_IMAGES
from custom.metrics.inception import EXTRACTOR
from custom.papers.values import PaperTable, calid_paper, cardiointerp_paper

_COMMON = (
    "Intensities in [0, 1], data range 1; SSIM 11 x 11 Gaussian, sigma 1.5. "
    "Brackets: 95 % bootstrap interval over patients. Oracles see the images they are scored on. "
)
_PSNR, _LPIPS = Metric("psnr", "PSNR (dB)"), Metric("lpips", "LPIPS", digits=3, better="lower")
_SSIM_PERCENT, _SSIM = Metric("ssim", "SSIM (%)", scale=100.0), Metric("ssim", "SSIM", digits=3)
# The predecessor of CaLID's code measured SSIM on [-1, 1] images with data range 1 (B20).
_SSIM_LEGACY = Metric("ssim_legacy", "SSIM of [-1, 1] images at range 1", digits=3)
_ROUGHNESS = Metric("roughness", "Temporal roughness (truth = 1)", better="one")


@dataclass(frozen=True)
class Modality:
    """The words and measures of one kind of scan.

    Attributes:
        key: "oct", "cmr" or "cmr_cine".
        image: what is interpolated, "frame" or "slice".
        scan: what it is interpolated in, "pullback" or "stack".
        metrics: columns of the tables.
        paper: the table printed beside ours.
        form: of our first table: "factors" (a column per factor) or "metrics" (a column per metric, at factor 2).
        protocol: what a reader must know, above the tables.
        has_rfid: whether the tables have an rFID column.
    """

    key: str
    image: str
    scan: str
    metrics: tuple[Metric, ...]
    paper: PaperTable
    form: str
    protocol: str
    has_rfid: bool

    def metric(self, key: str) -> Metric:
        """The metric of this key."""
        return next(metric for metric in self.metrics if metric.key == key)


def _oct() -> Modality:
    paper = cardiointerp_paper()
    protocol = "Only frames between the given ones are scored. " + _COMMON
    protocol += f'Columns marked "{paper.label}" are numbers printed in the CardioInterp paper: private data, '
    protocol += "not comparable with ours."
    metrics = (_PSNR, _SSIM_PERCENT, _LPIPS, Metric("speckle_psnr", "PSNR, speckle filtered (dB)"))
    return Modality("oct", "frame", "pullback", metrics, paper, "factors", protocol, has_rfid=False)


def _cmr(dimensions: str) -> Modality:
    paper = calid_paper(dimensions)
    protocol = "Only slices between the given ones are scored" + (
        ", phase by phase, and averaged over the phases. " if dimensions == "2D+T" else ". "
    )
    protocol += _COMMON + f"rFID: {EXTRACTOR}; it is biased upwards below {FEW_IMAGES} images, so their number stands "
    protocol += "beside it. "
    protocol += f'Columns marked "{paper.label}" are the numbers printed in Table I of the CaLID paper.'
    metrics = (_PSNR, _SSIM, _LPIPS, _SSIM_LEGACY)
    if dimensions == "2D+T":
        metrics += (_ROUGHNESS,)
    key = "cmr" if dimensions == "2D" else "cmr_cine"
    return Modality(key, "slice", "stack", metrics, paper, "metrics", protocol, has_rfid=True)


MODALITIES = {modality.key: modality for modality in (_oct(), _cmr("2D"), _cmr("2D+T"))}
