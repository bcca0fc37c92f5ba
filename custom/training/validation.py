# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Validation of a network while it trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ignite.distributed as idist
import torch
from ignite.metrics import Metric
from monai.engines import SupervisedEvaluator, default_prepare_batch
from monai.handlers import PeakSignalToNoiseRatio, StatsHandler, from_engine
from monai.inferers import Inferer
from torch import nn
from torch.utils.data import Dataset

from custom.data.sizes import whole_number
from custom.errors import InputError
from custom.training.loaders import validation_loader


def psnr() -> PeakSignalToNoiseRatio:
    """Peak signal-to-noise ratio in dB of predictions in [0, 1]."""
    return PeakSignalToNoiseRatio(max_val=1.0, output_transform=from_engine(["pred", "label"]))


def validator(
    dataset: Dataset,
    network: nn.Module,
    device: torch.device | str,
    prepare_batch: Callable = default_prepare_batch,
    inferer: Inferer | None = None,
    key_val_metric: Mapping[str, Metric] | None = None,
    val_handlers: Sequence[Any] = (),
    batch_size: int = 1,
) -> SupervisedEvaluator:
    """An engine that measures a network on a fixed data set and tells the result in the log.

    Args:
        dataset: shared out among the processes, where there are several.
        network: usually the moving average of what is trained.
        device: to run on.
        prepare_batch: a `custom.training.task.Task`.
        inferer: as of MONAI's engines.
        key_val_metric: name and metric, by which the best epoch is told.
        val_handlers: further handlers.
        batch_size: items at once.

    Raises:
        InputError: an option of the network is out of its range, which else would be told after an epoch; random draws,
            and none of them.
    """
    _check_network(network)
    whole_number("--val_slices", getattr(dataset, "num_draws", 1))
    tell = [StatsHandler(iteration_log=False)] if idist.get_rank() == 0 else []
    return SupervisedEvaluator(
        device=device,
        val_data_loader=validation_loader(dataset, batch_size),
        network=network,
        non_blocking=True,
        prepare_batch=prepare_batch,
        inferer=inferer,
        key_val_metric=key_val_metric,
        val_handlers=[*tell, *val_handlers],
    )


def _check_network(network: nn.Module) -> None:
    """Raise an `InputError` if an option is out of its range that counts only when slices are asked for."""
    try:
        getattr(network, "validate", lambda: None)()
    except InputError:
        raise
    except ValueError as error:
        raise InputError("option of the network", str(error).rstrip("."), "mend it") from error
