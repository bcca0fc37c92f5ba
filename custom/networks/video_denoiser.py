# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The masked latent video denoiser of CardioInterp: a U-Net over frames with attention in space and in time.

The plan is LVDM's: 2D residual blocks frame by frame, all mixing of frames in attention. Residual blocks, spatial
attention and resampling are MONAI's; what MONAI lacks is attention over frames (`custom.networks.video_blocks`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from monai.networks.nets.diffusion_model_unet import (
    DiffusionUnetDownsample,
    WrappedUpsample,
    get_timestep_embedding,
    zero_module,
)
from torch import nn

from custom.diffusion.gaussian_prior import gaussian_noise_estimate, interpolation_weights
from custom.diffusion.schedules import alphas_cumprod, betas
from custom.networks.latent_prior import LEAST_VARIANCE
from custom.networks.video_blocks import VideoLevel

_ENDS = (0, 0, 0, 0, 0, 0, 1, 1)
"""`F.pad` of the frames between key frames to whole windows."""


class MaskedVideoDenoiser(nn.Module):
    """Predicts the noise in the latents of a window of frames, some of which are known (CardioInterp Eq. 3 to 6).

    Args:
        latent_channels: channels of a latent.
        channels: features of each scale; the latent is halved between scales.
        num_res_blocks: residual blocks per scale.
        spatial_attention: for each scale, whether places of one frame attend to each other.
        temporal_attention: for each scale, whether frames attend to each other.
        num_head_channels: channels of one attention head.
        norm_num_groups: groups of the group norms.
        prior: "linear" gives the network the closed-form noise estimate of linearly interpolated latents to start
            from (`custom.diffusion.gaussian_prior`), "motion" that of a motion network's guess, which the caller gives;
            "none" is the paper's plain network.
        schedule: what differs from LVDM's noise schedule, arguments of `custom.diffusion.schedules.betas`.

    Attributes:
        alphas_cumprod: the noise schedule, `(T,)` float32.
        divisor: what height and width of a latent must be multiples of.

    Raises:
        ValueError: if `prior` is none of the three.
    """

    def __init__(
        self,
        latent_channels: int = 4,
        channels: Sequence[int] = (32, 64, 96),
        num_res_blocks: int = 2,
        spatial_attention: Sequence[bool] = (False, True, True),
        temporal_attention: Sequence[bool] = (True, True, True),
        num_head_channels: int = 32,
        norm_num_groups: int = 16,
        prior: str = "linear",
        schedule: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if prior not in ("linear", "motion", "none"):
            raise ValueError(f"prior is 'linear', 'motion' or 'none', got {prior!r}.")
        self.prior = prior
        self.embedding_channels = channels[0]
        self.divisor = 2 ** (len(channels) - 1)
        self.schedule = schedule or {}
        alphas = alphas_cumprod(betas(**self.schedule))
        self.register_buffer("alphas_cumprod", alphas.float(), persistent=False)
        self._alpha_bars = tuple(alphas.float().tolist())
        # Variance of in-between latents about the linear guess; measured on training data before this network trains.
        self.register_buffer("prior_variance", torch.tensor(0.25))
        if prior == "motion":  # that variance over the square of the error that the motion network expects
            self.register_buffer("prior_share", torch.tensor(0.25))
        width = 4 * channels[0]
        self.embed = nn.Sequential(nn.Linear(channels[0], width), nn.SiLU(), nn.Linear(width, width))
        self.stem = nn.Conv2d(latent_channels + 1, channels[0], 3, padding=1)

        def level(in_channels: int, depth: int) -> VideoLevel:
            return VideoLevel(
                in_channels, channels[depth], width, norm_num_groups, num_head_channels,
                spatial_attention[depth], temporal_attention[depth],
            )  # fmt: skip

        self.down, self.downsamples, skips = nn.ModuleList(), nn.ModuleList(), [channels[0]]
        for depth, count in enumerate(channels):
            for _ in range(num_res_blocks):
                self.down.append(level(skips[-1], depth))
                skips.append(count)
            if depth < len(channels) - 1:
                self.downsamples.append(DiffusionUnetDownsample(2, count, use_conv=True))
                skips.append(count)
        deepest = len(channels) - 1
        self.middle = nn.ModuleList([level(channels[-1], deepest), level(channels[-1], deepest)])
        self.up, self.upsamples, current = nn.ModuleList(), nn.ModuleList(), channels[-1]
        for depth in range(deepest, -1, -1):
            for _ in range(num_res_blocks + 1):
                self.up.append(level(current + skips.pop(), depth))
                current = channels[depth]
            if depth > 0:
                self.upsamples.append(
                    WrappedUpsample(
                        spatial_dims=2,
                        mode="nontrainable",
                        in_channels=current,
                        out_channels=current,
                        interp_mode="nearest",
                        scale_factor=2.0,
                        align_corners=None,
                        post_conv=nn.Conv2d(current, current, 3, padding=1),
                    )  # fmt: skip
                )
        self.blocks_per_scale = num_res_blocks
        self.head = nn.Sequential(
            nn.GroupNorm(norm_num_groups, current, eps=1e-6), nn.SiLU(),
            zero_module(nn.Conv2d(current, latent_channels, 3, padding=1)),
        )  # fmt: skip

    @property
    def alpha_bars(self) -> tuple[float, ...]:
        """The noise schedule as numbers, for samplers: no device has to be asked for them."""
        return self._alpha_bars

    def forward(
        self,
        z: torch.Tensor,
        mask: torch.Tensor,
        timesteps: torch.Tensor,
        positions: torch.Tensor | None = None,
        expected: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Noise in each frame of `z`.

        Args:
            z: noisy latents, clean where `mask` is 1, `(B, L, c, h, w)`; h and w multiples of `divisor`.
            mask: 1 for known frames, `(B, L)`; all zero is the unconditional case.
            timesteps: `(B,)`, in 0 to T - 1.
            positions: ascending frame positions in steps of the training window, `(L,)`; default 0, 1, 2, ...
            expected: with prior "motion", latents expected of the frames between and the square of their expected
                error, `(B, L - 2, c + 1, h, w)`. Where nothing is known they are not looked at.

        Returns:
            Predicted noise, `(B, L, c, h, w)`; meaningless at known frames.
        """
        if positions is None:
            positions = torch.arange(z.shape[1], device=z.device)
        positions = positions.to(z.device, torch.float32)
        output = self._network(z, mask, timesteps, positions)
        if self.prior == "none":
            return output
        alpha_bar = self.alphas_cumprod[timesteps].view(-1, 1, 1, 1, 1)
        known = mask.any(1).view(-1, 1, 1, 1, 1)
        if self.prior == "motion":
            guess = torch.where(known, F.pad(expected[:, :, :-1], _ENDS), 0.0)
            variance = F.pad(self.variance(expected[:, :, -1:]), _ENDS, value=1.0)
        else:
            weights = interpolation_weights(mask, positions)
            guess, variance = torch.einsum("bij,bjchw->bichw", weights.to(z.dtype), z), self.prior_variance
        # Nothing known: latents are normalised, so zero with unit variance is the guess.
        variance = torch.where(known, variance, 1.0)
        mean, std = gaussian_noise_estimate(z, guess, variance, alpha_bar)
        return mean + std * output

    def variance(self, square: torch.Tensor) -> torch.Tensor:
        """Of latents about the motion network's guess where the square of its expected error is this, any shape."""
        return (self.prior_share * square).clamp_min(LEAST_VARIANCE)

    def loss_weight(
        self, timesteps: torch.Tensor, mask: torch.Tensor, expected: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Weight that turns the squared error of the noise into that of the network's own unit-variance output.

        Plain noise error weighs high noise levels by next to nothing, because there even the prior knows the noise;
        sampling in few steps lives on exactly those levels. Without a prior the weight is 1 (Eq. 6). Within a window
        that the prior knows place by place it weighs by variance, so that quiet places do not count as much.

        Args:
            timesteps: `(B,)`.
            mask: `(B, L)`.
            expected: see `forward`.

        Returns:
            `(B, 1, 1, 1, 1)`, or with prior "motion" `(B, L, 1, h, w)`.
        """
        shape = (-1, 1, 1, 1, 1)
        if self.prior == "none":
            return torch.ones_like(timesteps, dtype=torch.float32).view(shape)
        alpha_bar, known = self.alphas_cumprod[timesteps].view(shape), mask.any(1).view(shape)
        variance = scale = self.prior_variance
        if self.prior == "motion":
            variance = F.pad(self.variance(expected[:, :, -1:]), _ENDS, value=1.0)
            scale = self.variance(expected[:, :, -1:]).mean(dim=(1, 2, 3, 4), keepdim=True)
        variance, scale = (torch.where(known, part, 1.0) for part in (variance, scale))
        return (alpha_bar * variance + 1 - alpha_bar) / (alpha_bar * scale)

    def _network(self, z, mask, timesteps, positions):
        batch, length, _, height, width = z.shape
        flags = mask.to(z).view(batch, length, 1, 1, 1).expand(-1, -1, 1, height, width)
        embedding = self.embed(get_timestep_embedding(timesteps, self.embedding_channels).to(z.dtype))
        embedding = embedding.repeat_interleave(length, dim=0)

        def per_frame(module, frames):
            return module(frames.flatten(0, 1)).unflatten(0, (batch, length))

        h = per_frame(self.stem, torch.cat([z, flags], dim=2))
        skips = [h]
        for index, layer in enumerate(self.down):
            h = layer(h, embedding, positions)
            skips.append(h)
            scale, last = divmod(index + 1, self.blocks_per_scale)
            if last == 0 and scale <= len(self.downsamples):
                h = per_frame(self.downsamples[scale - 1], h)
                skips.append(h)
        for layer in self.middle:
            h = layer(h, embedding, positions)
        for index, layer in enumerate(self.up):
            h = layer(torch.cat([h, skips.pop()], dim=2), embedding, positions)
            scale, last = divmod(index + 1, self.blocks_per_scale + 1)
            if last == 0 and scale <= len(self.upsamples):
                h = per_frame(self.upsamples[scale - 1], h)
        return per_frame(self.head, h)
