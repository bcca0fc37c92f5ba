# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Batches for training and validation."""

from __future__ import annotations

import ignite.distributed as idist
import torch
from monai.data import DataLoader
from torch.utils.data import Dataset, DistributedSampler

from custom.data.windows import EpochWindowSampler
from custom.training.stage_options import check_batches


def training_loader(dataset: Dataset, batch_size: int, num_workers: int = 0, stage: str = "network") -> DataLoader:
    """Batches of a data set of random draws: fresh ones in every epoch, the same whenever that epoch is run.

    Args:
        dataset: items by any index from 0 up; its length is that of an epoch, of all processes together.
        batch_size: of each process.
        num_workers: processes that prepare batches; they stay from epoch to epoch.
        stage: whose batches they are, for what is told of its options.

    Raises:
        InputError: a batch without items, or an epoch without batches.
    """
    check_batches(stage, dataset, batch_size)
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=EpochWindowSampler(dataset),
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def validation_loader(dataset: Dataset, batch_size: int = 1) -> DataLoader:
    """A data set once, in its order, dealt out to the processes."""
    sampler = DistributedSampler(dataset, shuffle=False) if idist.get_world_size() > 1 else None
    return DataLoader(dataset, batch_size=batch_size, sampler=sampler, pin_memory=torch.cuda.is_available())
