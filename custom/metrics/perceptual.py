# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""LPIPS, the perceptual distance of Zhang et al. (2018), with AlexNet; a metric and a training loss.

Its weights are other people's and come in two files, which are not shipped here (see requirements-lpips.txt):
`alexnet-owt-7be5be79.pth`, torchvision's ImageNet AlexNet, and `alex.pth`, the linear heads of the `lpips` package,
v0.1. Where one is missing there is no LPIPS value, and the log says so; nothing is downloaded or made up.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

logger = logging.getLogger(__name__)

BACKBONE_FILE = "alexnet-owt-7be5be79.pth"
HEADS_FILE = "alex.pth"
WEIGHTS_VARIABLE = "LPIPS_WEIGHTS"


class PerceptualUnavailable(RuntimeError):
    """LPIPS cannot be had here; the message says in one line which file is missing and where it was sought."""


class Lpips(nn.Module):
    """LPIPS-alex, version 0.1, frozen. Differentiable with respect to both images.

    Args:
        weights: folder with the two weight files; by default the places of `weight_folders`.

    Raises:
        PerceptualUnavailable: a weight file is missing or is not what its name says.
    """

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
        self.heads = nn.ModuleList(nn.Conv2d(c, 1, 1, bias=False) for c in (64, 192, 384, 256, 256))
        # ImageNet's mean and deviation per colour, for images in [-1, 1].
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).reshape(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).reshape(1, 3, 1, 1))
        folders = list(weight_folders(weights))
        _load(self.features, _find(BACKBONE_FILE, folders), "features.{}".format)
        _load(self.heads, _find(HEADS_FILE, folders), lambda key: f"lin{key.split('.')[0]}.model.1.weight")
        self.requires_grad_(False).eval()

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


def load_lpips(weights: str | Path | None = None) -> Lpips | None:
    """LPIPS if its weights are here; else None, and one line of log that says what is missing."""
    try:
        return Lpips(weights)
    except PerceptualUnavailable as error:
        logger.warning("LPIPS is not available: %s", error)
        return None


def weight_folders(weights: str | Path | None = None) -> Iterator[Path]:
    """Where the weight files are looked for, in order.

    `weights`, else the environment variable LPIPS_WEIGHTS; then the cache of `torch.hub` and the installed `lpips`
    package. The two files may lie in different places.
    """
    named = weights or os.environ.get(WEIGHTS_VARIABLE)
    if named:
        yield Path(named)
    yield Path(torch.hub.get_dir()) / "checkpoints"
    package = importlib.util.find_spec("lpips")  # located, not imported: importing it needs torchvision
    if package is not None and package.origin:
        yield Path(package.origin).parent / "weights" / "v0.1"


def _find(name: str, folders: list[Path]) -> Path:
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    places = ", ".join(str(folder) for folder in folders)
    raise PerceptualUnavailable(
        f"{name} is in none of {places}; see requirements-lpips.txt, or set {WEIGHTS_VARIABLE}."
    )


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
