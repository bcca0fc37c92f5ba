# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from ignite.engine import Engine, Events
from monai.handlers import MLFlowHandler, from_engine
from monai.utils import path_to_sqlite_uri

from custom.training.tracking import SharedTracking


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
