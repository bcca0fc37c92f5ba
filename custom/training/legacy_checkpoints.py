# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Networks trained with the `generative` package (monai-generative 0.2.3), loaded into those of MONAI core.

MONAI took that package over with other names of arguments and weights. Two things changed what a network computes:
`generative` defined a projection after self-attention (`proj_attn`) and never applied it, where core applies its own by
default (`include_fc`), and it kept the projection inside transformer blocks (`to_out.0`, core's `out_proj`). With the
wrong flag the `load_old_state_dict` of core loads silently and the network computes something else; here it is refused.

Weights do not show everything. `norm_num_groups`, `norm_eps`, `num_head_channels` and `use_convtranspose` leave no
trace in them: take the core network's arguments from :func:`core_arguments` and not from memory. An autoencoder with
`use_convtranspose=True` cannot be taken over: its kernels are 3 wide, those of core 2.

Facts from the public sources of both packages (Apache-2.0): Project-MONAI/GenerativeModels and Project-MONAI/MONAI.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from monai.networks.nets import AutoencoderKL, ControlNet, DiffusionModelUNet, PatchDiscriminator
from torch import nn

from custom.errors import InputError
from custom.weights import load_tensors

#: Networks that both packages have.
KINDS: dict[str, type[nn.Module]] = {
    "autoencoderkl": AutoencoderKL,
    "unet": DiffusionModelUNet,
    "controlnet": ControlNet,
    "discriminator": PatchDiscriminator,
}
#: Arguments of `generative` under the names of core.
_RENAMED = {"num_channels": "channels", "use_checkpointing": "use_checkpoint"}
#: Of core only: what `generative` always did.
_FLAGS = ("include_fc", "use_combined_linear")
#: Memory-saving kernels of the same attention; core's would apply its dropout in inference too.
_DROPPED = ("use_flash_attention",)
#: Put in front of all names by `DataParallel` and `torch.compile`.
_WRAPPERS = ("module.", "_orig_mod.")
#: Entries of a checkpoint that hold a network, in the order in which they are looked for.
_ENTRIES = ("state_dict", "model_state_dict", "model", "network", "net")


def core_arguments(kind: str, generative_arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with which a network of MONAI core computes what the one of `generative` did.

    Args:
        kind: one of `KINDS`.
        generative_arguments: as the network of `generative` was built.

    Returns:
        Arguments of `KINDS[kind]`.

    Raises:
        ValueError: unknown kind, an argument that `generative` did not have, or a network that core does not have.
    """
    core = set(inspect.signature(_network_class(kind)).parameters)
    known = core - {*_FLAGS, *_RENAMED.values()} | {old for old, new in _RENAMED.items() if new in core}
    arguments = {}
    for name, value in generative_arguments.items():
        if name in _DROPPED:
            continue
        if name not in known:
            raise ValueError(f"'{name}' is no argument of generative's {kind}")
        arguments[_RENAMED.get(name, name)] = value
    if arguments.get("use_convtranspose"):
        raise ValueError("MONAI core has no autoencoder like that of generative with use_convtranspose=True")
    if kind == "autoencoderkl":
        arguments["include_fc"] = False
    elif kind in ("unet", "controlnet"):
        # Without conditioning all attention is plain self-attention, with it all is in transformer blocks.
        arguments["include_fc"] = bool(generative_arguments.get("with_conditioning", False))
    return arguments


def convert_state_dict(kind: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of a network of `generative` under the names of MONAI core.

    Args:
        kind: one of `KINDS`.
        state: state dict; not changed. One of core comes back as it is.

    Returns:
        State dict for the network that :func:`core_arguments` describes.

    Raises:
        ValueError: unknown kind.
    """
    _network_class(kind)
    if kind == "discriminator":
        return dict(state)
    rules = (
        (r"^(decoder\.blocks\.\d+|up_blocks\.\d+\.upsampler)\.conv\.conv\.", r"\1.postconv.conv."),
        (r"(blocks\.\d+|attentions\.\d+|middle_block\.attention)\.to_([qkv])\.", r"\1.attn.to_\2."),
        (r"\.to_out\.0\.", ".out_proj."),
    )
    converted = {}
    for name, tensor in state.items():
        if ".proj_attn." in name:
            continue
        for pattern, new in rules:
            name = re.sub(pattern, new, name)
        converted[name] = tensor
    return converted


def find_state_dict(content: Any, entry: str | None = None) -> dict[str, torch.Tensor]:
    """The network's weights in what a checkpoint file holds.

    Args:
        content: a state dict, or a dictionary with one among others such as the optimizer's.
        entry: its name there, if it is not one of the usual.

    Returns:
        State dict without the prefixes of `DataParallel` and `torch.compile`.

    Raises:
        ValueError: there is none, or more than one and no `entry`.
    """
    state = content
    if entry is not None:
        state = content.get(entry) if isinstance(content, Mapping) else None
        if not _is_state(state):
            raise ValueError(f"has no weights under '{entry}'")
    elif not _is_state(content):
        found = [name for name, value in content.items() if _is_state(value)] if isinstance(content, Mapping) else []
        usual = [name for name in _ENTRIES if name in found]
        if not found:
            raise ValueError("holds no weights of a network")
        if len(found) > 1 and not usual:
            raise ValueError(f"holds several networks ({', '.join(map(str, found))}): say which entry to take")
        state = content[usual[0] if usual else found[0]]
    state = dict(state)
    while prefix := next((p for p in _WRAPPERS if all(name.startswith(p) for name in state)), None):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def load_generative(network: nn.Module, source: Mapping[str, Any] | str | Path, entry: str | None = None) -> nn.Module:
    """Fill a network of MONAI core with weights from `generative`, strictly; where they do not fit, it stays as it was.

    Args:
        network: one of `KINDS`, built with :func:`core_arguments`.
        source: a checkpoint file (opened with `weights_only=True`), or what it holds.
        entry: see :func:`find_state_dict`.

    Returns:
        The same network.

    Raises:
        InputError: the file is missing, damaged, or does not fit the network.
        ValueError: the same of a dictionary, or `network` is none of `KINDS`.
    """
    kind = next((name for name, network_class in KINDS.items() if type(network) is network_class), None)
    if kind is None:
        raise ValueError(f"{type(network).__name__} is none of {', '.join(c.__name__ for c in KINDS.values())}")
    if isinstance(source, Mapping):
        content = source
    else:
        if not Path(source).is_file():
            raise InputError(source, "no such file", "give the checkpoint of a network of generative")
        content = load_tensors(source)
    own = network.state_dict()
    try:
        state = convert_state_dict(kind, find_state_dict(content, entry))
        fault = _mismatch(own, state)
        if fault:
            raise ValueError(f"does not fit this {type(network).__name__}: {fault}")
    except ValueError as error:
        if content is source:
            raise
        raise InputError(source, str(error), "check the kind, the entry and the arguments") from error
    network.load_state_dict(state)
    return network


def _network_class(kind: str) -> type[nn.Module]:
    if kind not in KINDS:
        raise ValueError(f"kind is one of {', '.join(KINDS)}, got {kind!r}")
    return KINDS[kind]


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(v, torch.Tensor) for v in value.values())


def _mismatch(own: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]) -> str | None:
    """Why a network with the state `own` cannot take `state`, in one line; None if it can."""
    missing = [name for name in own if name not in state]
    surplus = [name for name in state if name not in own]
    if any(".qkv." in name for name in missing):
        return "it was built with use_combined_linear=True, these weights need False"
    if any(".transformer_blocks." in name for name in missing + surplus):
        if missing and not all(".out_proj." in name for name in missing + surplus):
            return "with_conditioning, cross_attention_dim, attention_levels or transformer_num_layers differ"
    if missing and all(".out_proj." in name for name in missing):
        return "it was built with include_fc=True, these weights need include_fc=False"
    if surplus and all(".out_proj." in name for name in surplus):
        return "it was built with include_fc=False, these weights need include_fc=True"
    if missing or surplus:
        example = f"'{missing[0]}' is missing" if missing else f"'{surplus[0]}' is not of this network"
        return f"{len(missing)} weights are missing and {len(surplus)} too many, {example}"
    differing = [name for name in own if own[name].shape != state[name].shape]
    if differing:
        shapes = f"{tuple(state[differing[0]].shape)}, not {tuple(own[differing[0]].shape)}"
        return f"{len(differing)} weights have another shape, '{differing[0]}' is {shapes}"
    return None
