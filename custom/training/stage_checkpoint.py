# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""One file per training stage, from which it goes on as if it had never stopped, and which knows what made it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from custom.errors import InputError
from custom.training.stage_record import difference
from custom.weights import fingerprint, first_mismatch, load_tensors, save_atomically, unwrapped

logger = logging.getLogger(__name__)
_ANEW = "--overwrite true trains it anew, another --ckpt_dir keeps it"


class StageCheckpoint:
    """Saves a stage after its epochs and restores it when the trainer starts; a finished stage is not run again.

    MONAI's `CheckpointSaver` and `CheckpointLoader` do not do. The saver puts the epoch into the names of its interval
    files, so a config cannot name the one to go on from; the loader fails where the file does not exist yet, so fresh
    start and resume would be two configs, and where a network does not fit it cannot say what to do about it. Neither
    reaches the trainer's loss scaler, which MONAI makes only when it runs.

    A file is gone on from, or taken for a finished stage, only if it was made by what would make it now: the same data,
    options, weights and code (`made_by`), the same earlier stage, and the same learning rate schedule. So the number of
    epochs of a stage with a schedule is settled when it starts: with more, a finished schedule would climb back to its
    peak, with fewer it would break off on the way down. Without a schedule a stage may be extended. To train weights
    further with a schedule of their own, start from them (`pretrained`) in another folder.

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
        made_by: what shapes the stage, see `custom.training.stage_record.stage_record`; None compares nothing of it.
        overwrite: a file that does not fit, or is damaged, is replaced by a new training instead of refused. One that
            fits is still gone on from: a command that overwrites can be killed and repeated as any other.
    """

    def __init__(
        self,
        path: str | Path,
        save_dict: Mapping[str, Any],
        interval_epochs: int = 1,
        depends_on: nn.Module | None = None,
        made_by: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path, self.interval_epochs, self.depends_on = Path(path), interval_epochs, depends_on
        self.made_by, self.overwrite = made_by, overwrite
        self._foundation: str | None = None
        self.save_dict = {
            name: unwrapped(item) if isinstance(item, nn.Module) else item for name, item in save_dict.items()
        }

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.STARTED, self._start)

    def check(self) -> None:
        """Look whether what is there fits, before any stage is trained; the weights of earlier stages excepted.

        Raises:
            InputError: it does not, and is not to be overwritten.
        """
        if self.path.is_file() and not self.overwrite:
            self._refuse(self._misfit(load_tensors(self.path)))

    def _start(self, engine: Engine) -> None:
        # Added only now so that it comes after every handler attached before the run.
        if not engine.has_event_handler(self._save, Events.EPOCH_COMPLETED):
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._save)
        self._foundation = None if self.depends_on is None else fingerprint(self.depends_on)
        if not self.path.is_file() or not self._load(engine):
            return
        state = engine.state
        if state.epoch >= state.max_epochs:
            logger.info("%s: all %d epochs are done, nothing to train", self.path.name, state.epoch)
        else:
            logger.info("%s: going on after epoch %d of %d", self.path.name, state.epoch, state.max_epochs)

    def _load(self, engine: Engine) -> bool:
        """Restore everything; False if what is there does not fit and is to be overwritten."""
        try:
            content = load_tensors(self.path)
            self._refuse(self._misfit(content) or self._misplaced(content, engine))
        except InputError as error:
            if not self.overwrite:
                raise
            logger.info("%s: %s; trained anew", self.path.name, error.fault)
            return False
        objects = {**self.save_dict, **self._scaler(engine)}
        try:
            for name in objects.keys() & content["objects"].keys():
                objects[name].load_state_dict(content["objects"][name])
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            # What was restored by now is spoilt, so nothing is overwritten here.
            fault = f"does not fit this training ({first_mismatch(error)})"
            raise InputError(self.path, fault, "remove it or choose another --ckpt_dir") from error
        engine.state.epoch, engine.state.iteration = content["epoch"], content["iteration"]
        return True

    def _misfit(self, content: Any) -> str | None:
        """How what made the file differs from what would make it now, in a few words; None if it does not."""
        if not isinstance(content, dict) or not {"epoch", "iteration", "epoch_length", "objects"} <= content.keys():
            return "is not a stage of a training"
        stored = content["objects"]
        if stored.keys() - {"scaler"} != self.save_dict.keys() - {"scaler"}:
            return f"does not fit this training (it holds {', '.join(stored)})"
        if self.made_by is not None:
            if content.get("made_by") is None:
                return "does not say what made it"
            if words := difference(content["made_by"], self.made_by):
                return f"was made otherwise ({words})"
        for name, item in self.save_dict.items():
            if isinstance(item, LRScheduler):
                before, now = (_settings(item, state) for state in (stored[name], item.state_dict()))
                if words := difference(before, now):
                    done = f"after {content['epoch']} epochs of {content['epoch_length']} iterations"
                    return f"was made with another learning rate schedule ({words}; {done}), which cannot be changed"
        return None

    def _misplaced(self, content: dict, engine: Engine) -> str | None:
        """Why the file is none to go on from in this run, in a few words."""
        if content.get("foundation") != self._foundation:
            return "does not fit this training (the network of the stage before it has changed)"
        length = engine.state.epoch_length
        if content["epoch"] < engine.state.max_epochs and content["epoch_length"] != length:
            return f"has {content['epoch_length']} iterations per epoch, this training {length}"
        return None

    def _refuse(self, fault: str | None) -> None:
        if fault is not None:
            raise InputError(self.path, fault, _ANEW)

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
            "made_by": self.made_by,
            "objects": {name: item.state_dict() for name, item in objects.items()},
        }
        save_atomically(content, self.path)

    @staticmethod
    def _scaler(engine: Engine) -> dict[str, Any]:
        scaler = getattr(engine, "scaler", None)
        return {"scaler": scaler} if scaler is not None and scaler.is_enabled() else {}


def _settings(schedule: LRScheduler, state: Mapping[str, Any]) -> dict[str, Any]:
    """What of a schedule's state was given to it, as against how far it is."""
    given = set(inspect.signature(type(schedule).__init__).parameters) - {"last_epoch"}
    return {name: state[name] for name in (*sorted(given), "base_lrs") if name in state}
