# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Options of a training that contradict each other, or make no sense, cost one line before its first epoch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from custom.errors import input_error_in
from custom.phantoms.cmr import CmrPhantomConfig, write_cmr_dataset
from custom.phantoms.oct import OctPhantomConfig, write_phantom_dataset

BUNDLES = Path(__file__).parents[2] / "bundles"
SMALL = {"crop_size": [64, 64], "device": "cpu", "perceptual_weight": 0, "motion_weights": None}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    pullbacks = OctPhantomConfig(num_frames=20, num_alines=64, num_depths=64)
    hearts = CmrPhantomConfig(num_phases=1, matrix=64, pixel_mm=3.0, pitch_mm=4.0, extent_mm=32.0)
    write_phantom_dataset(folder / "oct", 4, pullbacks)
    write_cmr_dataset(folder / "cmr", 4, hearts)
    return folder


def start(phantoms, tmp_path, bundle, options):
    """What a training does before its first epoch: all that the config's `run` needs, and its checks."""
    parser = ConfigParser()
    parser.read_config(str(BUNDLES / bundle / "configs" / "train.json"))
    kind = "oct" if "oct_datalist" in json.dumps(parser.config["datalist"]) else "cmr"
    paths = {"dataset_dir": phantoms / kind, "output_dir": tmp_path, "bundle_root": BUNDLES / bundle}
    given = {**SMALL, **{name: str(path) for name, path in paths.items()}, **options}
    for name, value in given.items():
        if name in parser:
            parser[name] = value
    in_order = [name for name in ("autoencoder", "in_plane", "train") if name in parser]
    stages = [parser.get_parsed_content(f"{name}#trainer") for name in in_order]
    parser.get_parsed_content("session").check(stages, parser.get_parsed_content("trained"))


WRONG = [
    ("cardiointerp", {"window_lengths": 8}, "--window_lengths: has 8, and a window has 7 frames; give at most 7, or"),
    ("cardiointerp", {"window_lengths": [2, 5]}, "--window_lengths: is [2, 5]; give whole numbers of at least 3"),
    ("cardiointerp", {"window": 2}, "--window: is 2; give a whole number of at least 3"),
    ("cardiointerp", {"strides": [9]}, "OCT01.nii.gz: 20 usable frames, a window of 7 frames needs 55; remove it"),
    ("cardiointerp", {"unconditional_probability": 1.1}, "--unconditional_probability: is 1.1; give a number from 0"),
    ("cardiointerp", {"condition_noise": 1001}, "--condition_noise: is 1001; give a whole number from 0 to 1000"),
    ("cardiointerp", {"latent_statistics_batches": 0}, "--latent_statistics_batches: is 0; give a whole number"),
    ("cardiointerp", {"kl_weight": -1}, "--kl_weight: is -1; give a number of at least 0"),
    ("cardiointerp", {"latent_noise_std": -1}, "--latent_noise_std: is -1; give a number of at least 0"),
    ("cardiointerp", {"autoencoder_epochs": 0}, "--autoencoder_epochs: is 0; give a whole number of at least 1"),
    ("cardiointerp", {"denoiser_epochs": -2}, "--denoiser_epochs: is -2; give a whole number of at least 1"),
    ("cardiointerp", {"denoiser_batch_size": 0}, "--denoiser_batch_size: is 0; give a whole number of at least 1"),
    ("cardiointerp", {"denoiser_lr": 0}, "--denoiser_lr: is 0; give a number above 0"),
    ("cardiointerp", {"realism": 2}, "option of the network: realism must be from 0 to 1, got 2; mend it"),
    (
        "motion_oct",
        {"gaps": [2, 9]},
        "--gaps: has 9, and a window of 7 frames holds 1 of 6; give at most 6, or --window",
    ),
    ("motion_oct", {"gaps": [1, 2]}, "--gaps: is [1, 2]; give whole numbers of at least 2, for instance [2,3,4]"),
    ("motion_oct", {"gaps": 3}, "--gaps: is 3; give whole numbers of at least 2, for instance [2,3,4]"),
    ("motion_oct", {"blend_weight": -0.1}, "--blend_weight: is -0.1; give a number of at least 0"),
    ("motion_oct", {"epochs": 1.5}, "--epochs: is 1.5; give a whole number of at least 1"),
    ("motion_oct", {"epoch_length": 0}, "--epoch_length: is 0; give a whole number of at least 1"),
    ("motion_oct", {"batch_size": -1}, "--batch_size: is -1; give a whole number of at least 1"),
    ("motion_oct", {"val_interval": 0}, "--val_interval: is 0; give a whole number of at least 1"),
    ("motion_oct", {"val_windows": 0}, "--val_windows, in evaluation --max_windows_per_pullback: is 0; give a whole"),
    ("motion_oct", {"ema_decay": 1}, "--ema_decay: is 1; give a number between 0 and 1"),
    ("motion_oct", {"log_every": 0}, "--log_every: is 0; give a whole number of at least 1"),
    (
        "flavr_oct",
        {"window": 7},
        "--gaps: has 6, and a window of 7 frames holds 3 of 2; give at most 2, or --window 19",
    ),
    ("tscnet_oct", {"window": 7}, "--window: is 7; give 3: this stage learns from triplets"),
    ("tscnet", {"steps": 0}, "--steps: is 0; give whole numbers of at least 1"),
    ("tscnet", {"in_plane_epochs": 0}, "--in_plane_epochs: is 0; give a whole number of at least 1"),
    ("tscnet", {"direct_weight": -1}, "--direct_weight: is -1; give a number of at least 0"),
    ("unet_regression", {"half_gaps_mm": [5, 1]}, "--half_gaps_mm: is [5, 1]; give the least and then the most in mm"),
    ("unet_regression", {"half_gaps_mm": [50, 90]}, "--half_gaps_mm: is [50, 90], and no stack has slices at such"),
    ("unet_regression", {"l1_weight": -1}, "--l1_weight: is -1; give a number of at least 0"),
    ("calid", {"high_noise_share": 2}, "--high_noise_share: is 2; give a number from 0 to 1"),
    ("latent_bridge", {"start_share": -1}, "--start_share: is -1; give a number from 0 to 1"),
    ("diffae", {"val_inference_steps": 0}, "option of the network: num_inference_steps must be from 1 to 1000, got 0"),
]


@pytest.mark.parametrize(
    ("bundle", "options", "line"), WRONG, ids=lambda value: "".join(value) if isinstance(value, dict) else ""
)
def test_a_training_that_would_learn_something_else_is_refused(phantoms, tmp_path, bundle, options, line):
    with pytest.raises(Exception) as told:
        start(phantoms, tmp_path, bundle, options)
    error = input_error_in(told.value)
    assert error is not None and line in str(error) and "\n" not in str(error)
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize(
    ("bundle", "options"),
    [
        ("motion_oct", {"gaps": [2, 9], "window": 10}),
        ("cardiointerp", {"window_lengths": 8, "window": 8, "strides": 1}),
        ("unet_regression", {"half_gaps_mm": [4, 4]}),
    ],
)
def test_options_that_fit_each_other_pass(phantoms, tmp_path, bundle, options):
    start(phantoms, tmp_path, bundle, options)
