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


"""Files of tensors: complete or absent, and safe to open."""

from __future__ import annotations

import hashlib
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from custom.errors import InputError


def unwrapped(network: nn.Module) -> nn.Module:
    """The network itself, without `DistributedDataParallel` around it."""
    return network.module if isinstance(network, nn.parallel.DistributedDataParallel) else network


def save_atomically(content: Any, path: str | Path) -> None:
    """`torch.save` under a temporary name in the same folder, then rename: a kill leaves the old file or the new one.

    The same content gives the same bytes, whatever the file's name.

    Raises:
        InputError: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        temporary.unlink(missing_ok=True)
        raise InputError(path, f"cannot be written ({error})", "free space or choose another folder") from error


def load_tensors(path: str | Path) -> Any:
    """What :func:`save_atomically` wrote, on the CPU; tensors and primitives only.

    Raises:
        InputError: not a file of tensors, or damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise InputError(path, "is damaged or not a PyTorch file of tensors", "remove it or restore a copy") from error


def fingerprint(network: nn.Module) -> str:
    """SHA-256 of all names and values of a network's state dict."""
    digest = hashlib.sha256()
    for name, tensor in unwrapped(network).state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def first_mismatch(error: Exception) -> str:
    """One line out of PyTorch's long account of why a state dict does not fit."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[1] if len(lines) > 1 else lines[0]
    return line if len(line) <= 160 else f"{line[:157]}..."
