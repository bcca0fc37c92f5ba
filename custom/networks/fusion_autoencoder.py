# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The 2D autoencoder of CardioInterp with its dual-path fusion decoder (paper section 2; A5 to A12 of the notes).

Encoder and decoder follow LVDM's video autoencoder with 2D kernels, factor 8 in height and width. The decoder sees
all frames of a window: temporal shift couples them, and the key frames' encoder features, interpolated to every
frame's position, are added at each scale.

Scales are counted by depth: 0 is the image's own resolution, 3 is the latent's (1/8).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets.diffusion_model_unet import zero_module
from torch import nn

from custom.networks.feature_flow import flow_interpolation, linear_interpolation
from custom.networks.precision import full_precision
from custom.networks.temporal_shift import temporal_shift

TEMPORAL_MODES = ("none", "shift", "conv")
FUSION_MODES = ("none", "addition", "flow")


def group_norm(channels: int) -> nn.GroupNorm:
    """Group norm with up to 32 groups of at least 4 channels."""
    return nn.GroupNorm(max(1, min(32, channels // 4)), channels, eps=1e-6)


def per_frame(module: nn.Module, frames: torch.Tensor) -> torch.Tensor:
    """Apply a 2D module to each frame of `(B, L, C, H, W)`."""
    return module(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])


class ResidualBlock(nn.Module):
    """Pre-activated residual block on frames `(B, L, C, H, W)`.

    Args:
        channels: input and output channels.
        temporal: how frames exchange features inside the residual branch: not at all, by temporal shift before the
            first convolution (the paper's choice; the identity path stays untouched), or by a convolution of
            kernel 3x1x1 over frames (the usual P-3D block, for comparison).
    """

    def __init__(self, channels: int, temporal: str = "none") -> None:
        super().__init__()
        self.temporal = temporal
        self.norm1, self.norm2 = group_norm(channels), group_norm(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        if temporal == "conv":
            self.frame_conv = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))
        self.activation = nn.SiLU()

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        branch = self.activation(per_frame(self.norm1, frames))
        if self.temporal == "shift":
            branch = temporal_shift(branch)
        branch = per_frame(self.conv1, branch)
        if self.temporal == "conv":
            branch = branch + self.frame_conv(branch.transpose(1, 2)).transpose(1, 2)
        return frames + per_frame(self.conv2, self.activation(per_frame(self.norm2, branch)))


class FrameEncoder(nn.Module):
    """Each frame on its own to a latent at 1/8 of its size, with the features of every scale on the way."""

    def __init__(self, in_channels: int, channels: int, latent_channels: int) -> None:
        super().__init__()
        widths = [channels * 2**depth for depth in range(4)]
        self.widths = widths
        self.stem = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.downs = nn.ModuleList(nn.Conv2d(w, 2 * w, 4, stride=2, padding=1) for w in widths[:-1])
        self.blocks = nn.ModuleList(ResidualBlock(w) for w in widths[1:])
        self.head = nn.Sequential(
            group_norm(widths[-1]), nn.SiLU(), nn.Conv2d(widths[-1], 2 * latent_channels, 3, padding=1)
        )

    def features(self, frames: torch.Tensor) -> list[torch.Tensor]:
        """Features of `(B, L, C, H, W)` at depths 0 to 3, each `(B, L, c, H / 2**depth, W / 2**depth)`."""
        levels = [per_frame(self.stem, frames)]
        for down, block in zip(self.downs, self.blocks, strict=True):
            levels.append(block(per_frame(down, levels[-1])))
        return levels

    def posterior(self, deepest: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of the latent, from the features at depth 3."""
        mean, log_variance = per_frame(self.head, deepest).chunk(2, dim=2)
        return mean, log_variance.clamp(-30, 20)


class DualPathFusion(nn.Module):
    """Key-frame features, brought to every frame's position, enter one decoder scale through a zero-initialised 1x1.

    Args:
        channels: features of the scale.
        path: "flow" (deep scales, Eq. 8), "linear" (shallow scales, Eq. 9) or "addition" (mean of both key frames,
            the "dual-path addition" row of the paper's Table 2).
        search_radius: see `custom.networks.feature_flow.feature_flow`.
        median: the same.
        printed_weights: see `flow_interpolation`.
    """

    def __init__(self, channels: int, path: str, search_radius: int | None, median: int, printed_weights: bool) -> None:
        super().__init__()
        self.path, self.search_radius, self.median, self.printed_weights = path, search_radius, median, printed_weights
        self.project = zero_module(nn.Conv2d(channels, channels, 1))

    def forward(self, features: torch.Tensor, keys: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        first, last = keys[:, 0], keys[:, 1]
        if self.path == "flow":
            between = flow_interpolation(first, last, positions, self.search_radius, self.median, self.printed_weights)
        elif self.path == "linear":
            between = linear_interpolation(first, last, positions)
        else:
            between = ((first + last) / 2)[:, None].expand(-1, len(positions), -1, -1, -1)
        return features + per_frame(self.project, between)


class FusionDecoder(nn.Module):
    """Latents of a window of frames back to images, with the key frames' features at every scale."""

    def __init__(
        self,
        out_channels: int,
        channels: int,
        latent_channels: int,
        num_res_blocks: int,
        temporal: str,
        fusion: str,
        flow_depths: Sequence[int],
        search_radius: int | None,
        median: int,
        printed_weights: bool,
    ) -> None:
        super().__init__()
        widths = [channels * 2**depth for depth in range(4)]
        self.stem = nn.Conv2d(latent_channels, widths[3], 3, padding=1)
        self.stem_block = ResidualBlock(widths[3], temporal)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(w, w // 2, 4, stride=2, padding=1) for w in widths[:0:-1])
        self.blocks = nn.ModuleList(
            nn.Sequential(*[ResidualBlock(w, temporal) for _ in range(num_res_blocks)]) for w in widths[2::-1]
        )
        self.fusions = nn.ModuleList()  # depth 3 (deepest) first; empty without fusion
        if fusion != "none":
            for depth in (3, 2, 1, 0):
                path = "addition" if fusion == "addition" else "flow" if depth in flow_depths else "linear"
                self.fusions.append(DualPathFusion(widths[depth], path, search_radius, median, printed_weights))
        self.head = nn.Conv2d(channels, out_channels, 3, padding=1)

    def forward(self, latents: torch.Tensor, key_features: list[torch.Tensor], positions: torch.Tensor) -> torch.Tensor:
        features = self.stem_block(per_frame(self.stem, latents))
        features = self._fuse(0, features, key_features, positions)
        for level, (up, block) in enumerate(zip(self.ups, self.blocks, strict=True), start=1):
            features = block(per_frame(up, features))
            features = self._fuse(level, features, key_features, positions)
        return per_frame(self.head, features)

    def _fuse(self, level: int, features: torch.Tensor, keys: list[torch.Tensor], positions: torch.Tensor):
        return self.fusions[level](features, keys[3 - level], positions) if len(self.fusions) else features


class FusionAutoencoder(nn.Module):
    """Autoencoder of OCT windows, factor 8, with the dual-path fusion decoder.

    The rows of the paper's Table 2 are `(temporal, fusion)`: plain `("none", "none")`, +P3D `("shift", "none")`,
    +dual-path addition `("shift", "addition")`, +dual-path fusion `("shift", "flow")`.

    Args:
        in_channels: image channels.
        channels: features at the image's resolution; they double at each of the three scales below.
        latent_channels: channels of the latent.
        num_res_blocks: residual blocks of the decoder after each upsampling; LVDM has 2.
        temporal: "none", "shift" or "conv", see `ResidualBlock`.
        fusion: "none", "addition" or "flow".
        flow_depths: scales whose key features are warped by flow when `fusion` is "flow"; the others are linear.
            Default 3 and 2 (1/8 and 1/4 of the image); matching at 1/2 costs 16 times more than at 1/4.
        search_radius: window of the flow match in cells, `None` for the whole map.
        median: radius of a median filter on the flow, 0 for none.
        printed_weights: Eq. 8 with the weights as printed, see `flow_interpolation`.

    Raises:
        ValueError: if `temporal` or `fusion` is not one of the above.
    """

    factor = 8

    def __init__(
        self,
        in_channels: int = 1,
        channels: int = 16,
        latent_channels: int = 4,
        num_res_blocks: int = 1,
        temporal: str = "shift",
        fusion: str = "flow",
        flow_depths: Sequence[int] = (3, 2),
        search_radius: int | None = None,
        median: int = 0,
        printed_weights: bool = False,
    ) -> None:
        super().__init__()
        if temporal not in TEMPORAL_MODES or fusion not in FUSION_MODES:
            raise ValueError(
                f"temporal is one of {TEMPORAL_MODES}, fusion one of {FUSION_MODES}, got {temporal!r} and {fusion!r}."
            )
        self.latent_channels = latent_channels
        self.encoder = FrameEncoder(in_channels, channels, latent_channels)
        self.decoder = FusionDecoder(
            in_channels, channels, latent_channels, num_res_blocks, temporal, fusion, flow_depths, search_radius,
            median, printed_weights,
        )  # fmt: skip

    @property
    def last_layer_weight(self) -> torch.Tensor:
        """Where the adversarial weight compares gradients (LVDM)."""
        return self.decoder.head.weight

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        """Posterior mean of each frame, `(B, L, C, H, W)` in [-1, 1] to `(B, L, c, H/8, W/8)`."""
        return self.encoder.posterior(self.encoder.features(frames)[-1])[0]

    def decode(self, latents: torch.Tensor, key_frames: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Frames of a window from their latents and the two key frames.

        Args:
            latents: `(B, L, c, H/8, W/8)`, as `encode` gives them.
            key_frames: the first and the last frame of the window, `(B, 2, C, H, W)` in [-1, 1].
            positions: position of each of the `L` frames in the window, `(L,)`, 0 at the first, 1 at the last; on the
                CPU, where reading them costs nothing.

        Returns:
            `(B, L, C, H, W)` in about [-1, 1].
        """
        key_features = []
        if len(self.decoder.fusions):
            with full_precision(key_frames.device):  # what is matched: bfloat16 would change 4 to 9 % of the matches
                key_features = self.encoder.features(key_frames)
        return self.decoder(latents, key_features, positions)

    def forward(
        self, frames: torch.Tensor, latent_noise_std: float = 0.0, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Reconstruct windows of evenly spaced frames; the first and last are the key frames.

        Args:
            frames: `(B, L, C, H, W)` in [-1, 1], height and width multiples of 8.
            latent_noise_std: Gaussian noise added to the latents of the frames in between, as a share of their
                standard deviation. At inference those latents are generated, not encoded; noise in training keeps
                the decoder from trusting them too far (A12).
            generator: of that noise, on the CPU.

        Returns:
            Reconstruction `(B, L, C, H, W)`, posterior mean and log variance `(B, L, c, H/8, W/8)`.
        """
        features = self.encoder.features(frames)
        mean, log_variance = self.encoder.posterior(features[-1])
        latents = mean
        if latent_noise_std > 0:
            noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype).to(mean.device)
            noise[:, [0, -1]] = 0
            latents = mean + latent_noise_std * mean.detach().std() * noise
        positions = torch.linspace(0, 1, frames.shape[1])
        key_features = [level[:, [0, -1]] for level in features]
        return self.decoder(latents, key_features, positions), mean, log_variance
