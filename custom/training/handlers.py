# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What accompanies a training: logs, loss curve, averaged weights, guards. All are MONAI handlers (`attach`).

Learning-rate warm-up needs nothing of ours: `torch.optim.lr_scheduler.LinearLR` in MONAI's
`LrScheduleHandler(epoch_level=False)`, the scheduler also in `StageCheckpoint`'s `save_dict`.
"""

from __future__ import annotations

import csv
import datetime
import io
import logging
import time
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from ignite.handlers import EMAHandler, TerminateOnNan
from monai.engines.utils import IterationEvents
from monai.utils.enums import CommonKeys as Keys
from torch import nn

from custom.files import atomic
from custom.training.stage_checkpoint import StageCheckpoint

__all__ = ["ClipGradients", "LossCurve", "ProgressLog", "StageCheckpoint", "StopOnNan", "WarmupEMA", "loss_terms"]

logger = logging.getLogger(__name__)


def loss_terms(output: dict | list[dict]) -> dict[str, float]:
    """The scalars of an engine's output, decollated or not: "loss" and whatever stands beside it."""
    first = output[0] if isinstance(output, list) else output
    scalars = {k: v for k, v in first.items() if isinstance(v, (int, float)) or getattr(v, "ndim", None) == 0}
    return {k: float(v.detach() if hasattr(v, "detach") else v) for k, v in scalars.items()}


class LossCurve:
    """Writes epoch, iteration and every loss term to a CSV file, one row per iteration.

    A resumed training first drops the rows of iterations that are run again, so the file ends as if there had been no
    kill. Values are written in full precision.

    Args:
        path: of the CSV file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: io.TextIOBase | None = None

    def attach(self, engine: Engine) -> None:
        if engine.state.rank == 0:
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._write)
            for event in (Events.STARTED, Events.COMPLETED):
                engine.add_event_handler(event, self._close)

    def _write(self, engine: Engine) -> None:
        terms = loss_terms(engine.state.output)
        if self._file is None:
            self._open(engine.state.iteration, ["epoch", "iteration", *terms])
        csv.writer(self._file).writerow([engine.state.epoch, engine.state.iteration, *terms.values()])

    def _open(self, iteration: int, header: list[str]) -> None:
        """Keep the rows before `iteration`, if they are of the same kind, and be ready to append."""
        kept = [header]
        if self.path.is_file():
            with self.path.open(newline="") as file:
                rows = list(csv.reader(file))
            if rows and rows[0] == header:
                # The last row of a killed run may be cut short; its iteration was run again or will be.
                kept += [row for row in rows[1:] if len(row) == len(header) and int(row[1]) < iteration]
        with atomic(self.path) as temporary, temporary.open("w", newline="") as file:
            csv.writer(file).writerows(kept)
        self._file = self.path.open("a", newline="", buffering=1)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class ProgressLog:
    """Logs a line every so many iterations: where the training is, mean loss terms, speed and time left.

    Plain lines rather than a bar, so that a terminal and the log of a cluster job show the same.

    Args:
        name: of the stage, at the start of each line.
        every: iterations between lines; the first iteration of a run and the last of all have theirs too.
    """

    def __init__(self, name: str, every: int = 50) -> None:
        self.name, self.every = name, every
        self._sums: dict[str, float] = {}
        self._count = self._done = 0
        self._started = 0.0

    def attach(self, engine: Engine) -> None:
        if engine.state.rank == 0:
            engine.add_event_handler(Events.STARTED, self._start)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._log)

    def _start(self, engine: Engine) -> None:
        self._sums, self._count, self._done, self._started = {}, 0, 0, time.perf_counter()

    def _log(self, engine: Engine) -> None:
        for name, value in loss_terms(engine.state.output).items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count, self._done = self._count + 1, self._done + 1
        state = engine.state
        total = state.max_epochs * state.epoch_length
        if self._done > 1 and state.iteration % self.every and state.iteration < total:
            return
        pace = (time.perf_counter() - self._started) / self._done
        left = datetime.timedelta(seconds=round(pace * (total - state.iteration)))
        terms = "  ".join(f"{name} {value / self._count:.4g}" for name, value in self._sums.items())
        logger.info(
            "%s  epoch %d/%d  iteration %d/%d  %s  %.2f s/it  %s left",
            self.name, state.epoch, state.max_epochs, state.iteration, total, terms, pace, left,
        )  # fmt: skip
        self._sums, self._count = {}, 0


class WarmupEMA(EMAHandler):
    """Ignite's moving average of the weights with the warm-up of LVDM.

    The decay at iteration n is min(`decay`, (1 + n) / (10 + n)). Ignite's own warm-up counts its calls and forgets them
    on a resume; this one follows the engine's iteration. To resume, `StageCheckpoint` must save `ema_model`.

    Args:
        model: whose weights are averaged.
        decay: share of the average that an iteration keeps, once warmed up.
    """

    def __init__(self, model: nn.Module, decay: float = 0.9999) -> None:
        super().__init__(model, momentum=1 - decay)

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._set_momentum)
        super().attach(engine, name="ema_momentum", warn_if_exists=False)

    def _set_momentum(self, engine: Engine) -> None:
        engine.state.ema_momentum = max(self.momentum, 9 / (10 + engine.state.iteration))


class ClipGradients:
    """Clips the gradients of a `SupervisedTrainer`'s network to a norm, which MONAI's trainer does not do.

    Args:
        max_norm: largest L2 norm of all gradients together.
    """

    def __init__(self, max_norm: float = 1.0) -> None:
        self.max_norm = max_norm

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        if engine.amp and engine.scaler is not None:
            engine.scaler.unscale_(engine.optimizer)
        nn.utils.clip_grad_norm_(engine.network.parameters(), self.max_norm)


class StopOnNan(TerminateOnNan):
    """Ignite's `TerminateOnNan`, on the loss, as a handler that fails: no later stage is to build on the ruins."""

    def __init__(self) -> None:
        super().__init__(output_transform=lambda output: loss_terms(output)[Keys.LOSS])

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        super().__call__(engine)
        if engine.should_terminate:
            raise FloatingPointError(
                f"The loss is not finite at iteration {engine.state.iteration}; run again to go on from the last "
                "checkpoint, with a smaller learning rate if it happens again."
            )
