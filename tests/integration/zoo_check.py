# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a user of the Model Zoo does with a package, run by an interpreter that knows nothing of this repository.

``python zoo_check.py PACKAGE.zip SCHEMA.json`` in an empty folder, by `test_packages.py`; needs MONAI and what the
package's `required_packages_version` names, jsonschema for `verify_metadata`, and no more. Only public calls of MONAI.
"""

import json
import logging
import shutil
import sys
from pathlib import Path

import monai.bundle
import nibabel as nib
import numpy as np
import torch
from monai.bundle import ConfigWorkflow

CMR = {"num_phases": 2, "matrix": 48, "pixel_mm": 3.0, "pitch_mm": 4.0, "extent_mm": 32.0}
OCT = {"num_frames": 20, "num_alines": 64, "num_depths": 64}
#: What makes one iteration of a training, of each stage, as short as it gets; a bundle takes what its config has.
BRIEF = {
    "phantom_patients": 4, "crop_size": [32, 32], "autoencoder_crop_size": [32, 32], "val_windows": 1, "batch_size": 1,
    "denoiser_batch_size": 1, "epoch_length": 1, "denoiser_epoch_length": 1, "epochs": 1, "autoencoder_epochs": 1,
    "denoiser_epochs": 1, "in_plane_epochs": 1, "val_interval": 1, "latent_statistics_batches": 1,
    "val_inference_steps": 1, "num_inference_steps": 1, "num_workers": 0, "device": "$torch.device('cpu')",
}  # fmt: skip


def step(text):
    print(f"{text}: OK", flush=True)


def scan(folder, modality, phases):
    """A small scan on disk: four slices, or frames, of noise."""
    shape = (48, 40, 4, phases) if phases else (48, 40, 4)
    data = np.random.default_rng(0).integers(0, 900, shape, dtype=np.int16)
    affine = np.diag([0.01, 0.01, 0.2, 1] if modality == "OCT" else [1.4, 1.4, 8.0, 1])
    folder.mkdir()
    nib.save(nib.Nifti1Image(data, affine), folder / "scan.nii.gz")
    return data


def workflow(bundle, config, kind, **options):
    """A workflow of one config with those of the options that it has."""
    file = bundle / "configs" / f"{config}.json"
    known = json.loads(file.read_text())
    options = {name: value for name, value in options.items() if name.partition("#")[0] in known}
    flow = ConfigWorkflow(str(file), workflow_type=kind, logging_file=False, **options)
    flow.initialize()
    assert flow.check_properties() == [], flow.check_properties()
    step(f"{config}.json: check_properties() == []")
    return flow


def main(package, schema):
    package, here = Path(package), Path.cwd()
    assert "custom" not in sys.modules and not any((Path(entry) / "custom").exists() for entry in sys.path)
    name = package.name.rpartition("_v")[0]
    monai.bundle.download(name=name, url=package.resolve().as_uri(), bundle_dir=str(here))
    bundle, meta = here / name, str(here / name / "configs" / "metadata.json")
    metadata = json.loads(Path(meta).read_text())
    modality = metadata["network_data_format"]["inputs"]["image"]["modality"]
    assert bundle.name + "_v" + metadata["version"] == package.stem
    step("download --url file://")

    network = monai.bundle.load(name, bundle_dir=str(here), device="cpu")
    shipped = torch.load(bundle / "models" / "model.pt", weights_only=True)
    state = network.state_dict()
    assert state.keys() == shipped.keys() and all(torch.equal(state[key], shipped[key].to(state[key])) for key in state)
    step(f"load: {type(network).__name__} with all {len(state)} tensors of model.pt")

    (bundle / "eval").mkdir()
    shutil.copy(schema, bundle / "eval" / "schema.json")
    monai.bundle.verify_metadata(meta_file=meta, filepath=str(bundle / "eval" / "schema.json"))
    step("verify_metadata")
    config = str(bundle / "configs" / "inference.json")
    fewest = {"num_inference_steps": 1} if "num_inference_steps" in json.loads(Path(config).read_text()) else {}
    monai.bundle.verify_net_in_out(
        net_id="network_def", meta_file=meta, config_file=config, device="cpu", n=2, any=32,
        bundle_root=str(bundle), **fewest,
    )  # fmt: skip
    step("verify_net_in_out")

    known = scan(here / "in", modality, 6 if name == "calid_cine" else 0)
    options = {
        "device": BRIEF["device"],
        **fewest,
        "factor": 2,
        "dataset_dir": str(here / "in"),
        "output_dir": str(here / "out"),
    }
    flow = workflow(bundle, "inference", "infer", **options)
    assert Path(flow.bundle_root) == bundle
    flow.run()
    flow.finalize()
    made = nib.load(next((here / "out").glob("scan_*.nii.gz")))
    sidecar = json.loads(next((here / "out").glob("scan_*.json")).read_text())
    assert sidecar["bundle"] == name and sidecar["version"] == metadata["version"]
    if "factor" in flow.parser:
        np.testing.assert_array_equal(np.asanyarray(made.dataobj)[:, :, ::2], known)
    step(f"run inference.json: {known.shape} -> {made.shape}")

    options = {**BRIEF, "phantom_dir": str(here / "phantom"), "output_dir": str(here / "run")}
    small = OCT if modality == "OCT" else {**CMR, "num_phases": 6 if name == "calid_cine" else 2}
    options |= {"phantom": small, "phases": 8 if name == "calid_cine" else 0}  # whole strides; they go round
    if hasattr(network, "fixed_size") and network.fixed_size:  # of one size, and of many megabytes at that
        options |= {"network_def#network#image_size": 32, "network_def#network#window_size": 8}
    if name == "dmcvr":
        options["segmentation_weights"] = sibling(package, here, "medformer_sax")
    flow = workflow(bundle, "train", "train", **options)
    flow.run()
    flow.finalize()
    trained = torch.load(here / "run" / "models" / "model.pt", weights_only=True)
    assert trained.keys() == shipped.keys()
    step("run train.json: one iteration of each stage")


def sibling(package, here, name):
    """Weights of another package that a training builds on, unpacked beside this one."""
    other = next(package.parent.glob(f"{name}_v*.zip"))
    monai.bundle.download(name=name, url=other.resolve().as_uri(), bundle_dir=str(here))
    return str(here / name / "models" / "model.pt")


if __name__ == "__main__":
    logging.disable(logging.INFO)
    main(*sys.argv[1:])
