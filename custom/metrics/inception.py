# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Inception-v3 as the Frechet Inception Distance uses it: 2048 features of an image.

The network is that of Szegedy et al. (2016) with the weights of 2015-12-05 that Heusel et al. (2017) measured with.
They are other people's and not shipped; nothing is downloaded or made up. pytorch-fid publishes them as
`pt_inception-2015-12-05-6726825d.pth`, torch-fidelity as `weights-inception-2015-12-05-6726825d.pth`; the modules here
have the names that the tensors have in there. It differs from torchvision's Inception-v3 where the 2015 graph does:
average pooling leaves the padding out of its counts, the last block pools by maximum, and there are 1008 classes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

logger = logging.getLogger(__name__)

FILES = ("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth")
WEIGHTS_VARIABLE = "INCEPTION_WEIGHTS"
EXTRACTOR = "Inception-v3 of 2015-12-05, 2048 features, 299 x 299 bilinear"
NUM_FEATURES = 2048


class InceptionUnavailable(RuntimeError):
    """The weights cannot be had here; the message says in one line what is missing and where it was sought."""


class _Conv(nn.Module):
    """Convolution without bias, batch normalisation (eps 1e-3, as in the 2015 graph), ReLU."""

    def __init__(self, into: int, out: int, kernel: int | tuple[int, int], stride: int = 1, padding=0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(into, out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=1e-3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class _BlockA(nn.Module):
    """35 x 35 grid (Figure 5 of the paper)."""

    def __init__(self, into: int, pool: int) -> None:
        super().__init__()
        self.branch1x1 = _Conv(into, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = _Conv(into, 48, 1), _Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = _Conv(into, 64, 1), _Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, padding=1)
        self.branch_pool = _Conv(into, pool, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat(
            [self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double, self.branch_pool(_average(x))], 1
        )


class _BlockB(nn.Module):
    """From 35 x 35 to 17 x 17."""

    def __init__(self, into: int) -> None:
        super().__init__()
        self.branch3x3 = _Conv(into, 384, 3, stride=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = _Conv(into, 64, 1), _Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, 2)], 1)


class _BlockC(nn.Module):
    """17 x 17 grid, 7 x 7 convolutions in two factors (Figure 6)."""

    def __init__(self, into: int, width: int) -> None:
        super().__init__()
        row, column = {"kernel": (1, 7), "padding": (0, 3)}, {"kernel": (7, 1), "padding": (3, 0)}
        self.branch1x1 = _Conv(into, 192, 1)
        self.branch7x7_1 = _Conv(into, width, 1)
        self.branch7x7_2, self.branch7x7_3 = _Conv(width, width, **row), _Conv(width, 192, **column)
        self.branch7x7dbl_1 = _Conv(into, width, 1)
        self.branch7x7dbl_2, self.branch7x7dbl_3 = _Conv(width, width, **column), _Conv(width, width, **row)
        self.branch7x7dbl_4, self.branch7x7dbl_5 = _Conv(width, width, **column), _Conv(width, 192, **row)
        self.branch_pool = _Conv(into, 192, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(_average(x))], 1)


class _BlockD(nn.Module):
    """From 17 x 17 to 8 x 8."""

    def __init__(self, into: int) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = _Conv(into, 192, 1), _Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1 = _Conv(into, 192, 1)
        self.branch7x7x3_2 = _Conv(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = _Conv(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = _Conv(192, 192, 3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        long = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), long, F.max_pool2d(x, 3, 2)], 1)


class _BlockE(nn.Module):
    """8 x 8 grid (Figure 7)."""

    def __init__(self, into: int, pool_by_maximum: bool) -> None:
        super().__init__()
        row, column = {"kernel": (1, 3), "padding": (0, 1)}, {"kernel": (3, 1), "padding": (1, 0)}
        self.pool_by_maximum = pool_by_maximum
        self.branch1x1 = _Conv(into, 320, 1)
        self.branch3x3_1 = _Conv(into, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = _Conv(384, 384, **row), _Conv(384, 384, **column)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = _Conv(into, 448, 1), _Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = _Conv(384, 384, **row), _Conv(384, 384, **column)
        self.branch_pool = _Conv(into, 192, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        single, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        wide = [self.branch3x3_2a(single), self.branch3x3_2b(single)]
        wide += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        pooled = F.max_pool2d(x, 3, 1, 1) if self.pool_by_maximum else _average(x)
        return torch.cat([self.branch1x1(x), *wide, self.branch_pool(pooled)], 1)


class InceptionFeatures(nn.Module):
    """Images to 2048 features, frozen.

    Args:
        weights: the file, or the folder it lies in; by default the places of `weight_files`.

    Raises:
        InceptionUnavailable: no file, or a file that does not hold exactly this network.
    """

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        self.Conv2d_1a_3x3, self.Conv2d_2a_3x3 = _Conv(3, 32, 3, stride=2), _Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = _Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1, self.Conv2d_4a_3x3 = _Conv(64, 80, 1), _Conv(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _BlockA(192, 32), _BlockA(256, 64), _BlockA(288, 64)
        self.Mixed_6a = _BlockB(288)
        self.Mixed_6b, self.Mixed_6c = _BlockC(768, 128), _BlockC(768, 160)
        self.Mixed_6d, self.Mixed_6e = _BlockC(768, 160), _BlockC(768, 192)
        self.Mixed_7a = _BlockD(768)
        self.Mixed_7b, self.Mixed_7c = _BlockE(1280, pool_by_maximum=False), _BlockE(2048, pool_by_maximum=True)
        self.fc = nn.Linear(NUM_FEATURES, 1008)  # unused; its presence in the file is checked like all else
        _load(self, _find(weights))
        self.requires_grad_(False).eval()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Features `(B, 2048)` of images `(B, C, H, W)` in [0, 1] (clipped), C 1 (gray, replicated) or 3."""
        x = image.float().clamp(0, 1).expand(-1, 3, -1, -1)
        x = 2 * F.interpolate(x, size=(299, 299), mode="bilinear", align_corners=False) - 1
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, 2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        return self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x))).mean(dim=(2, 3))


def load_inception(weights: str | Path | None = None) -> InceptionFeatures | None:
    """The extractor if its weights are here; else None, and one line of log that says what is missing."""
    try:
        return InceptionFeatures(weights)
    except InceptionUnavailable as error:
        logger.warning("rFID is not available: %s", error)
        return None


def weight_files(weights: str | Path | None = None) -> Iterator[Path]:
    """Where the weights are looked for, in order: `weights`, else the variable INCEPTION_WEIGHTS (a file or a folder);
    then torch.hub's cache, which both pytorch-fid and torch-fidelity use."""
    named = weights or os.environ.get(WEIGHTS_VARIABLE)
    if named and not Path(named).is_dir():
        yield Path(named)
    folders = [Path(named)] if named and Path(named).is_dir() else []
    for folder in (*folders, Path(torch.hub.get_dir()) / "checkpoints"):
        yield from (folder / name for name in FILES)


def _average(x: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def _find(weights: str | Path | None) -> Path:
    places = list(weight_files(weights))
    for path in places:
        if path.is_file():
            return path
    text = ", ".join(str(path) for path in places)
    raise InceptionUnavailable(f"none of {text} exists; fetch pytorch-fid's file, or set {WEIGHTS_VARIABLE}.")


def _load(module: nn.Module, path: Path) -> None:
    """Fill `module`, strictly. The counter of batch normalisation is no weight, and the 2015 graph has none."""
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        counters = {k: v for k, v in module.state_dict().items() if k.endswith("num_batches_tracked")}
        module.load_state_dict(counters | dict(stored))
    except Exception as error:  # torch reports a foreign or truncated file in many ways
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise InceptionUnavailable(
            f"{path} does not hold the weights its name promises ({type(error).__name__}: {first_line}); fetch it anew."
        ) from error
