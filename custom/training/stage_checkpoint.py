# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""One file per training stage, from which the stage goes on as if it had never stopped."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from torch import nn

from custom.errors import InputError
from custom.weights import fingerprint, first_mismatch, load_tensors, save_atomically, unwrapped

logger = logging.getLogger(__name__)
_REMEDY = "remove it or choose another --ckpt_dir"


class StageCheckpoint:
    """Saves a stage after its epochs and restores it when the trainer starts; a finished stage is not run again.

    MONAI's `CheckpointSaver` and `CheckpointLoader` do not do. The saver puts the epoch into the names of its interval
    files, so a config cannot name the one to go on from; the loader fails where the file does not exist yet, so fresh
    start and resume would be two configs, and where a network does not fit it cannot say what to do about it. Neither
    reaches the trainer's loss scaler, which MONAI makes only when it runs.

    Put it first among the handlers: others may look at the restored state when the trainer starts. It saves after all
    other handlers of an epoch, wherever it stands. With several processes rank 0 saves, all load.

    Args:
        path: of the file, e.g. `models/stages/autoencoder.pt`.
        save_dict: whatever has `state_dict` and `load_state_dict` by name: networks, optimizers, schedulers, an EMA
            model, :class:`~custom.training.latents.LatentStatistics`. A network under `DistributedDataParallel` is
            saved as the network itself. The trainer's loss scaler is added.
        interval_epochs: save after every so many epochs, and after the last.
        depends_on: the finished network of an earlier stage. A file written with other weights of it is refused: a
            denoiser knows the latents of one autoencoder only.
    """

    def __init__(
        self,
        path: str | Path,
        save_dict: Mapping[str, Any],
        interval_epochs: int = 1,
        depends_on: nn.Module | None = None,
    ) -> None:
        self.path, self.interval_epochs, self.depends_on = Path(path), interval_epochs, depends_on
        self._foundation: str | None = None
        self.save_dict = {
            name: unwrapped(item) if isinstance(item, nn.Module) else item for name, item in save_dict.items()
        }

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.STARTED, self._start)

    def _start(self, engine: Engine) -> None:
        # Added only now so that it comes after every handler attached before the run.
        if not engine.has_event_handler(self._save, Events.EPOCH_COMPLETED):
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._save)
        self._foundation = None if self.depends_on is None else fingerprint(self.depends_on)
        if not self.path.is_file():
            return
        self._load(engine)
        state = engine.state
        if state.epoch >= state.max_epochs:
            logger.info("%s: all %d epochs are done, nothing to train", self.path.name, state.epoch)
        else:
            logger.info("%s: going on after epoch %d of %d", self.path.name, state.epoch, state.max_epochs)

    def _load(self, engine: Engine) -> None:
        content = load_tensors(self.path)
        objects = {**self.save_dict, **self._scaler(engine)}
        try:
            stored = content["objects"]
            if stored.keys() - {"scaler"} != objects.keys() - {"scaler"}:
                raise KeyError(f"it holds {', '.join(stored)}")
            if content["foundation"] != self._foundation:
                raise ValueError("the network of the stage before it has changed")
            unfinished = content["epoch"] < engine.state.max_epochs
            if unfinished and content["epoch_length"] != engine.state.epoch_length:
                raise ValueError(
                    f"it has {content['epoch_length']} iterations per epoch, this training {engine.state.epoch_length}"
                )
            for name in objects.keys() & stored.keys():
                objects[name].load_state_dict(stored[name])
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            raise InputError(self.path, f"does not fit this training ({first_mismatch(error)})", _REMEDY) from error
        engine.state.epoch, engine.state.iteration = content["epoch"], content["iteration"]

    def _save(self, engine: Engine) -> None:
        state = engine.state
        due = state.epoch % self.interval_epochs == 0 or state.epoch == state.max_epochs
        if not due or state.rank != 0:
            return
        objects = {**self.save_dict, **self._scaler(engine)}
        content = {
            "epoch": state.epoch,
            "iteration": state.iteration,
            "epoch_length": state.epoch_length,
            "foundation": self._foundation,
            "objects": {name: item.state_dict() for name, item in objects.items()},
        }
        save_atomically(content, self.path)

    @staticmethod
    def _scaler(engine: Engine) -> dict[str, Any]:
        scaler = getattr(engine, "scaler", None)
        return {"scaler": scaler} if scaler is not None and scaler.is_enabled() else {}
