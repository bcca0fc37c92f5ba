# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""CaLID's autoencoder: a convolutional VAE of slices, or of whole cine slices, without attention (notes B6, B14).

The network is MONAI's `AutoencoderKL`, that of latent diffusion (Rombach et al., 2022); here it meets stacks of slices,
and a cine slice may keep its number of phases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.networks.nets import AutoencoderKL
from monai.networks.nets.autoencoderkl import AEKLDownsample
from torch import nn

from custom.networks.guess_latents import between, draw_shares
from custom.networks.motion import MotionNetwork
from custom.networks.motion_view import View, look
from custom.networks.parts import build_part
from custom.networks.slice_fusion import SliceFusion, encoder_features

#: Log variance of the untrained posterior: a standard deviation of 0.05.
START_LOG_VARIANCE = -6.0


class SliceAutoencoder(nn.Module):
    """Each slice of a stack to a latent of 1/f of its size and back.

    Args:
        spatial_dims: 2 for slices `(H, W)`, 3 for cine slices `(T, H, W)`.
        channels: features of each scale; f is 2 to the power of one less than their number (f = 4 for three).
        latent_channels: channels of a latent (3, as in kl-f4).
        num_res_blocks: residual blocks per scale.
        norm_num_groups: groups of the group norms.
        phase_downsampling: for cine slices, whether phases are downsampled by f as well. True is the paper's "time as
            an additional spatial dimension"; False keeps a latent for every phase (B14).
        motion: a motion network, or the arguments of one that differ from its defaults; it is kept as it is and not
            trained here. None (the paper) has none.
        decoder: "plain" decodes a slice from its latent alone (the paper); "fusion" corrects the guess of the motion
            network by the latent and both neighbours' features, see `custom.networks.slice_fusion`.

    Raises:
        ValueError: an unknown decoder, or "fusion" without a motion network.
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        channels: Sequence[int] = (24, 48, 96),
        latent_channels: int = 3,
        num_res_blocks: int = 1,
        norm_num_groups: int = 8,
        phase_downsampling: bool = True,
        motion: MotionNetwork | Mapping[str, Any] | None = None,
        decoder: str = "plain",
    ) -> None:
        super().__init__()
        if decoder not in ("plain", "fusion") or (decoder == "fusion" and motion is None):
            raise ValueError(f"decoder is 'plain', or with a motion network 'fusion', got {decoder!r}")
        self.latent_channels = latent_channels
        self.factor = 2 ** (len(channels) - 1)
        keeps_phases = spatial_dims == 3 and not phase_downsampling
        self.factors = (self.factor,) * spatial_dims if not keeps_phases else (1, self.factor, self.factor)
        self.vae = AutoencoderKL(
            spatial_dims=spatial_dims,
            num_res_blocks=(num_res_blocks,) * len(channels),
            channels=channels,
            attention_levels=(False,) * len(channels),
            latent_channels=latent_channels,
            norm_num_groups=norm_num_groups,
            with_encoder_nonlocal_attn=False,
            with_decoder_nonlocal_attn=False,
        )
        if keeps_phases:
            _keep_phases(self.vae)
        self.motion = None if motion is None else build_part(motion, MotionNetwork).requires_grad_(False)
        self.fusion = None if decoder == "plain" else SliceFusion(spatial_dims, tuple(channels))
        if self.fusion is not None:
            nn.init.zeros_(self.last_layer_weight)
            nn.init.zeros_(self.vae.decoder.blocks[-1].conv.bias)
        # A posterior that starts as wide as its mean is noise to the decoder, and a small KL weight narrows it slowly.
        nn.init.constant_(self.vae.quant_conv_log_sigma.conv.bias, START_LOG_VARIANCE)

    @property
    def knows_ends(self) -> bool:
        """Whether a stack's first and last slice are its decoder's input, and not its output."""
        return self.fusion is not None

    def forward(
        self,
        slices: torch.Tensor,
        latent_noise_std: float = 0.0,
        generator: torch.Generator | None = None,
        positions: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """Reconstruct a batch of stacks; for training.

        Args:
            slices: `(B, L, 1, *space)` in [-1, 1], sizes multiples of `factors`.
            latent_noise_std: noise added to the sampled latents, in units of their standard deviation over the batch:
                the decoder will meet generated latents, which are not quite those of the encoder.
            generator: of all noise, on the CPU.
            positions: of the slices from 0 to 1, `(B, L)`; evenly spaced by default.

        Returns:
            Reconstruction as `slices`, posterior mean and log variance `(B, L, c, *latent)`. If it `knows_ends`, the
            reconstruction is without the first and the last of each stack, and a fourth says what it should be: see
            `custom.networks.guess_latents`.
        """
        if self.fusion is None:
            mean, log_variance = self._posterior(encoder_features(self.vae, slices.flatten(0, 1))[1])
            z = self._noisy(mean, log_variance, latent_noise_std, generator)
            parts = self.vae.decode(z), mean, log_variance
            return tuple(part.unflatten(0, slices.shape[:2]) for part in parts)
        (batch, length), inner = slices.shape[:2], slices.shape[1] - 2
        if positions is None:
            positions = torch.linspace(0, 1, length).expand(batch, -1)
        places = positions[:, 1:-1].flatten().to(slices)
        known = slices[:, [0, -1], 0]
        view = look(self.motion, ((known + 1) / 2).repeat_interleave(inner, dim=0), places)
        guess = (2 * view.image - 1).unflatten(0, (batch, inner))
        # Of the end slices and of those between, and of the guesses: one pass.
        levels, deepest = encoder_features(self.vae, torch.cat([slices, guess], dim=1).flatten(0, 1))
        mean, log_variance = (part.unflatten(0, (batch, -1)) for part in self._posterior(deepest))
        truth, spread, start = mean[:, 1 : 1 + inner], log_variance[:, 1 : 1 + inner], mean[:, length:]
        z = self._noisy(truth.flatten(0, 1), spread.flatten(0, 1), latent_noise_std, generator)
        shares = draw_shares(batch * inner, generator)
        z = between(start.flatten(0, 1), z, shares)
        target = between(guess.flatten(0, 1), slices[:, 1:-1].flatten(0, 1), shares).unflatten(0, (batch, inner))
        features = [
            level.unflatten(0, (batch, -1))[:, [0, length - 1]].repeat_interleave(inner, dim=0) for level in levels
        ]
        made = self.fusion.decode(self.vae, z, features, view).unflatten(0, (batch, inner))
        return made, mean[:, :length], log_variance[:, :length], target

    def encode(self, slices: torch.Tensor) -> torch.Tensor:
        """Posterior means `(B, L, c, *latent)` of slices `(B, L, 1, *space)` in [-1, 1]."""
        return self.vae.encode(slices.flatten(0, 1))[0].unflatten(0, slices.shape[:2])

    def decode(
        self, latents: torch.Tensor, known: torch.Tensor | None = None, views: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Slices of latents.

        Args:
            latents: `(B, L, c, *latent)`.
            known: for the fusion decoder the slices before and after, `(B, 2, *space)` in [-1, 1].
            views: for the fusion decoder, packed views of the asked positions, `(B, L, 9, *space)`.

        Returns:
            `(B, L, 1, *space)`, about [-1, 1].
        """
        count = latents.shape[:2]
        if self.fusion is None:
            return self.vae.decode(latents.flatten(0, 1)).unflatten(0, count)
        levels = encoder_features(self.vae, known.flatten(0, 1).unsqueeze(1))[0]
        features = [level.unflatten(0, (-1, 2)).repeat_interleave(count[1], dim=0) for level in levels]
        made = self.fusion.decode(self.vae, latents.flatten(0, 1), features, View.of(views.flatten(0, 1)))
        return made.unflatten(0, count)

    def _posterior(self, deepest: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance, as `AutoencoderKL.encode` has them."""
        return self.vae.quant_conv_mu(deepest), self.vae.quant_conv_log_sigma(deepest).clamp(-30, 20)

    @staticmethod
    def _noisy(
        mean: torch.Tensor, log_variance: torch.Tensor, noise_std: float, generator: torch.Generator | None
    ) -> torch.Tensor:
        """A draw of the posterior, with more noise if asked for."""
        # Drawn on the CPU, so that a seed gives the same training on every device.
        z = mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=generator).to(mean)
        if noise_std > 0:
            scale = noise_std * mean.detach().std()
            z = z + scale * torch.randn(mean.shape, generator=generator).to(mean)
        return z

    @property
    def last_layer_weight(self) -> nn.Parameter:
        """Weight of the decoder's last convolution, where the adversarial loss is balanced."""
        return self.vae.decoder.blocks[-1].conv.weight


def _keep_phases(vae: AutoencoderKL) -> None:
    """Let the scales of a 3D autoencoder differ in height and width only."""
    for module in vae.modules():
        if isinstance(module, AEKLDownsample):
            module.pad = nn.ConstantPad3d((0, 1, 0, 1, 1, 1), 0.0)  # MONAI's asymmetric pad, phases on both sides
            module.conv.conv.stride = (1, 2, 2)
        elif isinstance(module, nn.Upsample):
            module.scale_factor = (1.0, 2.0, 2.0)
