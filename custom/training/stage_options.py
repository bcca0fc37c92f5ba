# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a stage's options are called in the configs, and what they may be."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

from monai.handlers import ValidationHandler
from torch.optim import Optimizer
from torch.utils.data import Dataset

from custom.data.sizes import number, whole_number

_OWN = {
    "autoencoder": ("epochs", "lr"),
    "in_plane": ("epochs", "lr"),
    "denoiser": ("epochs", "lr", "batch_size", "epoch_length"),
}
"""Options that a stage has under its own name, such as `--denoiser_lr`; the others are those of the whole training."""


def stage_option(stage: str, option: str) -> str:
    """What the configs call an option of a stage, such as `--denoiser_epochs` or `--epochs`."""
    return f"--{stage}_{option}" if option in _OWN.get(stage, ()) else f"--{option}"


def check_batches(stage: str, dataset: Dataset, batch_size: int) -> None:
    """Raise an `InputError` unless an epoch has batches, and these have items.

    Args:
        stage: its name.
        dataset: of random draws; `num_draws` says how many make an epoch, `epoch_length` times the batch size.
        batch_size: of each process.
    """
    whole_number(stage_option(stage, "batch_size"), batch_size)
    draws = getattr(dataset, "num_draws", batch_size)
    whole_number(stage_option(stage, "epoch_length"), draws // batch_size if isinstance(draws, Integral) else draws)


def check_course(stage: str, max_epochs: int, optimizer: Optimizer, handlers: Iterable[Any] = ()) -> None:
    """Raise an `InputError` unless a stage has epochs, learns in them, and is validated after some.

    Args:
        stage: its name.
        max_epochs: in all.
        optimizer: not yet on a schedule.
        handlers: those of its config.
    """
    whole_number(stage_option(stage, "epochs"), max_epochs)
    for group in optimizer.param_groups:
        number(stage_option(stage, "lr"), group["lr"], 0, open_ends=True)
    for handler in handlers:
        if isinstance(handler, ValidationHandler):
            whole_number("--val_interval", handler.interval)
