# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The augmentation that the bundles ship with: slices stay slices of one heart, depth stays depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from custom.data.augmented import augmented

CONFIGS = sorted((Path(__file__).parents[2] / "bundles").glob("*/configs/train.json"))
LISTS = [
    (path, stage) for path in CONFIGS for stage in ("train", "in_plane") if stage in ConfigParser.load_config_file(path)
]
DIFFERENT = (
    "RandGaussianNoised",
    "RandNoiseFloord",
    "RandTurnFramesd",
    "RandJumpFramesd",
    "RandSideBranchd",
    "RandBloodd",
)
"""What changes every frame by itself, as scanners and vessels do; tested with the transforms."""


SHADOWS = ("RandGuidewireShadowd",)
"""What takes the light of a sector and leaves the rest."""


def transform(path, stage, without=DIFFERENT):
    parser = ConfigParser(ConfigParser.load_config_file(path))
    transform = parser.get_parsed_content(f"{stage}#preprocessing")
    for step in transform.transforms:
        if type(step).__name__ in without:
            step.prob = 0.0
    return transform


@pytest.mark.parametrize("path, stage", LISTS, ids=[f"{path.parts[-3]}-{stage}" for path, stage in LISTS])
def test_slices_are_changed_alike_and_stay_in_range(path, stage):
    change = transform(path, stage)
    plane = torch.rand(1, 40, 48, generator=torch.Generator().manual_seed(0))
    label = torch.zeros(1, 40, 48, dtype=torch.uint8)
    sums = set()
    for index in range(12):
        item = {"image": plane.repeat(6, 1, 1), "label": label, "phases": 2, "coordinates": "polar"}
        image = augmented(change, item, 0, index)["image"]
        torch.testing.assert_close(image, image[:1].expand_as(image), rtol=0, atol=1e-6)
        assert image.isfinite().all() and 0 <= image.min() and image.max() <= 1
        sums.add(round(image.mean().item(), 6))
    assert len(sums) > 8, "it changes something"


@pytest.mark.parametrize(
    "path, stage", [x for x in LISTS if x[0].parts[-3].endswith("_oct") or x[0].parts[-3] == "cardiointerp"]
)
def test_depth_is_never_mirrored_nor_turned_into_an_angle(path, stage):
    change = transform(path, stage, DIFFERENT + SHADOWS)
    depth = torch.from_numpy(np.linspace(0.1, 0.9, 48, dtype=np.float32)).expand(3, 40, 48).contiguous()
    for index in range(30):
        image = augmented(change, {"image": depth, "coordinates": "polar"}, 0, index)["image"]
        assert (image.diff(dim=2) > -1e-5).all()
        torch.testing.assert_close(image, image[:, :1].expand_as(image), rtol=0, atol=1e-5)
