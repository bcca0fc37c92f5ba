# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Weights on disk: files of tensors only, complete or absent, loaded strictly; a bundle's `models/model.pt`."""

from __future__ import annotations

import copy
import filecmp
import hashlib
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from custom.errors import InputError
from custom.files import atomic


def unwrapped(network: nn.Module) -> nn.Module:
    """The network itself, without `DistributedDataParallel` around it."""
    return network.module if isinstance(network, nn.parallel.DistributedDataParallel) else network


def save_atomically(content: Any, path: str | Path) -> None:
    """`torch.save` under a temporary name in the same folder, then rename: a kill leaves the old file or the new one.

    The same content gives the same bytes, whatever the file's name.

    Raises:
        InputError: the folder cannot be written or the disk is full.
    """
    try:
        with atomic(path) as temporary, temporary.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
    except RuntimeError as error:  # torch reports a full disk as a RuntimeError
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
        with atomic(kept) as copied:  # a copy, so that there is a complete model.pt at every moment
            shutil.copy2(path, copied)
    os.replace(fresh, path)


def require_model(path: str | Path) -> Path:
    """The file of a bundle's weights.

    Args:
        path: `models/model.pt` of a bundle.

    Raises:
        InputError: it is not there; says how to train it.
    """
    path = Path(path)
    if not path.is_file():
        config = path.parent.parent / "configs" / "train.json"
        command = f"python -m monai.bundle run --config_file {config} --ckpt_dir {path.parent}"
        raise InputError(path, "no trained weights", f"train first: {command}, or restore the shipped weights")
    return path


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
    path = require_model(path)
    state = load_tensors(path)
    try:
        unwrapped(module).load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        remedy = "use the config it was trained with, or train again"
        raise InputError(path, f"does not fit this network ({first_mismatch(error)})", remedy) from error
    return module


def start_from(
    module: nn.Module,
    path: str | Path | None,
    motion_weights: str | Path | None = None,
    codec_weights: str | Path | None = None,
) -> nn.Module:
    """Fill a network that is about to be trained with weights to go on from, or leave it as it is.

    Args:
        module: the network.
        path: a `models/model.pt`; None for a fresh start.
        motion_weights: where a fresh start takes its motion network from, if it has one (`module.motion`): weights of
            `bundles/motion` or `bundles/motion_oct`, or of any network that has one inside.
        codec_weights: where a fresh start takes all of its autoencoder from, motion network and scale of the latents
            included: weights of another method with an autoencoder of the same kind, such as `bundles/calid`.

    Returns:
        The same network.

    Raises:
        InputError: see :func:`load_model`; or weights without a motion network, or with one of another size.
    """
    if path is not None:
        return load_model(module, path)
    if codec_weights is not None:
        load_codec(module, codec_weights)
    elif getattr(module, "motion", None) is not None and motion_weights is not None:
        load_motion(module.motion, motion_weights)
    return module


def load_codec(module: nn.Module, path: str | Path) -> None:
    """Fill the autoencoder of a latent method, and the scale of its latents, from a file of another's weights.

    Raises:
        InputError: the file is missing or damaged, has no autoencoder, or one of another kind.
    """
    remedy = "give --codec_weights of a method with the same autoencoder, such as bundles/calid/models/model.pt"
    if not Path(path).is_file():
        raise InputError(path, "no weights of an autoencoder", remedy)
    parts = ("autoencoder.", "latent_")
    codec = {name: tensor for name, tensor in load_tensors(path).items() if name.startswith(parts)}
    own = {name for name in module.state_dict() if name.startswith(parts)}
    if codec.keys() != own:
        raise InputError(path, "has no autoencoder of this kind", remedy)
    try:
        module.load_state_dict(codec, strict=False)
    except RuntimeError as error:
        raise InputError(path, f"has another autoencoder ({first_mismatch(error)})", remedy) from error


def load_motion(motion: nn.Module, path: str | Path) -> None:
    """Fill a motion network from a file of weights that has one, by itself or as a part.

    Raises:
        InputError: the file is missing or damaged, has no motion network, or one of another size.
    """
    remedy = "give the weights of a trained bundles/motion or bundles/motion_oct as --motion_weights"
    if not Path(path).is_file():
        raise InputError(path, "no weights of a motion network", remedy)
    state = load_tensors(path)
    for prefix in ("network.", "autoencoder.motion."):
        part = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
        if part.keys() == motion.state_dict().keys():
            try:
                motion.load_state_dict(part)
            except RuntimeError as error:
                raise InputError(path, f"has another motion network ({first_mismatch(error)})", remedy) from error
            return
    raise InputError(path, "has no motion network of this kind", remedy)


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
