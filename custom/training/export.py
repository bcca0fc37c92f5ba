# Copyright 2026 The CardioInterp Bundles Authors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.


"""The finished network as the bundle's `models/model.pt`: tensors only, strict, never half-written."""

from __future__ import annotations

import copy
import filecmp
import os
import shutil
from pathlib import Path

from torch import nn

from custom.errors import InputError
from custom.training.files import first_mismatch, load_tensors, save_atomically, unwrapped


def save_model(module: nn.Module, path: str | Path, half: bool = False) -> None:
    """Write a network's state dict.

    A different file that is already there is kept as `stages/model_previous.pt` beside it (named after `path`); the
    same weights again change nothing.

    Args:
        module: the network.
        path: `models/model.pt`.
        half: parameters as float16, for half the size. Buffers (latent scale, schedules) keep their precision.

    Raises:
        InputError: the folder cannot be written or the disk is full.
    """
    path, module = Path(path), unwrapped(module)
    parameters = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    if half:
        state = {name: tensor.half() if name in parameters else tensor for name, tensor in state.items()}
    fresh = path.with_name(f"{path.name}.new")
    save_atomically(state, fresh)
    if path.is_file() and not filecmp.cmp(fresh, path, shallow=False):
        kept = path.parent / "stages" / f"{path.stem}_previous{path.suffix}"
        kept.parent.mkdir(exist_ok=True)
        # A copy, so that there is a complete model.pt at every moment.
        shutil.copy2(path, kept.with_name(f".{kept.name}.part"))
        os.replace(kept.with_name(f".{kept.name}.part"), kept)
    os.replace(fresh, path)


def load_model(module: nn.Module, path: str | Path) -> nn.Module:
    """Fill a network with what :func:`save_model` wrote, strictly; float16 files fill float32 networks.

    Args:
        module: the network, on any device.
        path: `models/model.pt` of a bundle.

    Returns:
        The same network.

    Raises:
        InputError: the file is missing, damaged, or of another network.
    """
    path = Path(path)
    if not path.is_file():
        config = path.parent.parent / "configs" / "train.json"
        train = f"train first: python -m monai.bundle run --config_file {config}, or restore the shipped weights"
        raise InputError(path, "no trained weights", train)
    state = load_tensors(path)
    try:
        unwrapped(module).load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        remedy = "use the config it was trained with, or train again"
        raise InputError(path, f"does not fit this network ({first_mismatch(error)})", remedy) from error
    return module


def start_from(module: nn.Module, path: str | Path | None) -> nn.Module:
    """Fill a network that is about to be trained with weights to go on from, or leave it as it is.

    Args:
        module: the network.
        path: a `models/model.pt`; None for a fresh start.

    Returns:
        The same network.

    Raises:
        InputError: see :func:`load_model`.
    """
    return module if path is None else load_model(module, path)


def with_denoiser(network: nn.Module, denoiser: nn.Module) -> nn.Module:
    """The same composite network with another denoiser, such as the moving average of its own.

    Everything else, buffers included, is shared with `network` and follows it.

    Args:
        network: has a submodule `denoiser`.
        denoiser: takes its place.

    Returns:
        The twin; `network` keeps its denoiser.
    """
    twin = copy.copy(network)
    twin._modules = dict(network._modules)
    twin.denoiser = denoiser
    return twin
