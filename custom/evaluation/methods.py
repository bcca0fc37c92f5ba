# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A method is a description until it runs.

The benchmark asks many methods, and most of what it does with them needs no weights: their names, whether a finished
cell is theirs, how many neighbours they read. A `Method` answers that. Its weights are read when it runs, by
`Networks`, which holds one network at a time, on the device, and lets it go before it reads the next.
"""

from __future__ import annotations

import copy
import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from custom.errors import InputError
from custom.interpolators.base import Interpolator
from custom.interpolators.latent_average import LatentAverage
from custom.interpolators.variants import variant
from custom.weights import load_model, require_model

#: What a network must have for its latents to be averaged.
_CODEC = ("encode_latents", "decode_between", "divisor")


@dataclass(frozen=True, eq=False)
class Method:
    """What is known of a method before its weights are read.

    Attributes:
        build: gives the network without its weights, a new one at each call.
        checkpoint: file of the weights. None for methods that have none, or that are in memory already: `build` then
            gives what is there.
        options: of sampling, by attribute of the network (`custom.interpolators.variants.variant`).
        latent_average: the average of the network's latents instead of the network's own method.
        source: who is at fault when an option is out of range.
    """

    build: Callable[[], nn.Module]
    checkpoint: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    latent_average: bool = False
    source: str = ""

    def at(self, **options: Any) -> Method:
        """The same network asked in another way, such as `num_inference_steps=1`."""
        return replace(self, options={**self.options, **options})

    def in_steps(self, steps: int) -> Method:
        """The same network, drawing a sample in so many steps: also where it is asked for the likeliest slice."""
        return self.at(num_inference_steps=steps, **({} if self._unloaded.draws else {"realism": 1.0}))

    def averaging_latents(self) -> Method:
        """The average of this network's latents ("Bilinear Latent" in CaLID, Table I)."""
        return replace(self, options={}, latent_average=True)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what decides the output: class, plain options, and the file of the weights.

        Raises:
            InputError: no weights, an option that the network does not have or that is out of range.
        """
        network = self._unloaded
        weights = fingerprint(network) if self.checkpoint is None else _file_hash(require_model(self.checkpoint))
        return hashlib.sha256(repr((_structure(network), weights)).encode()).hexdigest()

    @property
    def steps(self) -> int | None:
        """Of sampling, 1 where the likeliest slice is asked for; None for a method that takes none."""
        steps = getattr(self._unloaded, "num_inference_steps", None)
        return steps if steps is None or self._unloaded.draws else 1

    @property
    def has_codec(self) -> bool:
        """Whether the network can say what its codec alone makes of a slice: the oracle of its latents."""
        return hasattr(self._unloaded, "reconstruct")

    @cached_property
    def _unloaded(self) -> nn.Module:
        """The network with its attributes; where the weights are still to be read, without memory for them."""
        network = self._asked(self.build())
        return network if self.checkpoint is None else network.to("meta")

    def _asked(self, network: nn.Module) -> nn.Module:
        """A network as this method asks it; weights are shared."""
        try:
            network = variant(network, **self.options) if self.options else network
            if isinstance(network, Interpolator):
                network.validate()
        except ValueError as error:
            raise InputError(self.source or "--methods", str(error).rstrip("."), "mend its options") from error
        if self.latent_average and not all(hasattr(network, name) for name in _CODEC):
            raise InputError(self.source, "has no latents of single slices to average", "leave its latent average out")
        return LatentAverage(network) if self.latent_average else network


@dataclass(frozen=True, eq=False)
class CodecOf:
    """The oracle of a method: what its codec alone makes of the true frames. Bounds all that share its latents."""

    method: Method

    @property
    def fingerprint(self) -> str:
        """See `Method.fingerprint`."""
        return f"reconstruct {self.method.fingerprint}"


def described(method: Method | nn.Module) -> Method:
    """A description, also of a network that is in memory already."""
    if isinstance(method, Method):
        return method
    return Method(lambda: method, source=type(method).__name__)


def of_network(network_def: nn.Module, checkpoint: str | Path) -> Method:
    """The method of a bundle's config: `network_def` as it was built, with the weights of `checkpoint`.

    Raises:
        InputError: there are no weights.
    """
    checkpoint = require_model(checkpoint)
    return Method(functools.partial(copy.deepcopy, network_def), checkpoint, source=str(checkpoint))


class Networks:
    """Networks in memory, one at a time: read, moved to the device, and let go when another is asked for.

    Methods that differ in sampling options only share one network; those without weights to read take no room.

    Args:
        device: where they run.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._held: tuple[Method, nn.Module] | None = None

    def __call__(self, method: Method) -> nn.Module:
        """The network of a method, in evaluation mode on the device.

        Raises:
            InputError: no weights, or weights of another network.
        """
        if method.checkpoint is None:
            return method._asked(method.build()).to(self.device).eval()
        if self._held is None or (self._held[0].build, self._held[0].checkpoint) != (method.build, method.checkpoint):
            self.free()
            network = load_model(method.build(), method.checkpoint)
            self._held = method, network.to(self.device).eval()
        return method._asked(self._held[1]).eval()

    def free(self) -> None:
        """Let go of what is held."""
        self._held = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def fingerprint(method: Any) -> str:
    """Hash of what decides the output of what is in memory: its class, weights and plain options.

    Args:
        method: a description, an `Interpolator`, any `nn.Module`, or a callable.
    """
    if isinstance(method, Method | CodecOf):
        return method.fingerprint
    digest = hashlib.sha256(getattr(method, "__qualname__", type(method).__qualname__).encode())
    if isinstance(method, nn.Module):
        digest.update(_structure(method).encode())
        for name, tensor in method.state_dict().items():
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()


def _structure(network: nn.Module) -> str:
    """Class and plain options of a network and all its modules, as text that is alike in every process."""
    modules = ((name, type(child).__qualname__, _describe(vars(child))) for name, child in network.named_modules())
    return repr((type(network).__qualname__, list(modules)))


def _describe(value: Any) -> Any:
    """A value as numbers, text and sequences that print alike in every process: no addresses, no private parts.

    Of the attributes of modules and of their plain helper objects, weights and submodules are left to the caller.
    """
    if isinstance(value, bool | int | float | str | None):
        return value
    if isinstance(value, list | tuple):
        return [_describe(item) for item in value]
    if isinstance(value, dict):
        public = {str(k): v for k, v in value.items() if not str(k).startswith("_") and k != "training"}
        return [(k, _describe(v)) for k, v in sorted(public.items()) if not isinstance(v, nn.Module | torch.Tensor)]
    return type(value).__qualname__, _describe(getattr(value, "__dict__", {}))


@functools.cache
def _file_hash_of(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file_hash(path: Path) -> str:
    """SHA-256 of a file, read again only if it was written since."""
    status = path.stat()
    return _file_hash_of(path, status.st_size, status.st_mtime_ns)
