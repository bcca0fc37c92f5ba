# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

from ignite.engine import Engine, Events
from monai.handlers import MLFlowHandler, from_engine
from monai.utils import path_to_sqlite_uri

from custom.training.tracking import RunTracking, SharedTracking


def stage(losses, handlers):
    engine = Engine(lambda _, loss: {"loss": loss, "l1": loss / 2})
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda e: setattr(e.state, "output", [e.state.output]))
    for handler in handlers:
        handler.attach(engine)
    return lambda: engine.run(losses, max_epochs=1)


def test_both_stages_are_logged_into_one_run_which_the_last_one_closes(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tracked = MLFlowHandler(
        path_to_sqlite_uri(str(tmp_path / "mlruns.db")),
        output_transform=from_engine(["loss"], first=True),
        tag_name="train_loss",
        close_on_complete=True,
    )
    run_first = stage([4.0, 3.0], [SharedTracking([object(), tracked])])
    run_second = stage([2.0, 1.0, 0.5], [tracked])
    client = tracked.client
    run_first()
    (run,) = client.search_runs(client.get_experiment_by_name("monai_experiment").experiment_id)
    assert run.info.status == "RUNNING"
    run_second()
    (run,) = client.search_runs(run.info.experiment_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["epoch_length"] == "3", "the later stage's"
    first = client.get_metric_history(run.info.run_id, "autoencoder_loss")
    assert [(point.step, point.value) for point in first] == [(1, 4.0), (2, 3.0)]
    assert run.data.metrics["autoencoder_l1"] == 1.5 and run.data.metrics["train_loss"] == 0.5


def test_without_tracking_nothing_is_attached():
    engine = Engine(lambda *_: None)
    SharedTracking([object()]).attach(engine)
    assert not engine.has_event_handler(SharedTracking._log) and not any(engine._event_handlers.values())


def tracked_training(tmp_path, config):
    """A training with a validator, as MONAI tracks it; the client and its one run."""
    (tmp_path / "bundle" / "docs").mkdir(parents=True, exist_ok=True)
    (tmp_path / "bundle" / "docs" / "README.md").write_text("# Model card")
    output = tmp_path / "out"
    output.mkdir(exist_ok=True)
    (output / "config_20250101_000000.json").write_text(json.dumps(config))
    (output / "network_loss.csv").write_text("epoch,iteration,loss\n1,1,2.0\n1,2,1.0\n")
    uri = path_to_sqlite_uri(str(output / "mlruns.db"))
    common = {"experiment_name": config.get("experiment_name", "monai_experiment"), "run_name": config.get("run_name")}
    first = from_engine(["loss"], first=True)
    ours = MLFlowHandler(uri, output_transform=first, close_on_complete=True, artifacts="wrong + '/path'", **common)
    validator = Engine(lambda *_: None)
    MLFlowHandler(uri, iteration_log=False, **common).attach(validator)
    validator.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: engine.state.metrics.update(val_psnr=30.0))
    engine = Engine(lambda _, loss: {"loss": loss})
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda e: setattr(e.state, "output", [e.state.output]))
    handlers = [type("Validates", (), {"validator": validator})(), ours]
    ours.attach(engine)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda _: validator.run([0]))
    tracking = RunTracking(engine, handlers, tmp_path / "bundle", output)
    engine.run([2.0, 1.0], max_epochs=1)
    tracking.finish()
    (experiment,) = [e for e in ours.client.search_experiments() if e.name != "Default"]
    (run,) = ours.client.search_runs(experiment.experiment_id)
    return ours.client, experiment, run


def test_the_run_is_named_after_bundle_and_data_and_holds_options_and_artifacts(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    options = {"dataset_dir": "/data/hearts", "lr": 0.1, "crop_size": [64, 64], "device": "cpu", "pretrained": None}
    config = {**options, "long": "x" * 9000, "train": {"trainer": {}}, "imports": ["$import torch"]}
    client, experiment, run = tracked_training(tmp_path, config)
    assert (experiment.name, run.info.run_name, run.info.status) == ("bundle", "bundle on hearts", "FINISHED")
    wanted = {"dataset_dir": "/data/hearts", "lr": "0.1", "crop_size": "[64, 64]", "device": "cpu"}
    wanted["pretrained"] = "null"
    assert wanted.items() <= run.data.params.items() and len(run.data.params["long"]) == 500
    assert not {"train", "imports"} & run.data.params.keys()
    assert {item.path for item in client.list_artifacts(run.info.run_id)} == {
        "config_20250101_000000.json",
        "network_loss.csv",
        "loss_curves.png",
        "README.md",
    }
    assert (tmp_path / "out" / "loss_curves.png").read_bytes().startswith(b"\x89PNG")


def test_names_of_the_user_stay_and_the_phantom_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    _, experiment, run = tracked_training(tmp_path / "a", {"experiment_name": "mine", "run_name": "third try"})
    assert (experiment.name, run.info.run_name) == ("mine", "third try")
    _, experiment, run = tracked_training(tmp_path / "b", {"dataset_dir": None})
    assert run.info.run_name == "bundle on phantom"
