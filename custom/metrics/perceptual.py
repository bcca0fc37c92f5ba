# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Perceptual distances with AlexNet: LPIPS and ST-LPIPS; metrics and training losses. Never the one for the other.

LPIPS is that of Zhang et al. (2018). Its weights are other people's and come in two files, which are not shipped here
(see requirements-lpips.txt):
`alexnet-owt-7be5be79.pth`, torchvision's ImageNet AlexNet, and `alex.pth`, the linear heads of the `lpips` package,
v0.1. ST-LPIPS, its shift-tolerant kin, is that of Ghildyal and Liu (ECCV 2022); the package `stlpips-pytorch` ships
all its weights in one file, which is read here without importing the package (it asks for torchvision and IPython).
Where a file is missing there is no value, and the log says so; nothing is downloaded or made up.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from custom.errors import InputError

logger = logging.getLogger(__name__)

BACKBONE_FILE = "alexnet-owt-7be5be79.pth"
HEADS_FILE = "alex.pth"
WEIGHTS_VARIABLE = "LPIPS_WEIGHTS"
ST_FILE = "alex_shift_tolerant.pth"
ST_WEIGHTS_VARIABLE = "ST_LPIPS_WEIGHTS"
ST_PACKAGE = "stlpips_pytorch"


class PerceptualUnavailable(RuntimeError):
    """A distance cannot be had here; the message says in one line which file is missing and where it was sought."""


class _AlexNetDistance(nn.Module):
    """Distance of features of five stages of an AlexNet, each weighted by a head, frozen."""

    name: str  # in logs and tables
    features: nn.Sequential

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Conv2d(c, 1, 1, bias=False) for c in (64, 192, 384, 256, 256))
        # ImageNet's mean and deviation per colour, for images in [-1, 1].
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).reshape(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).reshape(1, 3, 1, 1))

    def forward(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Distance of each pair of images (Zhang et al., 2018, Eq. 1).

        Args:
            pred: `(B, C, H, W)` in [0, 1], C 1 (gray, replicated) or 3, at least 31 x 31. Not clipped, so that
                gradients reach intensities outside.
            target: same shape.

        Returns:
            `(B,)`, at least 0.
        """
        return sum(
            head((a - b).square()).mean(dim=(1, 2, 3))
            for head, a, b in zip(self.heads, self._normalised(pred), self._normalised(target), strict=True)
        )

    def _normalised(self, image: torch.Tensor) -> Iterator[torch.Tensor]:
        """Output of each ReLU, scaled to unit length over channels."""
        x = ((2 * image - 1).expand(-1, 3, -1, -1) - self.shift) / self.scale
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                yield nn.functional.normalize(x, dim=1, eps=1e-10)


class Lpips(_AlexNetDistance):
    """LPIPS-alex, version 0.1, frozen. Differentiable with respect to both images.

    Args:
        weights: folder with the two weight files; by default the places of `weight_folders`.

    Raises:
        PerceptualUnavailable: a weight file is missing or is not what its name says.
    """

    name = "lpips"

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        # torchvision's AlexNet up to its last ReLU, under torchvision's own indices.
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
        )
        folders = list(weight_folders(weights))
        _load(self.features, _find(BACKBONE_FILE, folders), "features.{}".format)
        _load(self.heads, _find(HEADS_FILE, folders), lambda key: f"lin{key.split('.')[0]}.model.1.weight")
        self.requires_grad_(False).eval()


class StLpips(_AlexNetDistance):
    """ST-LPIPS-alex, version ST0.0, frozen. Differentiable with respect to both images.

    Strides are taken by blurred subsampling, so that a shift of a pixel changes little.

    Args:
        weights: the weight file, or its folder; by default the environment variable ST_LPIPS_WEIGHTS, else the
            installed package `stlpips-pytorch`.

    Raises:
        PerceptualUnavailable: the weight file is missing or is not what its name says.
    """

    name = "st_lpips"

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 64, 11, padding=2), _Subsample(64), nn.ReLU()),
            *(nn.MaxPool2d(3, 1), _Subsample(64), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU()),
            *(nn.MaxPool2d(3, 1), _Subsample(192), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
        )
        named = weights or os.environ.get(ST_WEIGHTS_VARIABLE)
        if named and Path(named).is_file():
            path = Path(named)
        else:
            package = package_folder(ST_PACKAGE)
            shipped = [package / "weights" / "vST0.0"] if package else []
            path = _find(ST_FILE, [Path(named)] if named else shipped, ST_WEIGHTS_VARIABLE)
        stage_ends = (3, 7, 11, 13, 15)

        def stored(key: str) -> str:
            index = int(key.split(".")[0])
            return f"net.slice{1 + sum(index >= end for end in stage_ends)}.{key}"

        _load(self.features, path, stored)
        _load(self.heads, path, lambda key: f"lin{key.split('.')[0]}.model.1.weight")
        self.requires_grad_(False).eval()


class _Subsample(nn.Module):
    """Every second pixel of an image blurred by a stored kernel, the edges reflected two pixels far."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", torch.empty(channels, 1, 3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(
            nn.functional.pad(x, (2, 2, 2, 2), "reflect"), self.filt, stride=2, groups=x.shape[1]
        )


def load_lpips(weights: str | Path | None = None) -> Lpips | None:
    """LPIPS if its weights are here; else None, and one line of log that says what is missing.

    Raises:
        InputError: the folder was named, and LPIPS cannot be had with it: who names one wants LPIPS.
    """
    try:
        if weights and not Path(weights).is_dir():
            raise PerceptualUnavailable(f"no such folder; {BACKBONE_FILE} and {HEADS_FILE} are looked for in it")
        return Lpips(weights)
    except PerceptualUnavailable as error:
        if weights:
            remedy = "give the folder with both files (requirements-lpips.txt), or leave the option out"
            raise InputError(f"--lpips_weights {weights}", str(error).rstrip("."), remedy) from error
        logger.warning("LPIPS is not available: %s", error)
        return None


def load_st_lpips(weights: str | Path | None = None) -> StLpips | None:
    """ST-LPIPS if its weights are here; else None, and one line of log that says what is missing."""
    try:
        return StLpips(weights)
    except PerceptualUnavailable as error:
        logger.warning("ST-LPIPS is not available: %s", error)
        return None


#: Perceptual distances by the name that a training gives; each takes where its weights lie.
PERCEPTUAL = {"lpips": load_lpips, "st_lpips": load_st_lpips}


def package_folder(name: str) -> Path | None:
    """Folder of an installed package, located and not imported; None where it is not installed."""
    package = importlib.util.find_spec(name)
    return Path(package.origin).parent if package is not None and package.origin else None


def weight_folders(weights: str | Path | None = None) -> Iterator[Path]:
    """Where the weight files are looked for, in order.

    `weights`, else the environment variable LPIPS_WEIGHTS; then the cache of `torch.hub` and the installed `lpips`
    package. The two files may lie in different places.
    """
    named = weights or os.environ.get(WEIGHTS_VARIABLE)
    if named:
        yield Path(named)
    yield Path(torch.hub.get_dir()) / "checkpoints"
    package = package_folder("lpips")
    if package is not None:
        yield package / "weights" / "v0.1"


def _find(name: str, folders: list[Path], variable: str = WEIGHTS_VARIABLE) -> Path:
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    places = ", ".join(str(folder) for folder in folders) or "the installed packages"
    raise PerceptualUnavailable(f"{name} is in none of {places}; see requirements-lpips.txt, or set {variable}.")


def _load(module: nn.Module, path: Path, key_in_file: Callable[[str], str]) -> None:
    """Fill `module` from a file whose keys are `key_in_file(key in module)`; the file may hold more."""
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        module.load_state_dict({key: stored[key_in_file(key)] for key in module.state_dict()})
    except Exception as error:  # torch reports a foreign or truncated file in many ways
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise PerceptualUnavailable(
            f"{path} does not hold the weights its name promises ({type(error).__name__}: {first_line}); fetch it anew."
        ) from error
