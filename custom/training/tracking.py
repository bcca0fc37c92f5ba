# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What MONAI's `--tracking mlflow` leaves out: names that tell runs apart, options, artifacts, earlier stages."""

from __future__ import annotations

import copy
import csv
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from monai.handlers import MLFlowHandler

from custom.training.loss_log import loss_terms

logger = logging.getLogger(__name__)
NO_NAME = "monai_experiment"
"""What MONAI calls an experiment that the user gives no name."""
PHANTOM = "phantom"
NONE = "null"
"""An option that is not given, as a config writes it."""
MAX_VALUE = 500
"""Characters of a parameter; what servers take at least."""
STRUCTURE = {
    "imports", "initialize", "run", "finalize", "train", "validate", "evaluate", "evaluator", "session", "datalist",
    "network", "trained", "save_execute_config", "is_not_rank0", "tracking_uri", "experiment_name", "run_name",
}  # fmt: skip
"""Ids of a config that are no options."""


class RunTracking:
    """The MLflow run of a training: named after bundle and data, with all options and what the training leaves.

    Does nothing where nothing is tracked, and keeps names that the user gives (`--experiment_name`, `--run_name`).

    Args:
        engine: of the stage that `--tracking mlflow` knows of.
        handlers: of its config, among which is the one that validates.
        bundle_root: folder of the bundle.
        output_dir: of the training; holds loss curves, and the config as it is executed.
    """

    def __init__(
        self, engine: Engine, handlers: Iterable[Any], bundle_root: str | Path, output_dir: str | Path
    ) -> None:
        self.bundle_root, self.output_dir = Path(bundle_root), Path(output_dir)
        self._trackers = [h for h in handlers if isinstance(h, MLFlowHandler)]
        self._run_id = ""
        if not self._trackers:
            return
        self._config = newest_config(self.output_dir)
        self._options = options_of(self._config)
        validators = (getattr(handler, "validator", None) for handler in handlers)
        for tracker in (*self._trackers, *(t for v in validators if v is not None for t in trackers_of(v))):
            name_run(tracker, self.bundle_root, self._options)
            tracker.artifacts = ()  # MONAI's own path is wrong where --output_dir is given; `finish` sees to it
        engine.add_event_handler(Events.STARTED, self._begin)

    def _begin(self) -> None:
        tracker = self._trackers[0]
        self._run_id = tracker.cur_run.info.run_id
        options = dict(self._options)
        tracker._delete_exist_param_in_dict(options)  # of a training that goes on after a kill
        tracker._log_params(options)

    def finish(self) -> None:
        """Add the artifacts, once the stages are done."""
        if not self._run_id:
            return
        curves = sorted(self.output_dir.glob("*_loss.csv"))
        card = self.bundle_root / "docs" / "README.md"
        draw_curves(curves, self.output_dir)
        for path in (self._config, *curves, *sorted(self.output_dir.glob("*.png")), card):
            if path and path.is_file():
                self._trackers[0].client.log_artifact(self._run_id, str(path))


def name_run(tracker: MLFlowHandler, bundle_root: str | Path, options: Mapping[str, str]) -> None:
    """Name experiment and run after bundle and data, unless the user did (`--experiment_name`, `--run_name`).

    Args:
        tracker: is changed.
        bundle_root: folder of the bundle.
        options: what `options_of` gave.
    """
    bundle = Path(bundle_root).name
    data = Path(options["dataset_dir"]).name if options.get("dataset_dir", NONE) != NONE else PHANTOM
    if tracker.experiment_name == NO_NAME:
        tracker.experiment_name = bundle
    tracker.run_name = tracker.run_name or f"{bundle} on {data}"


def track_evaluation(handlers: Iterable[Any], bundle_root: str | Path, output_dir: str | Path, part: str = "") -> list:
    """Handlers of an evaluation, those of MLflow with the names that a training has, all options and the config.

    Args:
        handlers: of which MONAI's `--tracking mlflow` appends one.
        bundle_root: folder of the bundle.
        output_dir: of the evaluation; holds the config as it is executed.
        part: of the evaluation, where it has several; each is a run, its name ends with this.

    Returns:
        The handlers, those of MLflow as copies.
    """
    found = []
    for handler in handlers:
        if isinstance(handler, MLFlowHandler):
            handler = copy.copy(handler)
            config = newest_config(Path(output_dir))
            options = options_of(config)
            name_run(handler, bundle_root, options)
            handler.run_name += f", {part}" if part else ""
            handler.experiment_param = {**options, **(handler.experiment_param or {})}
            handler.artifacts = (config,)  # MONAI's own path is wrong where --output_dir is given
        found.append(handler)
    return found


def trackers_of(engine: Engine) -> list[MLFlowHandler]:
    """The MLflow handlers that are attached to an engine."""
    attached = (getattr(handler, "__self__", None) for handler, *_ in engine._event_handlers[Events.STARTED])
    return [handler for handler in attached if isinstance(handler, MLFlowHandler)]


def newest_config(output_dir: Path) -> Path | None:
    """The config that MONAI wrote as it executes it; None where there is none."""
    found = sorted(output_dir.glob("config_*.json"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    return found[-1] if found else None


def options_of(config: Path | None) -> dict[str, str]:
    """Every option at the top of a config as text, long ones cut short."""
    content: Mapping[str, Any] = json.loads(config.read_text()) if config else {}
    options = {}
    for name, value in content.items():
        if name in STRUCTURE:
            continue
        text = value if isinstance(value, str) else json.dumps(value)
        options[name] = text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 3]}..."
    return options


def draw_curves(tables: Sequence[Path], output_dir: Path) -> Path | None:
    """A picture of loss curves, a panel each; None where there are none.

    Args:
        tables: `<stage>_loss.csv` of a training.
        output_dir: gets `loss_curves.png`.
    """
    from matplotlib.figure import Figure  # here, and not above: who does not track does not wait for it

    panels = []
    for table in tables:
        with table.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row.get("loss")]
        if rows:
            panels.append((table.stem, [int(row["iteration"]) for row in rows], [float(row["loss"]) for row in rows]))
    if not panels:
        return None
    figure = Figure(figsize=(5 * len(panels), 3.5), layout="constrained")
    for axes, (name, iterations, losses) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        axes.plot(iterations, losses, linewidth=0.8)
        axes.set(title=name, xlabel="iteration", ylabel="loss")
    path = output_dir / "loss_curves.png"
    figure.savefig(path, dpi=120)
    return path


class SharedTracking:
    """Logs a stage's loss terms into the MLflow run of a later stage; does nothing where that one is not tracked.

    `--tracking mlflow` appends an `MLFlowHandler` to `train#handlers` alone. This handler opens the run with a copy of
    it and leaves it open; the later stage joins the unfinished run, as does a training that is resumed after a kill.

    Args:
        handlers: of the later stage, as `"@train#handlers"` gives them.
        prefix: of the names, `<prefix>_loss` and so on.
    """

    def __init__(self, handlers: Iterable[Any], prefix: str = "autoencoder") -> None:
        self.prefix = prefix
        self._tracker = next((copy.copy(h) for h in handlers if isinstance(h, MLFlowHandler)), None)

    def attach(self, engine: Engine) -> None:
        if self._tracker is not None:
            # The run's `max_epochs` and `epoch_length` are the later stage's: MLflow takes a parameter once.
            self._tracker.default_tracking_params = []
            engine.add_event_handler(Events.STARTED, self._tracker.start)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._log)

    def _log(self, engine: Engine) -> None:
        terms = {f"{self.prefix}_{name}": value for name, value in loss_terms(engine.state.output).items()}
        self._tracker._log_metrics(terms, step=engine.state.iteration)
