# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Several processes of one training, as `torchrun` starts them; and the random numbers of each."""

from __future__ import annotations

import logging
import os

import ignite.distributed as idist
import torch
from monai.utils import set_determinism
from torch import nn

from custom.data.sizes import whole_number
from custom.switches import is_on


def fix_randomness(seed: int, cudnn_benchmark: bool = False) -> None:
    """Seed everything, so that a training can be repeated bit for bit on the same machine.

    Args:
        seed: of Python, NumPy and PyTorch.
        cudnn_benchmark: let cuDNN try its algorithms and take the fastest, which need not give the same bits twice.

    Raises:
        InputError: a seed below 0.
    """
    whole_number("--seed", seed, 0)
    set_determinism(seed)
    if is_on(cudnn_benchmark):
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = False, True


def local_device() -> torch.device:
    """The GPU of this process, one per process of a machine; the CPU where there is none."""
    gpu = torch.cuda.is_available()
    return torch.device("cuda", int(os.environ["LOCAL_RANK"])) if gpu else torch.device("cpu")


def join(device: torch.device | str) -> None:
    """Join the other processes that `torchrun` started; from now on only the first tells what it does.

    Args:
        device: of this process.
    """
    on_gpu = torch.device(device).type == "cuda"
    torch.distributed.init_process_group("nccl" if on_gpu else "gloo")
    if on_gpu:
        torch.cuda.set_device(device)
    logging.getLogger().setLevel(logging.INFO if torch.distributed.get_rank() == 0 else logging.WARNING)


def shared(network: nn.Module, device: torch.device | str, find_unused_parameters: bool = False) -> nn.Module:
    """The network as one of several processes trains it: under `DistributedDataParallel`, or itself where there is one.

    Args:
        network: on `device`.
        device: of this process.
        find_unused_parameters: for networks of which an iteration may leave a part out.
    """
    if idist.get_world_size() == 1:
        return network
    device_ids = [device] if torch.device(device).type == "cuda" else None
    return nn.parallel.DistributedDataParallel(
        network, device_ids=device_ids, find_unused_parameters=find_unused_parameters
    )
