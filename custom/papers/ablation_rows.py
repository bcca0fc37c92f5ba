# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The variants that `custom.papers.ablation` trains: options of a bundle's `train.json`, and their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from custom.papers.values import CARDIOINTERP_TABLE_2


@dataclass(frozen=True)
class Row:
    """A variant.

    Attributes:
        name: in the table.
        folder: its folder.
        options: of `train.json`, that make it.
    """

    name: str
    folder: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Ablation:
    """The variants of a bundle's method.

    Attributes:
        bundle: its name.
        title: of the table.
        method: row of the evaluation's summary that is read.
        reference: likewise, what needs no training.
        factor: that is measured.
        rows: the variants.
        evaluation: options of `evaluate.json`, of every row.
        paper: PSNR and SSIM (%) that the paper printed, of some rows.
    """

    bundle: str
    title: str
    method: str
    reference: str
    factor: int
    rows: tuple[Row, ...]
    evaluation: Mapping[str, Any]
    paper: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def _fusion(temporal: str, fusion: str, motion: bool = False, upsampling: str = "transposed") -> dict[str, Any]:
    codec = {"temporal": temporal, "fusion": fusion, "upsampling": upsampling, "motion": {} if motion else None}
    return {f"network_def#autoencoder#{name}": value for name, value in codec.items()}


def _calid(decoder: str, prior: str, realism: float = 0.0) -> dict[str, Any]:
    codec = {"decoder": decoder, "motion": {} if prior == "motion" else None}
    return {f"network_def#autoencoder#{name}": value for name, value in codec.items()} | {
        "network_def#denoiser#prior": prior,
        "realism": realism,
    }


ABLATIONS = {
    "cardiointerp": Ablation(
        "cardiointerp", "Decoder ablation", "CardioInterp", "Linear", 6,
        (
            Row("plain decoder", "plain", _fusion("none", "none")),
            Row("+ P3D", "p3d", _fusion("shift", "none")),
            Row("+ dual-path addition", "addition", _fusion("shift", "addition")),
            Row("+ dual-path fusion", "fusion", _fusion("shift", "flow")),
            Row("+ start from the motion guess", "motion_prior", _fusion("shift", "flow", motion=True)),
            Row("+ fusion by motion", "motion", _fusion("shift", "motion", motion=True, upsampling="resize")),
        ),
        {"factors": [6]},
        CARDIOINTERP_TABLE_2,
    ),
    "calid": Ablation(
        "calid", "From CaLID as published to moving first", "CaLID", "Pixel average", 2,
        (
            Row("the paper's form: from noise, 8 steps", "paper", _calid("plain", "none", realism=1.0)),
            Row("+ start from the neighbours' mean latent, 1 step", "mean", _calid("plain", "linear")),
            Row("+ start from the motion guess", "motion_prior", _calid("plain", "motion")),
            Row("+ fusion decoder", "fusion", _calid("fusion", "motion")),
        ),
        {"evaluator#variants": {"CaLID": {}}, "evaluator#num_samples": {}, "evaluator#stepped": [], "steps": []},
    ),
}  # fmt: skip
