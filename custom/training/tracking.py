# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""MLflow for a stage that MONAI's `--tracking mlflow` does not know of."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from ignite.engine import Engine, Events
from monai.handlers import MLFlowHandler

from custom.training.loss_log import loss_terms


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
