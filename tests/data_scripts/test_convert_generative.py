# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The command that converts old checkpoints, from file to file."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from custom.errors import InputError
from custom.networks.slice_autoencoder import SliceAutoencoder
from custom.training.legacy_checkpoints import KINDS, core_arguments

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "data_scripts" / "convert_generative.py"
SMALL = {"spatial_dims": 2, "num_res_blocks": 1, "norm_num_groups": 2, "latent_channels": 2}
PLAIN = SMALL | {
    "num_channels": [4, 4],
    "attention_levels": [False, False],
    "with_encoder_nonlocal_attn": False,
    "with_decoder_nonlocal_attn": False,
}


def convert(**options: object) -> None:
    """The command in this process: a new one would spend its time on imports."""
    spec = importlib.util.spec_from_file_location("convert_generative", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.convert(**{name: str(value) for name, value in options.items()})


@pytest.fixture
def old(tmp_path: Path) -> dict[str, Path]:
    """A checkpoint of generative's AutoencoderKL without attention (recorded weights) and its arguments."""
    with np.load(ROOT / "tests" / "training" / "data" / "generative.npz") as record:
        shapes = json.loads(str(record["autoencoder_plain_shapes"]))
        flat = torch.from_numpy(record["autoencoder_plain_weights"]).float()
    parts = flat.split([int(np.prod(shape)) for shape in shapes.values()])
    state = {name: part.view(shape).clone() for (name, shape), part in zip(shapes.items(), parts, strict=True)}
    torch.save({"model": state}, tmp_path / "old.pt")
    (tmp_path / "args.json").write_text(json.dumps(PLAIN))
    return {"checkpoint": tmp_path / "old.pt", "arguments": tmp_path / "args.json", "kind": "autoencoderkl"}


def test_an_autoencoder_goes_into_a_bundle(old: dict[str, Path], tmp_path: Path) -> None:
    alone = tmp_path / "alone.pt"
    convert(**old, output=alone)
    core = KINDS["autoencoderkl"](**core_arguments("autoencoderkl", PLAIN)).eval()
    core.load_state_dict(torch.load(alone, weights_only=True))

    bundle = torch.nn.ModuleDict(
        {"autoencoder": SliceAutoencoder(2, (4, 4), 2, 1, 2), "denoiser": torch.nn.Linear(2, 2)}
    )
    torch.save(bundle.state_dict(), tmp_path / "model.pt")
    convert(**old, prefix="autoencoder.vae.", into=tmp_path / "model.pt", output=tmp_path / "new.pt")
    denoiser = bundle["denoiser"].weight.clone()
    bundle.load_state_dict(torch.load(tmp_path / "new.pt", weights_only=True))
    assert torch.equal(bundle["denoiser"].weight, denoiser)
    images = torch.randn(1, 1, 1, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(bundle["autoencoder"].eval().encode(images)[:, 0], core.encode(images[:, 0])[0])


def test_bad_input_writes_nothing(old: dict[str, Path], tmp_path: Path) -> None:
    torch.save({"autoencoder.vae.a": torch.ones(1)}, tmp_path / "other.pt")
    (tmp_path / "wrong.json").write_text(json.dumps(PLAIN | {"num_channels": [8, 8]}))
    (tmp_path / "core.json").write_text(json.dumps(SMALL | {"channels": [4, 4]}))
    output = tmp_path / "new.pt"
    for change, fault in (
        ({"checkpoint": tmp_path / "absent.pt"}, "no such file"),
        ({"arguments": tmp_path / "wrong.json"}, "another shape"),
        ({"arguments": tmp_path / "core.json"}, "'channels' is no argument"),
        ({"prefix": "autoencoder.vae.", "into": tmp_path / "other.pt"}, "weights differ"),
    ):
        with pytest.raises(InputError, match=fault) as error:
            convert(**old | change, output=output)
        assert "\n" not in str(error.value) and not output.exists()


def test_the_command_tells_a_fault_in_one_line(old: dict[str, Path], tmp_path: Path) -> None:
    options = old | {"kind": "vqvae", "output": tmp_path / "new.pt"}
    given = [f"--{name}={value}" for name, value in options.items()]
    result = subprocess.run([sys.executable, str(SCRIPT), *given], capture_output=True, text=True)
    assert result.returncode == 1 and "kind is one of" in result.stderr and result.stderr.count("\n") == 1
    assert not (tmp_path / "new.pt").exists()
