# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.optimizers import WarmupCosineSchedule

TRAIN, INFERENCE, EVALUATE = CONFIGS = ("train.json",), ("inference.json",), ("train.json", "evaluate.json")
"""Configs of the commands; the evaluation is an overlay on the training."""


def load(bundle, *names):
    return ConfigParser.load_config_files([bundle.configs / name for name in names])


def leaves(config, prefix=""):
    for key, value in config.items():
        yield from leaves(value, f"{prefix}{key}#") if isinstance(value, dict) else [(prefix + key, value)]


OF_INFERENCE = ("batch_size", "texture")
"""What the inference config alone asks for: how much goes through the network at once, and how much texture slices are
given that somebody will look at. Training and evaluation are of the likeliest slice."""


def named_in(config):
    """Ids that the values of a config are taken from."""
    return {value[1:] for _, value in leaves(config) if isinstance(value, str) and value.startswith("@")}


@pytest.fixture
def metadata(bundle):
    return json.loads((bundle.configs / "metadata.json").read_text())


@pytest.mark.parametrize("overlay", [(), ("paper.json",)], ids=["compact", "paper"])
def test_all_configs_define_the_same_network_and_sampling(bundle, overlay):
    train, *others = (load(bundle, *names, *overlay) for names in CONFIGS)
    options = named_in(train["network_def"])
    assert options > {"num_inference_steps", "eta", "tile_size"}
    for other in others:
        for name in OF_INFERENCE:
            other["network_def"].pop(name, None)
        for key in ("network_def", *options):
            assert other[key] == train[key], key


@pytest.mark.parametrize(("config", "kind"), zip(CONFIGS, ("train", "infer", "infer"), strict=True))
def test_properties_are_complete_with_real_objects(bundle, trained, config, kind):
    overrides = {**bundle.network, "dataset_dir": str(trained / "phantom"), "device": "$torch.device('cpu')"}
    if config != INFERENCE:
        overrides |= bundle.data(trained / "phantom")
    if kind == "infer":
        overrides["checkpoint"] = str(trained / "models" / "model.pt")
    paths = [str(bundle.configs / name) for name in config]
    workflow = ConfigWorkflow(paths, workflow_type=kind, logging_file=False, **overrides)
    workflow.initialize()
    assert workflow.check_properties() == []
    if kind == "infer":
        assert len(workflow.dataset) > 0 and isinstance(workflow.network_def, torch.nn.Module)
        assert callable(workflow.evaluator.run)
    else:
        config = load(bundle, "train.json")
        assert workflow.max_epochs == config["denoiser_epochs"]
        assert len(workflow.train_dataset) == config["epoch_length"] * config["denoiser_batch_size"]
        assert len(workflow.val_dataset) > 0 and callable(workflow.trainer.run) and callable(workflow.evaluator.run)
        assert list(workflow.val_key_metric) == ["val_psnr"]


def test_metadata_holds_what_the_bundle_specification_asks_for(metadata):
    schema = json.loads(Path(__file__).with_name("metadata_schema.json").read_text())
    jsonschema.validate(metadata, schema)
    assert metadata["version"] in metadata["changelog"]


def test_metadata_names_the_pinned_versions(bundle, metadata):
    lines = (bundle.repository / "requirements.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    named = {package: metadata[f"{key}_version"] for package, key in
             (("monai", "monai"), ("torch", "pytorch"), ("numpy", "numpy"))}  # fmt: skip
    named |= metadata["required_packages_version"]
    assert named == {package: pins.get(package) for package in named}


def test_the_network_keeps_to_the_metadata(bundle):
    command = [
        sys.executable, "-m", "monai.bundle", "verify_net_in_out", "--net_id", "network_def",
        "--meta_file", bundle.configs / "metadata.json", "--config_file", bundle.configs / "inference.json",
        "--n", "2", "--any", "32", "--device", "cpu", "--num_inference_steps", "1",
    ]  # fmt: skip
    # This command of MONAI's, unlike `run`, does not find the package from other folders.
    done = bundle.execute(command, cwd=bundle.repository)
    assert done.returncode == 0, done.stdout


def test_paper_overlay_changes_numbers_only(bundle):
    compact, paper = (dict(leaves(load(bundle, *names))) for names in (["train.json"], ["train.json", "paper.json"]))
    assert paper.keys() >= compact.keys()
    # What is not in the compact config is a default of the network: numbers, too, and its keys are checked below.
    changed = {key for key in paper if paper[key] != compact.get(key)}
    words = {key for key in changed if isinstance(paper[key], str) and not paper[key].startswith("$")}
    # The paper's network does not move first: no closed-form prior, other fusion. The only choices among them.
    first = {f"network_def#autoencoder#{name}" for name in ("decoder", "fusion", "upsampling")}
    assert "network_def#denoiser#prior" in words and words - {"network_def#denoiser#prior"} <= first
    assert paper["network_def#autoencoder#motion"] is None


def test_paper_overlay_builds_networks_of_the_papers_size(bundle):
    parser = ConfigParser(load(bundle, "train.json", "paper.json"))
    with torch.device("meta"):
        network = parser.get_parsed_content("network_def")
    for part, (least, most) in bundle.paper_sizes.items():
        count = sum(parameter.numel() for parameter in getattr(network, part).parameters())
        assert least < count / 1e6 < most, part


@pytest.mark.parametrize(("stage", "prefix"), [("autoencoder", ""), ("train", "denoiser_")])
def test_paper_overlay_trains_at_constant_rates(bundle, stage, prefix):
    parser = ConfigParser(load(bundle, "train.json", "paper.json"))
    options = parser.get_parsed_content(f"{stage}#trainer#schedule")
    iterations = parser.get_parsed_content(f"{prefix}epoch_length") * parser.get_parsed_content(
        f"{stage}#trainer#max_epochs"
    )
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = WarmupCosineSchedule(optimizer, t_total=iterations, **options)
    if stage == "train":
        assert (schedule.warmup_steps, schedule.t_total) == bundle.paper_iterations
    steps = schedule.warmup_steps, (schedule.warmup_steps + schedule.t_total) // 2, schedule.t_total
    assert {schedule.lr_lambda(step) for step in steps} == {1.0}
