# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""I3Net's intra-slice branch: features of a slice mixed in the frequency domain (Song et al., TMI 2024).

Every DCT coefficient of a whole map sees the whole slice, so mixing coefficients is global in space, and low and high
bands have the same share of the work. Steps follow the authors' repository, eeeric-code/I3Net.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
import torch
from torch import nn

from custom.networks.precision import full_precision


def dct_matrix(size: int) -> torch.Tensor:
    """Orthonormal DCT-II as a float64 matrix `(size, size)`, frequencies by samples; its transpose inverts it."""
    return torch.from_numpy(scipy.fft.dct(np.eye(size), type=2, norm="ortho", axis=0))


class DCT2d(nn.Module):
    """Two-dimensional orthonormal DCT-II of square maps, and its inverse, never in half precision.

    Args:
        size: height and width.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("matrix", dct_matrix(size).float(), persistent=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Coefficients `(..., size, size)` of maps `(..., size, size)`."""
        return self._both_sides(self.matrix, features)

    def inverse(self, coefficients: torch.Tensor) -> torch.Tensor:
        """Maps `(..., size, size)` of coefficients `(..., size, size)`."""
        return self._both_sides(self.matrix.T, coefficients)

    @staticmethod
    def _both_sides(matrix: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
        # The first coefficient is `size` times the mean: half precision would drown the others in it.
        with full_precision(maps.device):
            return matrix @ maps.to(matrix.dtype) @ matrix.T


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each place of `(B, c, H, W)`."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Same shape."""
        return super().forward(features.movedim(1, -1)).movedim(-1, 1)


class WindowMixer(nn.Module):
    """MLP-Mixer (Tolstikhin et al., 2021) inside each window of a map, the same weights for all windows.

    Tokens are the places of a window: the token MLP mixes its `window_size` squared places, the channel MLP the
    channels of each. Nothing passes from one window to another.

    Args:
        channels: of the map.
        window_size: side of a window.
        channel_expansion: hidden width of the channel MLP over `channels`; that of the token MLP is the tokens'.
    """

    def __init__(self, channels: int, window_size: int = 16, channel_expansion: int = 2) -> None:
        super().__init__()
        self.window_size = window_size
        tokens, hidden = window_size**2, channels * channel_expansion
        self.token_norm = nn.LayerNorm(channels)
        self.token_mlp = nn.Sequential(nn.Linear(tokens, tokens), nn.GELU(), nn.Linear(tokens, tokens))
        self.channel_norm = nn.LayerNorm(channels)
        self.channel_mlp = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """`(B, c, H, W)` to the same shape, both sizes multiples of `window_size`."""
        batch, channels, height, width = features.shape
        size = self.window_size
        grid = batch, channels, height // size, size, width // size, size
        windows = features.reshape(grid).permute(0, 2, 4, 3, 5, 1)
        tokens = windows.reshape(-1, size * size, channels)
        tokens = tokens + self.token_mlp(self.token_norm(tokens).transpose(1, 2)).transpose(1, 2)
        tokens = tokens + self.channel_mlp(self.channel_norm(tokens))
        return tokens.reshape(windows.shape).permute(0, 5, 1, 3, 2, 4).reshape(features.shape)


class FrequencyMixer(nn.Module):
    """I3Net's intra-slice branch: DCT, norm, convolutions and mixer over the spectrum, inverse DCT, 1x1.

    Args:
        channels: of the map.
        size: height and width of the map.
        window_size: side of the mixer's windows, in coefficients; `size` is a multiple of it.
    """

    def __init__(self, channels: int, size: int, window_size: int = 16) -> None:
        super().__init__()
        self.dct = DCT2d(size)
        self.norm = ChannelNorm(channels)
        self.bands = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.mixer = WindowMixer(channels, window_size)
        self.end = nn.Conv2d(channels, channels, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """`(B, channels, size, size)` to the same shape."""
        spectrum = self.bands(self.norm(self.dct(features)))
        return self.end(self.dct.inverse(spectrum + self.mixer(spectrum)))
