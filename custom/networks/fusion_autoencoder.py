# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The 2D autoencoder of CardioInterp with its dual-path fusion decoder (paper section 2; A5 to A12 of the notes).

Encoder and decoder follow LVDM's video autoencoder with 2D kernels, factor 8 in height and width. The decoder sees
all frames of a window: temporal shift couples them, and the key frames' encoder features, interpolated to every
frame's position, are added at each scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from custom.networks.fusion_blocks import FrameEncoder
from custom.networks.fusion_decoder import FusionDecoder
from custom.networks.guess_latents import between, draw_shares
from custom.networks.motion import MotionNetwork
from custom.networks.motion_view import look
from custom.networks.parts import build_part
from custom.networks.precision import full_precision

TEMPORAL_MODES = ("none", "shift", "conv")
FUSION_MODES = ("none", "addition", "flow", "motion")
UPSAMPLINGS = ("transposed", "resize")


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
        fusion: "none", "addition", "flow" or "motion": key features moved by the motion network at every scale, and a
            head that corrects its guess.
        flow_depths: scales whose key features are warped by flow when `fusion` is "flow"; the others are linear.
            Default 3 and 2 (1/8 and 1/4 of the image); matching at 1/2 costs 16 times more than at 1/4.
        search_radius: window of the flow match in cells, `None` for the whole map.
        median: radius of a median filter on the flow, 0 for none.
        printed_weights: Eq. 8 with the weights as printed, see `flow_interpolation`.
        motion: a motion network, or the arguments of one that differ from its defaults; it is kept as it is and not
            trained here. None (the paper) has none.
        upsampling: "transposed" convolutions, as LVDM's, or "resize": nearest neighbours and a convolution.

    Raises:
        ValueError: if `temporal`, `fusion` or `upsampling` is not one of the above, or "motion" without its network.
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
        motion: MotionNetwork | Mapping[str, Any] | None = None,
        upsampling: str = "transposed",
    ) -> None:
        super().__init__()
        if upsampling not in UPSAMPLINGS or (fusion == "motion" and motion is None):
            raise ValueError(f"upsampling is one of {UPSAMPLINGS}, got {upsampling!r}; fusion 'motion' needs motion")
        if temporal not in TEMPORAL_MODES or fusion not in FUSION_MODES:
            raise ValueError(
                f"temporal is one of {TEMPORAL_MODES}, fusion one of {FUSION_MODES}, got {temporal!r} and {fusion!r}."
            )
        self.latent_channels = latent_channels
        self.encoder = FrameEncoder(in_channels, channels, latent_channels)
        self.decoder = FusionDecoder(
            in_channels, channels, latent_channels, num_res_blocks, temporal, fusion, flow_depths, search_radius,
            median, printed_weights, upsampling,
        )  # fmt: skip
        self.motion = None if motion is None else build_part(motion, MotionNetwork).requires_grad_(False)

    @property
    def last_layer_weight(self) -> torch.Tensor:
        """Where the adversarial weight compares gradients (LVDM)."""
        return self.decoder.head.weight

    @property
    def knows_ends(self) -> bool:
        """Whether a window's first and last frame are the decoder's input only, and not its output."""
        return self.decoder.image is not None

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        """Posterior mean of each frame, `(B, L, C, H, W)` in [-1, 1] to `(B, L, c, H/8, W/8)`."""
        return self.encoder.posterior(self.encoder.features(frames)[-1])[0]

    def decode(
        self,
        latents: torch.Tensor,
        key_frames: torch.Tensor,
        positions: torch.Tensor,
        views: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Frames of a window from their latents and the two key frames.

        Args:
            latents: `(B, L, c, H/8, W/8)`, as `encode` gives them.
            key_frames: the first and the last frame of the window, `(B, 2, C, H, W)` in [-1, 1].
            positions: position of each of the `L` frames in the window, `(L,)`, 0 at the first, 1 at the last; on the
                CPU, where reading them costs nothing.
            views: with fusion by motion, packed views of the frames between, `(B, L - 2, 9, H, W)`.

        Returns:
            `(B, L, C, H, W)` in about [-1, 1].
        """
        key_features = []
        if len(self.decoder.fusions):
            with full_precision(key_frames.device):  # what is matched: bfloat16 would change 4 to 9 % of the matches
                key_features = self.encoder.features(key_frames)
        decoded = self.decoder(latents, key_features, positions, views)
        return torch.cat([key_frames[:, :1], decoded, key_frames[:, 1:]], dim=1) if self.knows_ends else decoded

    def forward(
        self, frames: torch.Tensor, latent_noise_std: float = 0.0, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, ...]:
        """Reconstruct windows of evenly spaced frames; the first and last are the key frames.

        Args:
            frames: `(B, L, C, H, W)` in [-1, 1], height and width multiples of 8.
            latent_noise_std: Gaussian noise added to the latents of the frames in between, as a share of their
                standard deviation. At inference those latents are generated, not encoded; noise in training keeps
                the decoder from trusting them too far (A12).
            generator: of that noise, on the CPU.

        Returns:
            Reconstruction `(B, L, C, H, W)`, posterior mean and log variance `(B, L, c, H/8, W/8)`. If it `knows_ends`,
            the reconstruction is without the key frames, and a fourth says what it should be: see
            `custom.networks.guess_latents`.
        """
        length = frames.shape[1]
        positions, views, targets = torch.linspace(0, 1, length), None, ()
        if self.knows_ends:
            views = self._look(frames, positions)
            frames = torch.cat([frames, 2 * views[:, :, :1] - 1], dim=1)
        features = self.encoder.features(frames)
        mean, log_variance = self.encoder.posterior(features[-1])
        guess, mean, log_variance = mean[:, length:], mean[:, :length], log_variance[:, :length]
        latents = mean
        if latent_noise_std > 0:
            noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype).to(mean.device)
            noise[:, [0, -1]] = 0
            latents = mean + latent_noise_std * mean.detach().std() * noise
        if views is not None:
            shares = draw_shares(guess.shape[0] * guess.shape[1], generator)
            pairs = (guess, latents[:, 1:-1]), (frames[:, length:], frames[:, 1 : length - 1])
            inner, target = (
                between(start.flatten(0, 1), end.flatten(0, 1), shares).unflatten(0, guess.shape[:2])
                for start, end in pairs
            )
            latents, targets = torch.cat([latents[:, :1], inner, latents[:, -1:]], dim=1), (target,)
        key_features = [level[:, [0, length - 1]] for level in features]
        return self.decoder(latents, key_features, positions, views), mean, log_variance, *targets

    def _look(self, frames: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Packed views `(B, L - 2, 9, H, W)` of the frames between the ends of windows `(B, L, 1, H, W)`."""
        inner = len(positions) - 2
        known = ((frames[:, [0, -1], 0] + 1) / 2).repeat_interleave(inner, dim=0)
        places = positions[1:-1].to(frames).repeat(len(frames))
        return look(self.motion, known, places).packed().unflatten(0, (len(frames), inner))
