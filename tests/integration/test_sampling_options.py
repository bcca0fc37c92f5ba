# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Options of a method that no network can use end the command with one line, before any scan is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from monai.bundle import ConfigParser

BUNDLES = Path(__file__).parents[2] / "bundles"
TILES = [
    ("calid", [100, 100], 16, "[96, 96] and [112, 112]"),
    ("cardiointerp", [72, 72], 32, "[64, 64] and [96, 96]"),
    ("latent_bridge", [20, 160], 16, "[16, 160] and [32, 160]"),
    ("unet_regression", [8, 160], 16, "[16, 160]"),
    ("flavr_oct", [60, 256], 8, "[56, 256] and [64, 256]"),
]
BAD = [
    *(
        (bundle, "tile_size", size, f"tile_size must be multiples of {unit}, got {size}; the nearest: {nearest}")
        for bundle, size, unit, nearest in TILES
    ),
    ("calid", "tile_size", 160, "tile_size is (height, width) in pixels, got 160"),
    ("i3net", "tile_overlap", 1, "tile_overlap must be at least 0 and below 1, got 1"),
    ("calid_cine", "tile_overlap", -0.1, "tile_overlap must be at least 0 and below 1, got -0.1"),
    ("calid", "prediction_type", "velocity",
     "prediction_type is 'epsilon' or 'v_prediction' or 'sample', got 'velocity'"),
    ("cardiointerp", "prediction_type", "eps", "prediction_type is 'epsilon' or 'v_prediction' or 'sample', got 'eps'"),
    ("calid", "prediction_type", "sample", "prediction_type 'sample' needs a denoiser with prior 'none'"),
    ("cardiointerp", "prediction_type", "sample", "prediction_type 'sample' needs a denoiser with prior 'none'"),
    ("calid", "eta", 1.5, "eta must be from 0 to 1, got 1.5"),
    ("cardiointerp", "eta", "much", "eta must be from 0 to 1, got 'much'"),
    ("cardiointerp", "guidance_weight", -1, "guidance_weight must be 0 or more, got -1"),
    ("calid", "realism", "half", "realism must be from 0 to 1, got 'half'"),
    ("calid", "texture", 2, "texture must be from 0 to 1, got 2"),
    ("motion", "texture", "half", "texture must be from 0 to 1, got 'half'"),
    ("diffae", "inversion_steps", 0, "inversion_steps must be from 1 to 1000, got 0"),
    ("latent_bridge", "num_inference_steps", 0, "num_inference_steps must be at least 1, got 0"),
    ("tscnet", "resampling", "cubic", "resampling is 'linear' or 'nearest', got 'cubic'"),
    ("unet_regression", "factor", 65, "factor must be at most 64 for this method, which halves gaps; got 65"),
    ("calid", "batch_size", 0, "batch_size must be an integer of at least 1, got 0"),
]  # fmt: skip


@pytest.mark.parametrize(("bundle", "option", "value", "line"), BAD)
def test_a_bad_option_is_one_line(bundle, option, value, line, tmp_path):
    parser = ConfigParser(ConfigParser.load_config_file(BUNDLES / bundle / "configs" / "inference.json"))
    parser.update({option: value, "output_dir": str(tmp_path), "dataset_dir": str(tmp_path), "device": "cpu"})
    evaluator = parser.get_parsed_content("evaluator")
    with pytest.raises(SystemExit) as ended:
        evaluator.run()
    assert str(ended.value) == f"error: {line}"


@pytest.mark.parametrize("folder", sorted(BUNDLES.glob("*/configs/inference.json")), ids=lambda path: path.parts[-3])
def test_the_options_that_ship_are_good(folder):
    parser = ConfigParser(ConfigParser.load_config_file(folder))
    network, inferer = (parser.get_parsed_content(name) for name in ("network_def", "inferer"))
    if hasattr(network, "interpolate"):
        network.validate()
        inferer.validate(network)
