# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The bundles of the rivals: each is trained, asked and evaluated by its own configs, at a size of seconds."""

from __future__ import annotations

import csv
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jsonschema
import monai.bundle
import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow

from custom.phantoms.cmr import CmrPhantomConfig, write_cmr_dataset
from custom.phantoms.oct import OctPhantomConfig, write_phantom_dataset
from custom.weights import load_model
from tests.integration.test_configs import OF_INFERENCE

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "bundles"
TRAIN, INFERENCE, EVALUATE = CONFIGS = ("train.json",), ("inference.json",), ("train.json", "evaluate.json")
"""Configs of the commands; the evaluation is an overlay on the training."""
CPU = {"device": "$torch.device('cpu')"}


@dataclass(frozen=True)
class Rival:
    """A bundle, and what makes it small enough for a test.

    Attributes:
        label: its row in the tables of `evaluate.json`.
        million: parameters of the composite network as it ships, in millions: (least, most).
        paper_million: the same at the paper's size.
        network: overrides that make the network tiny, for every config.
        training: overrides that make the training tiny; (epochs, iterations) are set for all.
        output: suffix of what `inference.json` makes of `scan.nii.gz`.
        after: the bundle whose trained weights this one's training needs, and the option that names them.
    """

    label: str
    million: tuple[float, float]
    paper_million: tuple[float, float]
    network: Mapping[str, object]
    training: Mapping[str, object] = field(default_factory=dict)
    output: str = "_interp.nii.gz"
    after: tuple[str, str] | None = None


UNET = {"network_def#network#features": [8, 8, 8, 8, 8, 8]}
FLAVR = {"network_def#network#channels": [8, 8, 8, 8], "network_def#network#blocks": [1, 1, 1, 1]}
I3NET = {
    "network_def#network#image_size": 32,
    "network_def#network#channels": 8,
    "network_def#network#num_groups": 2,
    "network_def#network#window_size": 8,
}
TSCNET = {
    "network_def#network#features": 8,
    "network_def#network#growth": 4,
    "network_def#network#num_blocks": 1,
    "network_def#network#layers": 2,
}
TSCNET_TRAINING = {"in_plane_epochs": 1}
MEDFORMER = {
    "base_channels": 8,
    "channels": [8, 8, 16, 16],
    "num_convolutions": 1,
    "num_attentions": 1,
    "heads": [2, 2, 2],
    "fusion_width": 16,
    "fusion_heads": 2,
    "fusion_depth": 1,
}
SEMANTIC = {
    "network_def#denoiser#encoder#channels": [8, 8, 8, 8, 8],
    "network_def#denoiser#encoder#code_channels": 16,
    "network_def#denoiser#encoder#norm_num_groups": 4,
    "network_def#denoiser#unet#norm_num_groups": 4,
    "network_def#denoiser#unet#channels": [8, 8, 8, 8, 8],
    "network_def#denoiser#unet#embed_channels": 16,
    "network_def#denoiser#unet#code_channels": 16,
    "num_inference_steps": 2,
}
SEMANTIC_TRAINING = {"val_inference_steps": 2}
MOTION = {"network_def#network": {"motion_features": [16] * 6, "residual_features": [16] * 6}}
RIVALS = {
    "motion": Rival("Motion", (1.2, 3), (10, 30), MOTION),
    "motion_oct": Rival("Motion", (1.2, 3), (10, 30), MOTION),
    "unet_regression": Rival("U-Net", (2.3, 9), (25, 60), UNET),
    "unet_regression_oct": Rival("U-Net", (2.3, 9), (25, 60), UNET),
    "flavr": Rival("FLAVR", (2.3, 9), (35, 50), FLAVR),
    "flavr_oct": Rival("FLAVR", (2.3, 9), (35, 50), FLAVR),
    "i3net": Rival("I3Net", (2.3, 9), (15, 30), I3NET),
    "i3net_oct": Rival("I3Net", (2.3, 9), (15, 30), I3NET),
    "tscnet": Rival("TSCNet", (2.3, 9), (5, 6.5), TSCNET, TSCNET_TRAINING),
    "tscnet_oct": Rival("TSCNet", (2.3, 9), (5, 6.5), TSCNET, TSCNET_TRAINING),
    "diffae": Rival("DiffAE", (2.3, 9), (100, 160), SEMANTIC, SEMANTIC_TRAINING),
    "medformer_sax": Rival(
        "MedFormer", (2.3, 9), (15, 25), {f"network_def#{key}": value for key, value in MEDFORMER.items()},
        output="_seg.nii.gz",
    ),
    "dmcvr": Rival(
        "DMCVR", (2.3, 9), (150, 230),
        {
            **SEMANTIC,
            "network_def#denoiser#unet#morphology_channels": 16,
            **{f"network_def#segmenter#{key}": value for key, value in MEDFORMER.items()},
        },
        SEMANTIC_TRAINING, after=("medformer_sax", "segmentation_weights"),
    ),
    "latent_bridge": Rival(
        "Latent bridge", (2.3, 9), (60, 150),
        {
            "network_def#autoencoder#channels": [8, 8, 8],
            "network_def#denoiser#channels": [16, 16],
            "network_def#denoiser#attention": [False, True],
            "network_def#denoiser#num_head_channels": 8,
            "network_def#denoiser#norm_num_groups": 8,
        },
        {"autoencoder_epochs": 1, "denoiser_epochs": 1, "denoiser_batch_size": 2, "autoencoder_crop_size": [32, 32]},
    ),
}  # fmt: skip


def load(name, *files):
    return ConfigParser.load_config_files([FOLDER / name / "configs" / file for file in files])


def paths(name, files):
    return [str(FOLDER / name / "configs" / file) for file in files]


def run(name, *files, **overrides):
    monai.bundle.run(config_file=paths(name, files), logging_file=False, **{**CPU, **overrides})


def is_oct(name):
    metadata = json.loads((FOLDER / name / "configs" / "metadata.json").read_text())
    return metadata["network_data_format"]["inputs"]["image"]["modality"] == "OCT"


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    """Folder of a phantom of four patients, for either modality; each is made once."""

    @functools.cache
    def make(oct_):
        folder = tmp_path_factory.mktemp("oct" if oct_ else "cmr")
        if oct_:
            write_phantom_dataset(folder, 4, OctPhantomConfig(num_frames=20, num_alines=64, num_depths=64))
        else:
            config = CmrPhantomConfig(num_phases=2, matrix=48, pixel_mm=3.0, pitch_mm=4.0, extent_mm=32.0)
            write_cmr_dataset(folder, 4, config)
        return folder

    return make


@pytest.fixture(scope="module")
def trained(phantom, tmp_path_factory):
    """`models/model.pt` that a bundle's training command leaves; each is trained once."""

    @functools.cache
    def train(name):
        rival, folder = RIVALS[name], tmp_path_factory.mktemp(name)
        needs = {} if rival.after is None else {rival.after[1]: str(train(rival.after[0]))}
        own = load(name, "train.json")
        size = {
            "crop_size": [32, 32],
            "batch_size": 2,
            "epoch_length": 2,
            "epochs": 1,
            "val_interval": 1,
            "val_windows": 1,
        }
        size = {key: value for key, value in size.items() if key in own}
        data = {
            "dataset_dir": str(phantom(is_oct(name))),
            "ckpt_dir": str(folder / "models"),
            "output_dir": str(folder),
        }
        run(name, "train.json", **{**size, **rival.network, **rival.training, **data, **needs})
        return folder / "models" / "model.pt"

    return train


@pytest.fixture(params=list(RIVALS))
def name(request):
    return request.param


def test_every_bundle_is_tested_here_or_at_length():
    elsewhere = {"calid", "calid_cine", "cardiointerp"}
    assert {path.name for path in FOLDER.iterdir() if (path / "configs").is_dir()} == set(RIVALS) | elsewhere


def test_training_writes_beside_the_bundle_unless_told_otherwise(phantom, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (path.name for path in FOLDER.iterdir() if (path / "configs").is_dir()):
        workflow = ConfigWorkflow(paths(name, TRAIN), workflow_type="train", logging_file=False, **CPU)
        for folder in ("output_dir", "ckpt_dir"):
            workflow.add_property(folder, required=True, config_id=folder)
        workflow.initialize()
        assert Path(workflow.output_dir) == tmp_path / "runs" / name and Path(workflow.ckpt_dir).parent.name == name
    shipped = FOLDER / "unet_regression" / "models"
    before = {path: path.read_bytes() for path in shipped.rglob("*") if path.is_file()}
    size = {"crop_size": [32, 32], "batch_size": 2, "epoch_length": 2, "epochs": 1, "val_windows": 1}
    run("unet_regression", "train.json", **{**size, **UNET, "dataset_dir": str(phantom(False)), "device": "cpu"})
    assert (tmp_path / "runs" / "unet_regression" / "models" / "model.pt").is_file()
    assert {path: path.read_bytes() for path in shipped.rglob("*") if path.is_file()} == before


def test_training_leaves_weights_that_every_config_takes(name, trained):
    path = trained(name)
    assert [file.name for file in path.parent.glob("*.pt")] == ["model.pt"] and list(
        (path.parent / "stages").glob("*.pt")
    )
    assert list(path.parents[1].glob("*loss.csv"))
    state = torch.load(path, weights_only=True)
    for files in CONFIGS:
        parser = ConfigParser(load(name, *files))
        parser.update(dict(RIVALS[name].network))
        parser.get_parsed_content("network_def").load_state_dict(state, strict=True)


def test_inference_keeps_acquired_slices_and_marks_the_others(name, trained, tmp_path):
    rng, rival = np.random.default_rng(0), RIVALS[name]
    affine = np.array([[1.4, 0, 0.9, 3], [0, 1.4, 0.3, -20], [0.1, -0.2, 7.9, 11], [0, 0, 0, 1]])
    scan = nib.Nifti1Image(rng.integers(0, 900, (40, 36, 4), dtype=np.int16), affine)
    nib.save(scan, tmp_path / "scan.nii.gz")
    overrides = {"factor": 2} if rival.output.startswith("_interp") else {}
    run(
        name, "inference.json", **rival.network, **overrides, checkpoint=str(trained(name)),
        dataset_dir=str(tmp_path), output_dir=str(tmp_path / "out"),
    )  # fmt: skip
    made = nib.load(tmp_path / "out" / f"scan{rival.output}")
    sidecar = json.loads((tmp_path / "out" / f"scan{rival.output}".replace(".nii.gz", ".json")).read_text())
    assert sidecar["bundle"] == name
    if overrides:
        assert made.shape == (40, 36, 7) and made.get_data_dtype() == np.int16
        np.testing.assert_array_equal(np.asanyarray(made.dataobj)[:, :, ::2], np.asanyarray(scan.dataobj))
        np.testing.assert_allclose(made.affine[:3, 2] * 2, affine[:3, 2], atol=1e-4)
        assert np.asanyarray(made.dataobj)[:, :, 1].std() > 0
    else:
        assert made.shape == scan.shape
        np.testing.assert_allclose(made.affine, affine, atol=1e-4)


def test_evaluation_has_its_row(name, trained, phantom, tmp_path):
    own = load(name, *EVALUATE)
    small = {
        "crop_size": [32, 32], "max_windows_per_stack": 1, "max_windows_per_pullback": 1, "dense_factors": [2],
        "dense_windows_per_stack": 1, "max_slices_per_stack": 2,
    }  # fmt: skip
    small = {key: value for key, value in small.items() if key in own}
    run(
        name, *EVALUATE, **RIVALS[name].network, **small, checkpoint=str(trained(name)),
        dataset_dir=str(phantom(is_oct(name))), output_dir=str(tmp_path),
    )  # fmt: skip
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    mine = [row for row in rows if row.get("method", RIVALS[name].label) == RIVALS[name].label]
    assert len({row["patient"] for row in mine}) == 2
    if "psnr" in rows[0]:
        assert all(5 < float(row["psnr"]) < 60 for row in mine)
        assert RIVALS[name].label in (tmp_path / "summary.md").read_text()


@pytest.mark.parametrize("overlay", [(), ("paper.json",)], ids=["compact", "paper"])
def test_all_configs_define_the_same_network(name, overlay):
    train, *others = (load(name, *files, *overlay) for files in CONFIGS)
    for other in others:
        for option in OF_INFERENCE:
            other["network_def"].pop(option, None)
        assert other["network_def"] == train["network_def"]
    parser = ConfigParser(train)
    with torch.device("meta"):
        network = parser.get_parsed_content("network_def")
    count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    least, most = RIVALS[name].paper_million if overlay else RIVALS[name].million
    assert least < count < most


def test_shipped_weights_are_of_this_network(name):
    parser = ConfigParser(load(name, "inference.json"))
    network = load_model(parser.get_parsed_content("network_def"), FOLDER / name / "models" / "model.pt")
    assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())


def test_metadata_is_complete_and_names_the_pinned_versions(name):
    metadata = json.loads((FOLDER / name / "configs" / "metadata.json").read_text())
    jsonschema.validate(metadata, json.loads((HERE / "metadata_schema.json").read_text()))
    lines = (FOLDER.parent / "requirements.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    assert metadata["required_packages_version"].items() <= pins.items()
    assert metadata["version"] in metadata["changelog"]


def test_the_network_keeps_to_the_metadata(name):
    """What `monai.bundle verify_net_in_out` does, without its process."""
    parser = ConfigParser(load(name, "inference.json"))
    parser.update(dict(CPU))
    metadata = json.loads((FOLDER / name / "configs" / "metadata.json").read_text())
    wanted, given = (
        metadata["network_data_format"][side][key] for side, key in (("inputs", "image"), ("outputs", "pred"))
    )
    size = [edge if isinstance(edge, int) else 2 * int(edge.split("*")[0]) for edge in wanted["spatial_shape"]]
    with torch.no_grad():
        output = parser.get_parsed_content("network_def").eval()(torch.rand(1, wanted["num_channels"], *size))
    assert output.shape == (1, given["num_channels"], *size) and output.dtype == torch.float32


@pytest.mark.parametrize(("files", "kind"), zip(CONFIGS, ("train", "infer", "infer"), strict=True))
def test_properties_are_complete_with_real_objects(name, files, kind, trained, phantom, tmp_path):
    rival = RIVALS[name]
    needs = (
        {"checkpoint": str(trained(name))}
        if kind == "infer"
        else {"output_dir": str(tmp_path), "ckpt_dir": str(tmp_path)}
    )
    if kind == "train" and rival.after:
        needs[rival.after[1]] = str(trained(rival.after[0]))
    size = {"crop_size": [32, 32]} if "crop_size" in load(name, *files) else {}
    overrides = {**CPU, **size, **rival.network, **needs, "dataset_dir": str(phantom(is_oct(name)))}
    workflow = ConfigWorkflow(paths(name, files), workflow_type=kind, logging_file=False, **overrides)
    workflow.initialize()
    assert workflow.check_properties() == []
