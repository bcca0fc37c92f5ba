# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""`--tracking mlflow` of what measures: MONAI's handler fits every engine, and a whole evaluation leaves its run."""

from __future__ import annotations

import copy
import inspect
import json
from pathlib import Path

import monai.bundle
import nibabel as nib
import numpy as np
import pytest
from mlflow import MlflowClient
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.bundle.utils import DEFAULT_MLFLOW_SETTINGS
from monai.utils import optional_import

BUNDLES = sorted(path for path in (Path(__file__).resolve().parents[2] / "bundles").iterdir() if path.is_dir())
ENGINES = ("evaluator", "train#trainer", "validate#evaluator")
COMMANDS = (("train.json",), ("train.json", "evaluate.json"), ("inference.json",))


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.name)
@pytest.mark.parametrize("files", COMMANDS, ids="+".join)
def test_every_engine_takes_the_handler_that_monai_gives_it(tmp_path, bundle, files):
    parser = ConfigParser()
    parser.read_config([str(bundle / "configs" / file) for file in files])
    parser["output_dir"] = str(tmp_path)
    ConfigWorkflow.patch_bundle_tracking(parser, copy.deepcopy(DEFAULT_MLFLOW_SETTINGS))
    found = [engine for name in ENGINES if (engine := parser.get(name)) is not None]
    assert found
    for engine in found:
        module, _, name = engine["_target_"].rpartition(".")
        target, is_there = optional_import(module, name=name) if module else optional_import("monai.engines", name=name)
        assert is_there, engine["_target_"]
        options = {key: value for key, value in engine.items() if not (key[0] == key[-1] == "_")}
        inspect.signature(target).bind_partial(**options)


def test_a_segmentation_that_is_measured_is_a_run_with_its_scores(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    y, x = np.mgrid[:48, :48] - 24
    heart = np.repeat((np.hypot(x, y) < 8).astype(np.uint8)[..., None], 3, axis=2)
    for name, values in (("a", 100 + 400 * heart.astype(np.int16)), ("a_gt", heart)):
        (tmp_path / "hearts").mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image(values, np.diag([1.8, 1.8, 8, 1])), tmp_path / f"hearts/{name}.nii.gz")
    entry = {"image": "a.nii.gz", "label": "a_gt.nii.gz", "patient": "A", "label_classes": [1]}
    listed = {"training": [], "validation": [], "test": [entry]}
    (tmp_path / "hearts/datalist.json").write_text(json.dumps(listed))
    configs = [str(path / "configs" / name) for path in BUNDLES for name in COMMANDS[1] if path.name == "medformer_sax"]
    monai.bundle.run(
        config_file=configs, logging_file=False, tracking="mlflow", dataset_dir=str(tmp_path / "hearts"),
        output_dir=str(tmp_path / "out"), device="$torch.device('cpu')",
    )  # fmt: skip
    client = MlflowClient(f"sqlite:///{tmp_path / 'out/mlruns.db'}")
    (run,) = client.search_runs(client.get_experiment_by_name("medformer_sax").experiment_id)
    assert (run.info.run_name, run.info.status) == ("medformer_sax on hearts", "FINISHED")
    assert run.data.params["slice_spacing_mm"] == "8.0"
    summary = (tmp_path / "out/summary.md").read_text()
    for kind in ("2D", "3D"):
        dice = run.data.metrics[f"{kind}/LV cavity/dice"]
        assert 0 <= dice <= 1 and f"| {kind} | LV cavity | 1 |" in summary and f"| {dice:.3f} |" in summary
    (config,) = (tmp_path / "out").glob("config_*.json")
    assert [item.path for item in client.list_artifacts(run.info.run_id)] == [config.name]
