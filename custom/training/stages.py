# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A stage: a part of the network, what it learns from, and all that accompanies a training.

A stage is a MONAI trainer with a warm-up and cosine schedule, clipped gradients, a loss curve, lines of progress, a stop
where a loss is not finite, and a checkpoint from which it goes on as if it had never stopped. Handlers of its config,
such as MONAI's `ValidationHandler`, come after these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from monai.data import DataLoader
from monai.engines import SupervisedTrainer, default_prepare_batch
from monai.handlers import LrScheduleHandler
from monai.inferers import Inferer
from monai.optimizers import WarmupCosineSchedule
from torch import nn
from torch.optim import Optimizer

from custom.metrics.perceptual import load_lpips
from custom.training.adversary import Adversary
from custom.training.autoencoder_trainer import AutoencoderTrainer
from custom.training.handlers import ClipGradients, WarmupEMA, WholeBatch
from custom.training.loss_log import LossCurve, LossReader, ProgressLog, StopOnNan
from custom.training.session import Session
from custom.training.stage_checkpoint import StageCheckpoint


class Stage(Protocol):
    """What a session knows of a stage, beside what MONAI's trainers have.

    Attributes:
        name: of its files, `stages/<name>.pt` and `<name>_loss.csv`, and in the log.
        progress: its lines in the log.
        tracked: the handlers of its config.
        state: Ignite's, with `max_epochs` and `epoch_length`.
    """

    name: str
    progress: ProgressLog
    tracked: Sequence[Any]
    state: Any

    def run(self) -> None:
        """Train, from the start or from the checkpoint."""


class SupervisedStage(SupervisedTrainer):
    """A stage that compares the output of a network with a label.

    Args:
        session: of the training.
        name: see :class:`Stage`.
        max_epochs: in all, counting those before a resume.
        train_data_loader: see `custom.training.loaders.training_loader`.
        network: what is trained, on the session's device.
        optimizer: of its parameters.
        loss_function: of output and label.
        schedule: arguments of MONAI's `WarmupCosineSchedule`, of which the optimizer and the number of iterations are known.
        prepare_batch: a `custom.training.task.Task`.
        inferer: as of MONAI's trainers.
        ema: moving average of the network's weights.
        saved: further objects of which the checkpoint keeps the state, by name; handlers among them are attached.
        depends_on: see `StageCheckpoint`.
        find_unused_parameters: see `custom.training.processes.shared`.
        train_handlers: further handlers.
    """

    def __init__(
        self,
        session: Session,
        name: str,
        max_epochs: int,
        train_data_loader: DataLoader,
        network: nn.Module,
        optimizer: Optimizer,
        loss_function: Callable[..., torch.Tensor],
        schedule: Mapping[str, Any] | None = None,
        prepare_batch: Callable = default_prepare_batch,
        inferer: Inferer | None = None,
        ema: WarmupEMA | None = None,
        saved: Mapping[str, Any] | None = None,
        depends_on: nn.Module | None = None,
        find_unused_parameters: bool = False,
        train_handlers: Sequence[Any] = (),
    ) -> None:
        self.name, self.tracked = name, train_handlers
        self.progress = ProgressLog(name, session.log_every)
        kept = {"ema": ema.ema_model} if ema is not None else {}
        handlers = _handlers(
            session, self, optimizer, len(train_data_loader) * max_epochs, schedule,
            {"network": network, **kept, **(saved or {})}, depends_on,
        )  # fmt: skip
        own = [ema, prepare_batch if hasattr(prepare_batch, "attach") else None, ClipGradients()]
        super().__init__(
            device=session.device,
            max_epochs=max_epochs,
            train_data_loader=train_data_loader,
            network=session.shared(network, find_unused_parameters),
            optimizer=optimizer,
            loss_function=loss_function,
            non_blocking=True,
            prepare_batch=prepare_batch,
            inferer=inferer,
            amp=session.amp,
            decollate=False,
            optim_set_to_none=True,
            train_handlers=[*handlers, *filter(None, own), *train_handlers],
        )


class AutoencoderStage(AutoencoderTrainer):
    """The stage that trains an autoencoder against a discriminator, see `AutoencoderTrainer`.

    Args:
        session: of the training.
        max_epochs: in all, counting those before a resume.
        train_data_loader: see `custom.training.loaders.training_loader`.
        network: the autoencoder, on the session's device.
        lr: learning rate of Adam, for the autoencoder and for the discriminator.
        betas: of Adam, likewise.
        schedule: see :class:`SupervisedStage`; of the autoencoder.
        lpips_weights: see `custom.metrics.perceptual.load_lpips`.
        discriminator_channels: see `custom.training.adversary.Adversary`.
        name: see :class:`Stage`.
        train_handlers: further handlers.
        losses: weights of the losses and other arguments of `AutoencoderTrainer`.
    """

    def __init__(
        self,
        session: Session,
        max_epochs: int,
        train_data_loader: DataLoader,
        network: nn.Module,
        lr: float,
        betas: Sequence[float] = (0.5, 0.9),
        schedule: Mapping[str, Any] | None = None,
        lpips_weights: str | None = None,
        discriminator_channels: int = 16,
        name: str = "autoencoder",
        train_handlers: Sequence[Any] = (),
        **losses: Any,
    ) -> None:
        self.name, self.tracked = name, train_handlers
        self.progress = ProgressLog(name, session.log_every)
        optimizer = torch.optim.Adam(network.parameters(), lr, betas=tuple(betas))
        adversary = Adversary(session.device, discriminator_channels, lr, betas)
        handlers = _handlers(
            session, self, optimizer, len(train_data_loader) * max_epochs, schedule,
            {"network": network, "adversary": adversary},
        )  # fmt: skip
        super().__init__(
            device=session.device,
            max_epochs=max_epochs,
            train_data_loader=train_data_loader,
            autoencoder=session.shared(network),
            optimizer=optimizer,
            discriminator=adversary.network,
            discriminator_optimizer=adversary.optimizer,
            perceptual=load_lpips(lpips_weights),
            seed=session.seed,
            amp=session.amp,
            non_blocking=True,
            decollate=False,
            train_handlers=[*handlers, *train_handlers],
            **losses,
        )


def _handlers(
    session: Session,
    stage: Stage,
    optimizer: Optimizer,
    iterations: int,
    schedule: Mapping[str, Any] | None,
    saved: Mapping[str, Any],
    depends_on: nn.Module | None = None,
) -> list[Any]:
    """What accompanies every stage: checkpoint first, as others look at what it restores."""
    rates = WarmupCosineSchedule(optimizer, **{"warmup_steps": 0, "t_total": iterations, **(schedule or {})})
    saved = {**saved, "optimizer": optimizer, "schedule": rates}
    path = session.ckpt_dir / "stages" / f"{stage.name}.pt"
    readers = [StopOnNan(), LossCurve(session.output_dir / f"{stage.name}_loss.csv"), stage.progress]
    return [
        StageCheckpoint(path, saved, depends_on=depends_on),
        WholeBatch(),
        *(item for item in saved.values() if hasattr(item, "attach")),
        LrScheduleHandler(rates, print_lr=False, epoch_level=False),
        LossReader(session.log_every, readers),
    ]
