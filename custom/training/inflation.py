# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A network for cine slices that starts as one for single slices does: 2D kernels become the middle of 3D ones.

Carreira and Zisserman (2017, "I3D") repeat 2D kernels over time, for video that is to be recognised. Here every phase
is to come out as it did, so the other places of a kernel start at zero: phases are at first done one by one, and only
group norms, whose statistics go over all phases, tell the networks apart.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import nn

from custom.errors import InputError
from custom.weights import load_tensors, start_from, unwrapped

logger = logging.getLogger(__name__)


def inflated(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor | None:
    """A 2D network's tensor for the place of `like` in a 3D one, or None where it does not fit.

    Convolutions `(o, i, h, w)` become the middle of `(o, i, t, h, w)`; buffers get one more axis of one element.
    """
    if tensor.shape == like.shape:
        return tensor.to(like)
    if tensor.ndim == 4 and like.ndim == 5 and like.shape[:2] + like.shape[3:] == tensor.shape:
        kernel = torch.zeros_like(like)
        kernel[:, :, like.shape[2] // 2] = tensor.to(like)
        return kernel
    if tensor.numel() == like.numel() and like.ndim == tensor.ndim + 1:
        return tensor.to(like).reshape(like.shape)
    return None


def start_from_slices(
    module: nn.Module,
    slice_weights: str | Path | None,
    path: str | Path | None = None,
    motion_weights: str | Path | None = None,
) -> nn.Module:
    """Fill a cine network that is about to be trained with the weights of its 2D twin, or with its own.

    Args:
        module: the cine network.
        slice_weights: a `models/model.pt` of the same network in 2D; attention that only one of the two has is left
            out. None for a fresh start.
        path: a `models/model.pt` of the cine network itself; it comes before `slice_weights`.
        motion_weights: see `custom.weights.start_from`; for a fresh start.

    Returns:
        The same network.

    Raises:
        InputError: the file is missing, damaged, or of another network.
    """
    if path is not None or slice_weights is None:
        return start_from(module, path, motion_weights)
    slice_weights = Path(slice_weights)
    if not slice_weights.is_file():
        raise InputError(
            slice_weights, "no such weights", "train the 2D bundle first, or start without --slice_weights"
        )
    known, own = load_tensors(slice_weights), unwrapped(module).state_dict()
    filled = {name: inflated(known[name], tensor) for name, tensor in own.items() if name in known}
    misfits = [name for name, tensor in filled.items() if tensor is None]
    missing = [name for name in own if name not in known and ".attentions." not in name and ".attention." not in name]
    if misfits or missing:
        remedy = "take the 2D bundle's weights of the same channels and blocks"
        raise InputError(slice_weights, f"does not fit this network ({(misfits + missing)[0]})", remedy)
    unwrapped(module).load_state_dict(filled, strict=False)
    logger.info("%d of %d tensors start from %s", len(filled), len(own), slice_weights)
    return module
