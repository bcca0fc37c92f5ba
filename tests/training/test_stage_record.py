# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import re
import threading

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from torch import nn

from custom.data.in_plane_triplets import InPlaneTripletDataset
from custom.data.labelled_slices import LabelledSliceDataset
from custom.data.triplets import RandomTripletDataset
from custom.data.windows import RandomWindowDataset
from custom.errors import InputError
from custom.training import stage_record as module
from custom.training.losses import WeightedNoiseLoss
from custom.training.segmentation_task import PartialLabelLoss
from custom.training.stage_record import described, difference, stage_record


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path):
    (tmp_path / "a.nii").write_bytes(b"a")
    return [{"image": str(tmp_path / "a.nii"), "patient": "P"}]


def transforms(**overrides):
    parser = ConfigParser({
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "RandFlipd", "keys": "image", "prob": 0.5, "spatial_axis": 0},
                {"_target_": "RandAffined", "keys": "image", "rotate_range": 0.8, "scale_range": [0.1, 0.1]},
                {"_target_": "RandBiasFieldd", "keys": "image", "prob": 0.5, "coeff_range": [-0.1, 0.1]},
                {"_target_": "RandAdjustContrastd", "keys": "image", "prob": 0.5, "gamma": [0.7, 1.4]},
                {"_target_": "RandScaleIntensityd", "keys": "image", "prob": 0.5, "factors": 0.2},
                {"_target_": "RandGaussianNoised", "keys": "image", "prob": 0.5, "std": 0.02},
                {"_target_": "custom.transforms.augmentation_polar.RandRowShiftd", "keys": "image", "most": 0.1},
                {"_target_": "custom.transforms.augmentation_intensity.RandDynamicRanged", "keys": "image"},
            ],
        }
    })  # fmt: skip
    parser.update({f"preprocessing#transforms#{name}": value for name, value in overrides.items()})
    return parser.get_parsed_content("preprocessing")


def test_record_is_json_and_equal_to_itself_after_a_round_trip(data):
    options = {
        "lr": 5e-4, "crop": (256, 256), "none": None, "device": torch.device("cpu"), "dtype": torch.float16,
        "count": np.int64(3), "loss": WeightedNoiseLoss("l1"), "betas": torch.tensor([0.1, 0.2]), "kind": nn.MSELoss,
        "optimizer": torch.optim.AdamW(nn.Linear(1, 1).parameters(), 1e-3), "transform": transforms(),
    }  # fmt: skip
    record = stage_record(data, options)
    assert difference(json.loads(json.dumps(record)), record) is None
    assert difference(record, stage_record(data, options | {"transform": transforms()})) is None
    assert record["code"] and record["crop"] == [256, 256] and record["optimizer"]["lr"] == 1e-3


@pytest.mark.parametrize(
    "change, words",
    [
        ({"lr": 1e-3}, "lr 0.0005, now 0.001"),
        ({"crop": [256, 128]}, r"crop \[256, 256\], now \[256, 128\]"),
        ({"betas": torch.tensor([0.1, 0.3])}, "other betas"),
        ({"loss": WeightedNoiseLoss("l2")}, "loss.kind l1, now l2"),
        ({"network": nn.Sequential(nn.Conv2d(1, 1, 3, padding=2))}, r"network.0.padding \[1, 1\], now \[2, 2\]"),
        ({"network": nn.Sequential(nn.Linear(1, 2))}, "^network.0 Conv2d, now Linear$"),
        ({"network": nn.Conv2d(1, 1, 1)}, "^network Sequential, now Conv2d$"),
        ({"more": 1}, "more None, now 1"),
        ({"lr": 1, "crop": 2, "betas": 3, "more": 4, "still": 5}, r"^lr 0.0005, now 1; crop .*; .* \d more$"),
    ],
)
def test_what_differs_is_named(data, change, words):
    options = {
        "lr": 5e-4, "crop": [256, 256], "betas": torch.tensor([0.1, 0.2]), "loss": WeightedNoiseLoss("l1"),
        "network": nn.Sequential(nn.Conv2d(1, 1, 3, padding=1)),
    }  # fmt: skip
    told = difference(stage_record(data, options), stage_record(data, options | change))
    assert re.search(words, told), told


def test_data_weights_and_code_count(data, tmp_path, monkeypatch):
    (tmp_path / "model.pt").write_bytes(b"weights")
    weights = {"pretrained": tmp_path / "model.pt"}
    record = stage_record(data, {}, weights)
    (tmp_path / "b.nii").write_bytes(b"b")
    others = [{"image": str(tmp_path / "b.nii"), "patient": "P"}, *data]
    assert difference(record, stage_record(others, {}, weights)) == "other data"
    assert difference(record, stage_record(data, {}, {"pretrained": None})) == "other weights.pretrained"
    (tmp_path / "model.pt").write_bytes(b"others")
    assert difference(record, stage_record(data, {}, weights)) == "other weights.pretrained"
    again = stage_record(data, {}, weights)
    monkeypatch.setattr(module, "VERSION", "9.9")
    assert "now 9.9" in difference(again, stage_record(data, {}, weights))
    with pytest.raises(InputError, match="gone.pt"):
        stage_record(data, {}, {"pretrained": tmp_path / "gone.pt"})


class KeepsNothing:
    """Named as if it were ours."""

    __module__ = "custom.somewhere"

    def __init__(self, strength):
        pass


def test_a_data_set_is_its_entries_and_its_arguments(stack_file):
    entries = [{"image": str(stack_file("s.nii")), "patient": "P"}]
    pullback = [{"image": str(stack_file("p.nii", (30, 40, 20))), "patient": "P"}]
    label = [{**entries[0], "label": str(stack_file("l.nii"))}]
    variants = {
        RandomTripletDataset: (entries, {"half_gaps_mm": (2, 4)}, {"outer": True}, {"seed": 1}, {"crop_size": None}),
        RandomWindowDataset: (pullback, {"window": 3}, {"strides": [1]}, {"crop_size": (8, 9)}),
        InPlaneTripletDataset: (entries, {"steps": (1,)}, {"half_gaps_mm": (2, 2)}),
        LabelledSliceDataset: (label, {"num_classes": 3}, {"transform": transforms()}),
    }
    for kind, (data, *changes) in variants.items():
        crop = {} if kind is LabelledSliceDataset else {"crop_size": (8, 8)}
        record = stage_record(kind(data, 5, **crop), {})
        # Neither the length of an epoch nor the cache shapes what is drawn.
        assert difference(record, stage_record(kind(data, 9, cache_gib=1, **crop), {})) is None
        for change in changes:
            told = difference(record, stage_record(kind(data, 5, **(crop | change)), {}))
            assert told and "dataset." in told and next(iter(change)) in told and "data;" not in told, change
    assert difference(record, stage_record(LabelledSliceDataset(2 * label, 5), {})) == "other data"


def test_weights_of_a_loss_are_settings_though_it_holds_them_as_a_buffer():
    before, again, other = (described({"loss": PartialLabelLoss(w)}) for w in ((1.0, 1.0), (1.0, 1.0), (1.0, 2.0)))
    assert difference(before, again) is None
    assert difference(before, other).startswith("other loss.class_weights")


def test_an_object_that_loses_an_argument_is_refused_at_once(data):
    with pytest.raises(TypeError, match="KeepsNothing does not keep strength"):
        stage_record(data, {"task": KeepsNothing(3)})


def test_transforms_are_their_arguments_whatever_they_drew():
    used = transforms()
    before = described(used)
    for seed in range(5):
        used.set_random_state(seed=seed)
        used({"image": torch.rand(2, 16, 16)})
    assert described(used) == before == described(transforms())
    for name, value in {
        "0#spatial_axis": 1, "0#_disabled_": True, "1#rotate_range": 0.9, "1#scale_range": [0.1, 0.2], "1#prob": 0.6,
        "1#padding_mode": "border", "2#coeff_range": [-0.2, 0.1], "3#gamma": [0.7, 1.5], "4#factors": 0.3,
        "5#std": 0.03, "6#most": 0.2, "7#floor": [0, 0.2],
    }.items():  # fmt: skip
        assert difference({"t": before}, {"t": described(transforms(**{name: value}))}), name


def test_a_network_that_has_been_trained_is_the_same_network(networks):
    network = networks[0]()
    before = described(network)
    network.eval()
    network.num_inference_steps = 4  # how it is used
    nn.init.zeros_(network.encoder.weight)
    assert described(network) == before


def test_what_cannot_be_described_is_refused_at_once(data):
    with pytest.raises(TypeError, match="Event cannot be described"):
        stage_record(data, {"event": threading.Event()})
