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
        budgets: options of `train.json` per budget. "demo" shows that it runs; "default" keeps the config's own.
        sources: folders that the images of `--data` must lie in, because rows choose among them.
    """

    bundle: str
    title: str
    method: str
    reference: str
    factor: int
    rows: tuple[Row, ...]
    evaluation: Mapping[str, Any]
    paper: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    budgets: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: TWO_STAGES)
    sources: tuple[str, ...] = ()


TWO_STAGES = {
    "demo": {"autoencoder_epochs": 1, "denoiser_epochs": 1, "epoch_length": 4, "crop_size": [64, 64]},
    "small": {"autoencoder_epochs": 8, "denoiser_epochs": 12, "epoch_length": 50, "crop_size": [128, 128]},
    "default": {},
}
ONE_STAGE = {
    "demo": {"epochs": 1, "epoch_length": 4, "crop_size": [64, 64]},
    "small": {"epochs": 8, "epoch_length": 50, "crop_size": [128, 128]},
    "default": {},
}
SOURCES = ("real", "cine", "phantom", "hearts")
"""Of the stacks that `bundles/motion` was trained on, as its page merges them: end-diastolic and end-systolic stacks,
cines, simulated hearts of drawn shapes and of scanned ones."""


def _fusion(temporal: str, fusion: str, motion: bool = False, upsampling: str = "transposed") -> dict[str, Any]:
    codec = {"temporal": temporal, "fusion": fusion, "upsampling": upsampling, "motion": {} if motion else None}
    return {f"network_def#autoencoder#{name}": value for name, value in codec.items()}


def _calid(decoder: str, prior: str, realism: float = 0.0) -> dict[str, Any]:
    codec = {"decoder": decoder, "motion": {} if prior == "motion" else None}
    return {f"network_def#autoencoder#{name}": value for name, value in codec.items()} | {
        "network_def#denoiser#prior": prior,
        "realism": realism,
    }


def _drawn_from(*sources: str) -> dict[str, Any]:
    chosen = f"os.path.basename(os.path.dirname(item['image'])) in {sources!r}"
    return {"train#dataset#data": f"$[item for item in @datalist(section='training') if {chosen}]"}


def _without(transform: int) -> dict[str, Any]:
    return {f"train#preprocessing#transforms#{transform}#_disabled_": True}


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
    "motion": Ablation(
        "motion", "What each ingredient of the motion network's training brings", "Motion", "Pixel average", 2,
        (
            Row("all: real stacks and cines, hearts of drawn and of scanned shapes", "all", {}),
            Row("the same, another seed", "seed", {"seed": 1}),
            Row("real stacks and cines alone", "real", _drawn_from("real", "cine")),
            Row("simulated hearts of drawn shapes alone", "drawn", _drawn_from("phantom")),
            Row("simulated hearts of scanned shapes alone", "scanned", _drawn_from("hearts")),
            Row("simulated hearts, both kinds", "simulated", _drawn_from("phantom", "hearts")),
            Row("all, four neighbours", "four", {"num_neighbours": 4}),
            Row("all, asked for the middle only", "middle", {"uneven": False}),
            *(
                Row(f"all, without {name}", f"without_{place}", _without(place))
                for place, name in enumerate(
                    ("flips", "quarter turns", "reversed order", "affine maps", "bias field", "gamma", "gain")
                )
            ),
        ),
        {"dense_factors": [], "seed": 0},  # the same slices whatever the seed of a training
        budgets=ONE_STAGE,
        sources=SOURCES,
    ),
}  # fmt: skip
