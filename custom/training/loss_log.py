# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What is done with the losses of a training: a curve on disk, and a stop where one is not finite.

To read a loss, the host waits for the GPU. So losses are kept as they are and read together, every so many iterations.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from ignite.engine import Engine, Events
from monai.utils.enums import CommonKeys as Keys

from custom.files import atomic


class LossRow(NamedTuple):
    """The losses of one iteration.

    Attributes:
        epoch: from 1.
        iteration: from 1, counted over all epochs.
        terms: "loss" and whatever stands beside it in the engine's output, by name.
    """

    epoch: int
    iteration: int
    terms: dict[str, float]


def scalars(output: dict | list[dict]) -> dict[str, float | torch.Tensor]:
    """The scalars of an engine's output, decollated or not, by name; tensors without graphs, where they are."""
    first = output[0] if isinstance(output, list) else output
    kept = {k: v for k, v in first.items() if isinstance(v, (int, float)) or getattr(v, "ndim", None) == 0}
    return {k: v.detach() if isinstance(v, torch.Tensor) else v for k, v in kept.items()}


def loss_terms(output: dict | list[dict]) -> dict[str, float]:
    """The scalars of an engine's output as numbers; waits for the GPU."""
    return {name: float(value) for name, value in scalars(output).items()}


class Reader(Protocol):
    """What is told of losses."""

    def start(self, engine: Engine) -> None:
        """A run begins, from its start or from a checkpoint."""

    def read(self, engine: Engine, rows: Sequence[LossRow]) -> None:
        """The iterations since the last call, at least one."""

    def end(self) -> None:
        """The run is over."""


class LossReader:
    """Handler: reads the losses after a run's first iteration, then every so many, and when an epoch ends.

    Put it before handlers that look at an epoch's end, so that nothing is made of weights whose loss was not finite. On
    the first rank only all `readers` are told, on the others :class:`StopOnNan` alone.

    Args:
        every: iterations between readings.
        readers: told in this order.
    """

    def __init__(self, every: int, readers: Sequence[Reader]) -> None:
        self.every, self.readers = every, tuple(readers)
        self._unread: list[tuple[int, int, dict]] = []
        self._first = True

    def attach(self, engine: Engine) -> None:
        if engine.state.rank > 0:
            self.readers = tuple(reader for reader in self.readers if isinstance(reader, StopOnNan))
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._keep)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._read)
        engine.add_event_handler(Events.COMPLETED, self._end)

    def _start(self, engine: Engine) -> None:
        self._unread, self._first = [], True
        for reader in self.readers:
            reader.start(engine)

    def _keep(self, engine: Engine) -> None:
        state = engine.state
        self._unread.append((state.epoch, state.iteration, scalars(state.output)))
        if self._first or state.iteration % self.every == 0:
            self._read(engine)
        self._first = False

    def _read(self, engine: Engine) -> None:
        if not self._unread:
            return
        rows = [LossRow(epoch, iteration, terms) for epoch, iteration, terms in _on_host(self._unread)]
        self._unread = []
        for reader in self.readers:
            reader.read(engine, rows)

    def _end(self) -> None:
        for reader in self.readers:
            reader.end()


def _on_host(rows: list[tuple[int, int, dict]]) -> list[tuple[int, int, dict[str, float]]]:
    """The rows with numbers in place of tensors, all of which are copied at once."""
    tensors = [value for *_, terms in rows for value in terms.values() if isinstance(value, torch.Tensor)]
    values = iter(torch.stack([value.double() for value in tensors]).tolist() if tensors else [])
    return [
        (epoch, iteration, {k: next(values) if isinstance(v, torch.Tensor) else float(v) for k, v in terms.items()})
        for epoch, iteration, terms in rows
    ]


class StopOnNan:
    """Fails when a loss is not finite: no later stage is to build on the ruins, and no checkpoint to keep them."""

    def start(self, engine: Engine) -> None:
        """See `Reader.start`."""

    def read(self, engine: Engine, rows: Sequence[LossRow]) -> None:
        """See `Reader.read`.

        Raises:
            FloatingPointError: names the first such iteration.
        """
        for row in rows:
            if not math.isfinite(row.terms[Keys.LOSS]):
                raise FloatingPointError(
                    f"The loss is not finite at iteration {row.iteration}; run again to go on from the last "
                    "checkpoint, with a smaller learning rate if it happens again."
                )

    def end(self) -> None:
        """See `Reader.end`."""


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

    def start(self, engine: Engine) -> None:
        """See `Reader.start`."""
        self.end()

    def read(self, engine: Engine, rows: Sequence[LossRow]) -> None:
        """See `Reader.read`.

        Raises:
            InputError: the folder cannot be written or the disk is full.
        """
        if self._file is None:
            self._open(rows[0].iteration, ["epoch", "iteration", *rows[0].terms])
        csv.writer(self._file).writerows([row.epoch, row.iteration, *row.terms.values()] for row in rows)
        self._file.flush()

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
        self._file = self.path.open("a", newline="")

    def end(self) -> None:
        """See `Reader.end`."""
        if self._file is not None:
            self._file.close()
            self._file = None
