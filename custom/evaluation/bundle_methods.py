# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Interpolators loaded from bundles, one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import nn

from custom.errors import InputError
from custom.interpolators.base import Interpolator
from custom.interpolators.classical import CubicFrames, LinearFrames, NearestFrame
from custom.interpolators.latent_average import LatentAverage
from custom.interpolators.optical_flow import FlowMidpoint
from custom.paths import bundle_root
from custom.weights import load_model

#: Name -> label in the tables and class.
CLASSICAL: dict[str, tuple[str, type[Interpolator]]] = {
    "nearest": ("Nearest", NearestFrame),
    "linear": ("Linear", LinearFrames),
    "cubic": ("Cubic", CubicFrames),
    "flow": ("TV-L1 flow", FlowMidpoint),
}
LATENT_AVERAGE = "latent_average"


@dataclass(frozen=True)
class MethodSpec:
    """One entry of `--methods`.

    Attributes:
        label: the method's name in tables and figures.
        source: a classical name, or the bundle's name or folder.
        options: of the bundle's `inference.json`, by id.
        latent_average: the average of the bundle's latents instead of the bundle's method.
    """

    label: str
    source: str
    options: Mapping[str, Any] = field(default_factory=dict)
    latent_average: bool = False

    @property
    def entry(self) -> str:
        """The entry that is read as this very spec."""
        options = "&".join(f"{name}={json.dumps(value)}" for name, value in self.options.items())
        source = f"{LATENT_AVERAGE}:{self.source}" if self.latent_average else self.source
        return f'"{self.label}"={source}' + (f"?{options}" if options else "")

    @property
    def is_bundle(self) -> bool:
        """Whether the source is a bundle."""
        return self.source not in CLASSICAL


def bundle_folder(source: str) -> Path:
    """The folder of a bundle by name or path.

    Raises:
        InputError: there is none.
    """
    here = Path(bundle_root("calid")).parent / source
    for folder in (here, Path(source)):
        if (folder / "configs" / "inference.json").is_file():
            return folder.resolve()
    raise InputError(
        source, "is no classical method and no bundle", f"choose from {', '.join(CLASSICAL)} and {here.parent}"
    )


def inference_config(folder: Path, options: Mapping[str, Any]) -> ConfigParser:
    """A bundle's `inference.json`, its root set to where the bundle lies.

    Raises:
        InputError: an option that is no id of the config.
    """
    parser = ConfigParser()
    path = folder / "configs" / "inference.json"
    parser.read_config(path)
    for name, value in options.items():
        part = name.rpartition("#")[0]  # of a network, which holds what differs from its defaults
        if name not in parser and not (name.startswith("network_def#") and isinstance(parser.get(part), dict)):
            raise InputError(path, f"has no option {name!r}", "see the names in that file")
        parser[name] = value
    parser["bundle_root"] = str(folder)
    return parser


def load_network(source: str, options: Mapping[str, Any] | None = None) -> nn.Module:
    """The `network_def` of a bundle's `inference.json` with its weights, on the CPU.

    Args:
        source: name or folder of the bundle.
        options: ids of the config to change.

    Raises:
        InputError: no such bundle, no weights, weights of another network, or an unknown option.
    """
    parser = inference_config(bundle_folder(source), options or {})
    return load_model(parser.get_parsed_content("network_def"), parser.get_parsed_content("checkpoint")).eval()


def load_method(spec: MethodSpec) -> Interpolator:
    """The interpolator of a spec, weights loaded, in evaluation mode on the CPU.

    Raises:
        InputError: no weights, unknown options, options out of range, or not an interpolator.
    """
    if not spec.is_bundle:
        return CLASSICAL[spec.source][1]().eval()
    folder = bundle_folder(spec.source)
    network = load_network(spec.source, spec.options)
    if not isinstance(network, Interpolator):
        raise InputError(folder, "is no interpolator", "leave it out of --methods")
    try:
        network.validate()
    except ValueError as error:
        raise InputError(folder, str(error).rstrip("."), "mend the options after ?") from error
    if spec.latent_average:
        if not all(hasattr(network, name) for name in ("encode_latents", "decode_latents", "divisor")):
            raise InputError(folder, "has no latents of single slices to average", "leave its latent average out")
        network = LatentAverage(network)
    return network.eval()


class LoadedMethods(Mapping[str, Interpolator]):
    """Label -> interpolator, loaded when it is asked for and kept until another is: one network in memory at a time.

    Args:
        specs: the methods.
    """

    def __init__(self, specs: Sequence[MethodSpec]) -> None:
        self.specs = {spec.label: spec for spec in specs}
        self._held: tuple[str, Interpolator] | None = None

    def __getitem__(self, label: str) -> Interpolator:
        if self._held is None or self._held[0] != label:
            self._held = None  # released before the next is loaded
            self._held = label, load_method(self.specs[label])
        return self._held[1]

    def __iter__(self) -> Iterator[str]:
        return iter(self.specs)

    def __len__(self) -> int:
        return len(self.specs)


class Oracles(Mapping[str, Callable[[torch.Tensor], torch.Tensor]]):
    """Name -> a network's `reconstruct`, for the bundles that have one; loaded when asked for.

    Args:
        methods: among which the bundles are looked for, each once.
    """

    def __init__(self, methods: LoadedMethods) -> None:
        self.methods = methods
        sources: dict[str, str] = {}
        for label, spec in methods.specs.items():
            if spec.is_bundle and not spec.latent_average and spec.source not in sources.values():
                if hasattr(methods[label], "reconstruct"):
                    sources[label] = spec.source
        self.labels = {f"Autoencoder of {label}": label for label in sources}

    def __getitem__(self, name: str) -> Callable[[torch.Tensor], torch.Tensor]:
        return self.methods[self.labels[name]].reconstruct

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __len__(self) -> int:
        return len(self.labels)
