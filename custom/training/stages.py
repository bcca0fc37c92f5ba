# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A stage: a part of the network, what it learns from, and all that accompanies a training.

A stage is a MONAI trainer with a warm-up and cosine schedule, clipped gradients, a loss curve, lines of progress, a
stop where a loss is not finite, and a checkpoint from which it goes on as if it had never stopped. Handlers of its
config, such as MONAI's `ValidationHandler`, come after these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ignite.distributed as idist
import torch
from monai.data import DataLoader
from monai.engines import SupervisedTrainer, default_prepare_batch
from monai.handlers import LrScheduleHandler
from monai.inferers import Inferer
from monai.optimizers import WarmupCosineSchedule
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from custom.metrics.perceptual import PERCEPTUAL
from custom.training.adversary import Adversary
from custom.training.autoencoder_trainer import AutoencoderTrainer
from custom.training.handlers import ClipGradients, WarmupEMA, WholeBatch
from custom.training.loaders import training_loader
from custom.training.loss_log import LossCurve, LossReader, StopOnNan
from custom.training.progress_log import ProgressLog
from custom.training.session import Session
from custom.training.stage_checkpoint import StageCheckpoint
from custom.training.stage_options import check_course
from custom.training.stage_record import stage_record


class SupervisedStage(SupervisedTrainer):
    """A stage that compares the output of a network with a label.

    Args:
        session: of the training.
        name: see `custom.training.session.Stage`.
        max_epochs: in all, counting those before a resume.
        dataset: random draws, see `custom.training.loaders.training_loader`.
        batch_size: of each process.
        network: what is trained, on the session's device.
        optimizer: of its parameters.
        loss_function: of output and label.
        schedule: arguments of MONAI's `WarmupCosineSchedule` besides the optimizer and the number of iterations.
        prepare_batch: a `custom.training.task.Task`.
        inferer: as of MONAI's trainers.
        ema: moving average of the network's weights.
        saved: further objects of which the checkpoint keeps the state, by name; handlers among them are attached.
        depends_on: see `StageCheckpoint`.
        find_unused_parameters: see `custom.training.processes.shared`.
        train_handlers: further handlers.

    Raises:
        InputError: a stage that would not learn: no epochs, no batches, no learning rate.
    """

    sized_by = "divisor"

    def __init__(
        self,
        session: Session,
        name: str,
        max_epochs: int,
        dataset: Dataset,
        batch_size: int,
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
        check_course(name, max_epochs, optimizer, train_handlers)
        loader = training_loader(dataset, batch_size, session.num_workers, name)
        self.name, self.tracked = name, train_handlers
        self.progress = ProgressLog(name, session.log_every)
        saved = {"network": network, **({} if ema is None else {"ema": ema.ema_model}), **(saved or {})}
        options = {
            "loss": loss_function,
            "task": prepare_batch,
            "inferer": inferer,
            "ema": None if ema is None else ema.momentum,
        }
        self.checkpoint, handlers = _company(
            session, self.progress, optimizer, loader, max_epochs, schedule, saved, options, depends_on
        )
        own = [ema, prepare_batch if hasattr(prepare_batch, "attach") else None, ClipGradients()]
        super().__init__(
            device=session.device,
            max_epochs=max_epochs,
            train_data_loader=loader,
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
        dataset: random draws, see `custom.training.loaders.training_loader`.
        batch_size: of each process.
        network: the autoencoder, on the session's device.
        lr: learning rate of Adam, for the autoencoder and for the discriminator.
        betas: of Adam, likewise.
        schedule: see :class:`SupervisedStage`; of the autoencoder.
        lpips_weights: see `custom.metrics.perceptual.load_lpips`.
        perceptual: what `perceptual_weight` weighs: "lpips" or "st_lpips", see `custom.metrics.perceptual.PERCEPTUAL`.
        discriminator_channels: see `custom.training.adversary.Adversary`.
        name: see `custom.training.session.Stage`.
        train_handlers: further handlers.
        losses: weights of the losses and other arguments of `AutoencoderTrainer`.

    Raises:
        InputError: see :class:`SupervisedStage`, and a weight below 0.
    """

    sized_by = "cell_size"

    def __init__(
        self,
        session: Session,
        max_epochs: int,
        dataset: Dataset,
        batch_size: int,
        network: nn.Module,
        lr: float,
        betas: Sequence[float] = (0.5, 0.9),
        schedule: Mapping[str, Any] | None = None,
        lpips_weights: str | None = None,
        perceptual: str = "lpips",
        discriminator_channels: int = 16,
        name: str = "autoencoder",
        train_handlers: Sequence[Any] = (),
        **losses: Any,
    ) -> None:
        loader = training_loader(dataset, batch_size, session.num_workers, name)
        self.name, self.tracked = name, train_handlers
        self.progress = ProgressLog(name, session.log_every)
        optimizer = torch.optim.Adam(network.parameters(), lr, betas=tuple(betas))
        check_course(name, max_epochs, optimizer, train_handlers)
        adversary = Adversary(session.device, discriminator_channels, lr, betas)
        distance = PERCEPTUAL[perceptual](lpips_weights if perceptual == "lpips" else None)
        saved, options = {"network": network, "adversary": adversary}, {**losses, perceptual: distance is not None}
        self.checkpoint, handlers = _company(
            session, self.progress, optimizer, loader, max_epochs, schedule, saved, options
        )
        super().__init__(
            device=session.device,
            max_epochs=max_epochs,
            train_data_loader=loader,
            autoencoder=session.shared(network),
            optimizer=optimizer,
            discriminator=adversary.network,
            discriminator_optimizer=adversary.optimizer,
            perceptual=distance,
            seed=session.seed,
            amp=session.amp,
            non_blocking=True,
            decollate=False,
            train_handlers=[*handlers, *train_handlers],
            **losses,
        )


def _company(
    session: Session,
    progress: ProgressLog,
    optimizer: Optimizer,
    loader: DataLoader,
    max_epochs: int,
    schedule: Mapping[str, Any] | None,
    saved: Mapping[str, Any],
    options: Mapping[str, Any],
    depends_on: nn.Module | None = None,
) -> tuple[StageCheckpoint, list[Any]]:
    """The checkpoint of a stage, and all that accompanies it: the checkpoint first, as others need what it restores."""
    rates = WarmupCosineSchedule(
        optimizer, **{"warmup_steps": 0, "t_total": len(loader) * max_epochs, **(schedule or {})}
    )
    made_by = stage_record(
        loader.dataset,
        {
            **options,
            "network": saved["network"],
            "optimizer": optimizer,
            "other_optimizers": [item.optimizer for item in saved.values() if hasattr(item, "optimizer")],
            "batch_size": loader.batch_size * idist.get_world_size(),
            "seed": session.seed,
        },
        session.given,
    )
    checkpoint = StageCheckpoint(
        session.ckpt_dir / "stages" / f"{progress.name}.pt",
        {**saved, "optimizer": optimizer, "schedule": rates},
        depends_on=depends_on,
        made_by=made_by,
        overwrite=session.overwrite,
    )
    curve = LossCurve(session.output_dir / f"{progress.name}_loss.csv")
    handlers = [
        checkpoint,
        WholeBatch(),
        *(item for item in saved.values() if hasattr(item, "attach")),
        LrScheduleHandler(rates, print_lr=False, epoch_level=False),
        LossReader(session.log_every, [StopOnNan(), curve, progress]),
    ]
    return checkpoint, handlers
