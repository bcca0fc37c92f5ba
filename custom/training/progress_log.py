# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Lines in the log of a training: where it is, what the losses are, and how long it will take."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Sequence

from ignite.engine import Engine

from custom.training.loss_log import LossRow

logger = logging.getLogger(__name__)


class ProgressLog:
    """Logs a line every so many iterations: where the training is, mean loss terms, speed and time left.

    Plain lines rather than a bar, so that a terminal and the log of a cluster job show the same.

    Args:
        name: of the stage, at the start of each line.
        every: iterations between lines; the first iteration of a run and the last of all have theirs too.

    Attributes:
        place: of the stage among others, such as "stage 1 of 2"; empty for one stage.
        later: iterations of the stages after this one. They are taken to be as fast, which they need not be.
    """

    def __init__(self, name: str, every: int = 50) -> None:
        self.name, self.every = name, every
        self.place, self.later = "", 0
        self._rows: list[LossRow] = []
        self._done, self._started = 0, 0.0

    def start(self, engine: Engine) -> None:
        """See `Reader.start`."""
        self._rows, self._done, self._started = [], 0, time.perf_counter()

    def read(self, engine: Engine, rows: Sequence[LossRow]) -> None:
        """See `Reader.read`."""
        first = self._done == 0
        self._rows, self._done = [*self._rows, *rows], self._done + len(rows)
        total = engine.state.max_epochs * engine.state.epoch_length
        epoch, iteration, _ = rows[-1]
        if not first and iteration % self.every and iteration < total:
            return
        pace = (time.perf_counter() - self._started) / self._done
        left = _duration(pace * (total - iteration)) + " left"
        if self.later:
            left += f" in this stage, about {_duration(pace * (total - iteration + self.later))} in all"
        names = self._rows[-1].terms
        means = {name: sum(row.terms[name] for row in self._rows) / len(self._rows) for name in names}
        logger.info(
            "%s  epoch %d/%d  iteration %d/%d  %s  %.2f s/it  %s",
            f"{self.place}: {self.name}" if self.place else self.name,
            epoch, engine.state.max_epochs, iteration, total,
            "  ".join(f"{name} {mean:.4g}" for name, mean in means.items()), pace, left,
        )  # fmt: skip
        self._rows = []

    def end(self) -> None:
        """See `Reader.end`."""


def _duration(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))
