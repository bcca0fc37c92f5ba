# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What each bundle's `inference.json` makes of a small scan, kept to the bit: inputs, cases, and how they are recorded.

    python tests/integration/golden/record.py            # all
    python tests/integration/golden/record.py calid      # cases of one bundle

Record anew only where the behaviour changes on purpose (new weights, another default); name the change in the commit.
"""

from __future__ import annotations

import json
import platform
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import torch
from monai.bundle import ConfigWorkflow

HERE = Path(__file__).resolve().parent
BUNDLES = HERE.parents[2] / "bundles"


class Case(NamedTuple):
    """One run: which bundle, on which scan, with which options of its `inference.json`."""

    bundle: str
    scan: str
    options: dict[str, Any]


NUM_THREADS = 1
"""Sums are split over threads, and their order changes bits."""

CASES = {
    "calid": Case("calid", "stack", {"factor": 3}),
    "calid_cine_scan": Case("calid", "cine", {"factor": 2}),
    "calid_refined": Case("calid", "stack", {"factor": 2, "refine": True}),
    "calid_samples": Case("calid", "stack", {"factor": 2, "num_samples": 2, "num_inference_steps": 2, "realism": 1.0}),
    "calid_tiles": Case("calid", "stack", {"factor": 2, "num_inference_steps": 2, "tile_size": [32, 32]}),
    "calid_cine": Case("calid_cine", "cine", {"factor": 2, "num_inference_steps": 2, "realism": 0.5}),
    "calid_cine_steps": Case("calid_cine", "cine", {"factor": 2}),
    "latent_bridge": Case("latent_bridge", "stack", {"factor": 2}),
    "diffae": Case("diffae", "stack", {"factor": 2, "num_inference_steps": 2}),
    "diffae_steps": Case("diffae", "stack", {"factor": 2}),
    "dmcvr": Case("dmcvr", "stack", {"factor": 2, "num_inference_steps": 2}),
    "dmcvr_steps": Case("dmcvr", "stack", {"factor": 2}),
    "motion": Case("motion", "stack", {"factor": 4}),
    "unet_regression": Case("unet_regression", "stack", {"factor": 4}),
    "flavr": Case("flavr", "stack", {"factor": 2}),
    "i3net": Case("i3net", "stack", {"factor": 2}),
    "tscnet": Case("tscnet", "stack", {"factor": 2}),
    "medformer_sax": Case("medformer_sax", "stack", {}),
    "cardiointerp": Case("cardiointerp", "pullback", {"factor": 6}),
    "cardiointerp_samples": Case(
        "cardiointerp", "pullback", {"factor": 3, "num_samples": 2, "num_inference_steps": 4, "realism": 1.0}
    ),
    "cardiointerp_cartesian": Case("cardiointerp", "cartesian", {"factor": 2}),
    "motion_oct": Case("motion_oct", "pullback", {"factor": 6}),
    "motion_oct_cartesian": Case("motion_oct", "cartesian", {"factor": 2}),
    "unet_regression_oct": Case("unet_regression_oct", "pullback", {"factor": 6}),
    "flavr_oct": Case("flavr_oct", "pullback", {"factor": 4}),
    "i3net_oct": Case("i3net_oct", "pullback", {"factor": 2}),
    "tscnet_oct": Case("tscnet_oct", "pullback", {"factor": 2}),
}


def write_scan(folder: Path, name: str) -> Path:
    """Write a stored scan as NIfTI: `stack`, `cine` (int16, oblique), `pullback` (polar), `cartesian` (uint8)."""
    with np.load(HERE / "scans.npz") as stored:
        image = nib.Nifti1Image(stored[name], stored[f"{name}_affine"])
    image.header.set_xyzt_units("mm", "msec" if image.ndim == 4 else None)
    if name in ("pullback", "cartesian"):
        image.header["descrip"] = b"OCT polar" if name == "pullback" else b"OCT cartesian"
    path = folder / f"{name}.nii.gz"
    nib.save(image, path)
    return path


def run(case: Case, folder: Path) -> dict[str, np.ndarray]:
    """Run a case in `folder`: every volume it wrote, its affine, and which slices its sidecar calls synthetic."""
    torch.set_num_threads(NUM_THREADS)
    output_dir = folder / "out"
    config = BUNDLES / case.bundle / "configs" / "inference.json"
    options = {**case.options, "dataset_dir": str(write_scan(folder, case.scan)), "output_dir": str(output_dir)}
    workflow = ConfigWorkflow(
        str(config), workflow_type="infer", logging_file=False, device=torch.device("cpu"), **options
    )
    workflow.initialize()
    workflow.run()
    made = {}
    for path in sorted(output_dir.glob("*.nii.gz")):
        image, key = nib.load(path), path.name.removeprefix(f"{case.scan}_").removesuffix(".nii.gz")
        made[key], made[f"{key}_affine"] = np.asanyarray(image.dataobj), image.affine
        sidecar = json.loads(path.with_name(f"{path.name.removesuffix('.nii.gz')}.json").read_text())
        if "synthetic_slices" in sidecar:
            made[f"{key}_synthetic"] = np.array(sidecar["synthetic_slices"])
    return made


def machine() -> str:
    """What results depend on besides the code: PyTorch, its instruction set, threads, and the processor's model.

    The instruction set alone does not do: oneDNN picks its kernels (AVX-512 or AMX, say) by itself.
    """
    cpuinfo = Path("/proc/cpuinfo")  # Linux; elsewhere the architecture has to do
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    fields = dict(re.findall(r"^(vendor_id|cpu family|model)\s*: (.*)$", text, re.MULTILINE))
    processor = " ".join(fields.values()) or platform.machine()
    capability = torch.backends.cpu.get_cpu_capability()
    return f"torch {torch.__version__}, {capability}, {NUM_THREADS} thread, {processor}"


def main(*names: str) -> None:
    """Record the cases of these names or bundles, or all."""
    for name, case in CASES.items():
        if names and not {name, case.bundle} & set(names):
            continue
        with tempfile.TemporaryDirectory() as folder:
            made = run(case, Path(folder))
        np.savez_compressed(HERE / f"{name}.npz", machine=machine(), **made)
        print(name, sorted(made))


if __name__ == "__main__":
    main(*sys.argv[1:])
