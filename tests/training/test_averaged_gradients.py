# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Two processes with half of a batch each learn what one learns from the whole: `multi_gpu_train.json` with gloo."""

from __future__ import annotations

import multiprocessing
import os
import socket
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser

from custom.training.processes import join, local_device, shared

CONFIGS = Path(__file__).resolve().parents[2] / "bundles" / "motion" / "configs"
BATCH = 4


def gradients(configs, half=slice(None)):
    """Gradients of the bundle's network and loss, from fixed weights and slices."""
    parser = ConfigParser(ConfigParser.load_config_files([str(CONFIGS / name) for name in configs]))
    torch.manual_seed(0)
    parser["device"] = "cpu"
    if any(entry["_target_"].endswith("processes.join") for entry in parser["initialize"]):
        join(local_device())
    network = parser.get_parsed_content("network_def")
    with torch.no_grad():  # heads that begin at zero would hide the layers before them
        for weights in network.parameters():
            weights.add_(0.02 * torch.randn(weights.shape, generator=torch.Generator().manual_seed(weights.numel())))
    wrapped, loss = shared(network, "cpu"), parser.get_parsed_content("train#loss")
    draws = torch.rand(3, BATCH, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    known, label = draws[:2, half, 0].movedim(0, 1), draws[2, half]
    positions = torch.linspace(0.2, 0.8, BATCH)[half]
    loss(wrapped(known, positions=positions, parts=True), label).backward()
    return {name: weights.grad.numpy() for name, weights in network.named_parameters() if weights.grad is not None}


def work(rank, port, results):
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    half = slice(rank * BATCH // 2, (rank + 1) * BATCH // 2)
    results.put((rank, gradients(["train.json", "multi_gpu_train.json"], half)))
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this build of torch has no torch.distributed")
def test_two_processes_average_to_the_gradients_of_one():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    processes = [spawn.Process(target=work, args=(rank, port, results)) for rank in range(2)]
    for process in processes:
        process.start()
    found = dict(results.get(timeout=600) for _ in processes)
    for process in processes:
        process.join(120)
    alone, half = gradients(["train.json"]), gradients(["train.json"], slice(0, BATCH // 2))
    assert found[0].keys() == found[1].keys() == alone.keys() and len(alone) > 10
    scale = max(abs(grad).max() for grad in alone.values())
    assert max(abs(half[name] - alone[name]).max() for name in alone) > 1e-3 * scale, "a half is not the whole"
    for name, grad in alone.items():
        assert (found[0][name] == found[1][name]).all(), name
        assert abs(found[0][name] - grad).max() <= 1e-5 * scale, name
