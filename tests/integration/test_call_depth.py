# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""How many calls of our own lie between the command's `run` and a network: the way that a reader has to follow.

Three of them share scans out among processes (claims), and tell of a pixel how far off it may be.
"""

from __future__ import annotations

import traceback
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.bundle import ConfigParser

import custom

BUNDLES = Path(__file__).parents[2] / "bundles"
PACKAGE = Path(custom.__file__).parent.resolve()


def calls(bundle: str, part: str, folder: Path) -> list[str]:
    """The deepest chain of functions of `custom/` at a call of a part of a bundle's network, outermost first."""
    is_oct = bundle == "cardiointerp" or bundle.endswith("_oct")
    image = nib.Nifti1Image(np.random.default_rng(0).integers(0, 256, (32, 32, 2), np.uint8), np.diag([1, 1, 8, 1]))
    image.header["descrip"] = b"OCT polar" if is_oct else b""
    image.header.set_xyzt_units("mm")
    nib.save(image, folder / "scan.nii.gz")
    config = ConfigParser.load_config_file(BUNDLES / bundle / "configs" / "inference.json")
    parser = ConfigParser(config | {"dataset_dir": str(folder), "output_dir": str(folder / "out"), "device": "cpu"})
    parser["bundle_root"] = str(BUNDLES / bundle)
    parser.update({name: 1 for name in ("num_inference_steps",) if name in config} | {"factor": 2})
    network = parser.get_parsed_content("network_def")
    seen: list[list[str]] = []

    def note(*_: object) -> None:
        frames = traceback.extract_stack()
        seen.append([frame.name for frame in frames if Path(frame.filename).resolve().is_relative_to(PACKAGE)])

    network.get_submodule(part).register_forward_pre_hook(note)
    parser.get_parsed_content("evaluator").run()
    return max(seen, key=len)


@pytest.mark.parametrize(
    ("bundle", "part", "most"),
    [
        ("calid", "denoiser.unet", 17),  # 21 before the house was put in order; the last is the network's own
        ("latent_bridge", "denoiser", 16),
        ("cardiointerp", "denoiser", 15),  # 16
        ("diffae", "denoiser.unet", 15),  # 14
        ("unet_regression", "network", 13),  # 13
    ],
)
def test_the_way_to_a_network_is_short(bundle, part, most, tmp_path):
    way = calls(bundle, part, tmp_path)
    assert way[0] == "run" and len(way) <= most, " > ".join(way)
