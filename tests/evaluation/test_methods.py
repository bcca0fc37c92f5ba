# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A method is a description until it runs: what is read from disk, when, and what a kept part is named after."""

from __future__ import annotations

import json

import pytest
import torch
from monai.handlers import MLFlowHandler
from monai.utils import path_to_sqlite_uri

from custom.errors import InputError
from custom.evaluation import methods as methods_module
from custom.evaluation.bundle import BundleEvaluation
from custom.evaluation.method_grammar import parse_methods
from custom.evaluation.methods import CodecOf, Method, Networks, described, of_network
from custom.evaluation.protocol import InterpolationBenchmark
from custom.evaluation.windows import WindowGroups
from custom.interpolators.classical import LinearFrames, NearestFrame
from custom.interpolators.latent_average import LatentAverage
from custom.weights import save_model
from tests.interpolators.test_calid import calid


@pytest.fixture
def loads(monkeypatch):
    """Files of weights that were read, in order."""
    read, load_model = [], methods_module.load_model

    def counted(network, path):
        read.append(str(path))
        return load_model(network, path)

    monkeypatch.setattr(methods_module, "load_model", counted)
    return read


@pytest.fixture
def weights(tmp_path):
    save_model(calid(), tmp_path / "model.pt")
    return tmp_path / "model.pt"


@pytest.fixture
def windows(make_windows):
    return make_windows(patients=("P1",), factors=(2, 4))


def evaluation(folder, weights, windows, **options):
    variants = {"CaLID": {}, "CaLID+": {"refine": True}, "CaLID, 1 step": {"num_inference_steps": 1}}
    options = {"timed_steps": 3, "stepped": ["CaLID"], "latent_average": True} | options
    network_def = calid(trained=False)
    groups = WindowGroups(windows, dense={2: windows[2]}, sweep={2: windows[2]})
    return BundleEvaluation(network_def, weights, variants, groups, "cmr", folder / "eval", steps=[1, 2], **options)


def test_a_description_reads_no_weights(weights, loads):
    method = of_network(calid(), weights)
    assert method.fingerprint and method.steps == 2 and method.has_codec
    assert method.at(num_inference_steps=5).steps == 5
    assert described(LinearFrames()).steps is None and not described(LinearFrames()).has_codec
    assert loads == []


def test_in_steps_it_is_a_draw_also_of_what_is_asked_for_the_likeliest_slice(weights):
    likeliest = of_network(calid(realism=0.0), weights)
    assert likeliest.steps == 1 and likeliest.at(num_inference_steps=5).steps == 1
    drawn = likeliest.in_steps(5)
    assert drawn.steps == 5 and drawn.options == {"num_inference_steps": 5, "realism": 1.0}
    for method in (of_network(calid(realism=0.5), weights), likeliest.at(refine=True)):
        assert method.in_steps(5).steps == 5 and "realism" not in method.in_steps(5).options


def test_a_whole_evaluation_reads_the_weights_once_and_a_repeated_one_never(tmp_path, weights, windows, loads):
    evaluation(tmp_path, weights, windows).run()
    assert loads == [str(weights)]
    before = (tmp_path / "eval" / "metrics.csv").read_bytes()
    evaluation(tmp_path, weights, windows).run()
    assert loads == [str(weights)] and (tmp_path / "eval" / "metrics.csv").read_bytes() == before


def test_tracking_comes_beside_the_report_and_not_in_its_place(tmp_path, weights, windows):
    heard = []

    class Handler:
        def attach(self, engine):
            heard.append(self)

    own, tracker = Handler(), Handler()
    evaluation(tmp_path, weights, windows, handlers=[own], val_handlers=[tracker])
    assert heard == [own, tracker] * 3, "the table, the sweep, the dense stacks"


def test_tracked_runs_are_named_after_bundle_data_and_part(tmp_path, weights, windows, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    output = tmp_path / "eval"
    output.mkdir()
    config = {"dataset_dir": "/data/hearts", "seed": 3, "evaluator": {"device": "cpu"}}
    (output / "config_20250101_000000.json").write_text(json.dumps(config))
    uri = path_to_sqlite_uri(str(output / "mlruns.db"))
    tracker = MLFlowHandler(uri, artifacts="wrong + '/path'", iteration_log=False, close_on_complete=True)
    options = {"timed_steps": None, "latent_average": False, "val_handlers": [tracker]}
    evaluation(tmp_path, weights, windows, bundle_root=tmp_path / "calid", **options).run()
    client = tracker.client
    (experiment,) = [e for e in client.search_experiments() if e.name != "Default"]
    runs = {run.info.run_name: run for run in client.search_runs(experiment.experiment_id)}
    assert experiment.name == "calid"
    assert runs.keys() == {"calid on hearts", "calid on hearts, steps", "calid on hearts, dense"}
    for run in runs.values():
        assert run.info.status == "FINISHED" and run.data.params["seed"] == "3" and "evaluator" not in run.data.params
        assert [item.path for item in client.list_artifacts(run.info.run_id)] == ["config_20250101_000000.json"]
    assert "CaLID/x4/psnr" in runs["calid on hearts"].data.metrics


def test_measuring_a_classical_method_reads_nothing(tmp_path, weights, windows, loads):
    own = of_network(calid(), weights)
    methods = {"Nearest": NearestFrame(), "CaLID": own}
    benchmark = InterpolationBenchmark(windows, methods, tmp_path, oracles={"Autoencoder": CodecOf(own)})
    benchmark.measure("Nearest")
    assert loads == []
    benchmark.measure("CaLID")
    benchmark.measure("Autoencoder")
    assert loads == [str(weights)]


def test_parts_are_of_these_weights_and_these_options(weights, loads):
    own = of_network(calid(), weights)
    fingerprints = {own.fingerprint, own.at(refine=True).fingerprint, own.averaging_latents().fingerprint}
    assert len(fingerprints) == 3
    assert of_network(calid(trained=False), weights).fingerprint == own.fingerprint  # another process, same file
    changed = calid()
    changed.latent_scale = changed.latent_scale * 2
    save_model(changed, weights)
    assert of_network(calid(), weights).fingerprint not in fingerprints
    assert loads == []


def test_an_oracle_resumed_on_its_own_runs_on_the_device(tmp_path, weights, windows, monkeypatch):
    moved = []
    to = torch.nn.Module.to

    def noted(self, device, *rest, **named):
        moved.append((type(self).__name__, str(device)))
        return to(self, device, *rest, **named)

    own = of_network(calid(), weights)
    benchmark = InterpolationBenchmark(windows, {}, tmp_path, oracles={"Autoencoder": CodecOf(own)})
    monkeypatch.setattr(torch.nn.Module, "to", noted)
    benchmark.measure("Autoencoder")
    assert ("CaLID", "cpu") in moved


def test_one_network_is_in_memory_at_a_time_and_variants_share_it(weights, loads):
    own = of_network(calid(), weights)
    networks = Networks()
    network = networks(own)
    assert networks(own.at(refine=True)).denoiser is network.denoiser and len(loads) == 1
    average = networks(own.averaging_latents())
    assert isinstance(average, LatentAverage) and average.network.denoiser is network.denoiser and len(loads) == 1
    assert not network.training and not networks(own.at(refine=True)).training
    networks(described(LinearFrames()))
    assert networks(own).denoiser is network.denoiser and len(loads) == 1
    networks(of_network(calid(), weights))
    assert networks(own).denoiser is not network.denoiser and len(loads) == 3


def test_what_is_wrong_is_told_before_anything_is_read(tmp_path, weights, loads):
    own = of_network(calid(), weights)
    with pytest.raises(InputError, match="num_inference_steps must be from 1"):
        _ = own.at(num_inference_steps=0).fingerprint
    with pytest.raises(InputError, match="has no option 'refined'"):
        _ = own.at(refined=True).fingerprint
    with pytest.raises(InputError, match="no latents"):
        _ = Method(LinearFrames, latent_average=True, source="Linear").fingerprint
    with pytest.raises(InputError, match="no trained weights"):
        of_network(calid(), tmp_path / "none.pt")
    assert loads == []


def test_describing_every_shipped_method_reads_no_weights(loads):
    specs, _ = parse_methods("all", "cmr")
    assert len({spec.method().fingerprint for spec in specs}) == len(specs) > 8
    assert loads == [] and json.dumps([spec.label for spec in specs])
