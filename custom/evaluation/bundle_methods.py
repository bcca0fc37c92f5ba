# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Methods by name: the classical ones, and those of bundles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from torch import nn

from custom.errors import InputError
from custom.evaluation.methods import Method
from custom.interpolators.base import Interpolator
from custom.interpolators.named import CLASSICAL
from custom.paths import bundle_root

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

    def method(self) -> Method:
        """Its description.

        Raises:
            InputError: no such bundle, or an unknown option.
        """
        if not self.is_bundle:
            return Method(CLASSICAL[self.source][1])
        method = bundle_method(self.source, self.options, Interpolator)
        return method.averaging_latents() if self.latent_average else method


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


def bundle_method(source: str, options: Mapping[str, Any] | None = None, kind: type[nn.Module] = nn.Module) -> Method:
    """What a bundle's `inference.json` defines: `network_def` with the weights of `checkpoint`.

    Args:
        source: name or folder of the bundle.
        options: ids of the config to change.
        kind: what the network must be, told when it is built.

    Raises:
        InputError: no such bundle, or an unknown option.
    """
    folder, options = bundle_folder(source), dict(options or {})

    def build() -> nn.Module:
        network = inference_config(folder, options).get_parsed_content("network_def")
        if not isinstance(network, kind):
            raise InputError(folder, "is no interpolator", "leave it out of --methods")
        return network

    checkpoint = Path(inference_config(folder, options).get_parsed_content("checkpoint"))
    return Method(build, checkpoint, source=str(folder))
