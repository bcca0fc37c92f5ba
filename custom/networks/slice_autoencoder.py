# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""CaLID's autoencoder: a convolutional VAE of slices, or of whole cine slices, without attention (notes B6, B14).

The network is MONAI's `AutoencoderKL`, that of latent diffusion (Rombach et al., 2022); here it meets stacks of slices,
and a cine slice may keep its number of phases.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets import AutoencoderKL
from monai.networks.nets.autoencoderkl import AEKLDownsample
from torch import nn

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
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        channels: Sequence[int] = (24, 48, 96),
        latent_channels: int = 3,
        num_res_blocks: int = 1,
        norm_num_groups: int = 8,
        phase_downsampling: bool = True,
    ) -> None:
        super().__init__()
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
        # A posterior that starts as wide as its mean is noise to the decoder, and a small KL weight narrows it slowly.
        nn.init.constant_(self.vae.quant_conv_log_sigma.conv.bias, START_LOG_VARIANCE)

    def forward(
        self, slices: torch.Tensor, latent_noise_std: float = 0.0, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Reconstruct a batch of stacks; for training.

        Args:
            slices: `(B, L, 1, *space)` in [-1, 1], sizes multiples of `factors`.
            latent_noise_std: noise added to the sampled latents, in units of their standard deviation over the batch:
                the decoder will meet generated latents, which are not quite those of the encoder.
            generator: of all noise, on the CPU.

        Returns:
            Reconstruction, posterior mean and log variance: the first as `slices`, the others `(B, L, c, *latent)`.
        """
        count = slices.shape[:2]
        mean, deviation = self.vae.encode(slices.flatten(0, 1))
        # Drawn on the CPU, so that a seed gives the same training on every device.
        z = mean + deviation * torch.randn(mean.shape, generator=generator).to(mean)
        if latent_noise_std > 0:
            scale = latent_noise_std * mean.detach().std()
            z = z + scale * torch.randn(mean.shape, generator=generator).to(mean)
        parts = self.vae.decode(z), mean, 2 * deviation.log()
        return tuple(part.unflatten(0, count) for part in parts)

    def encode(self, slices: torch.Tensor) -> torch.Tensor:
        """Posterior means `(B, L, c, *latent)` of slices `(B, L, 1, *space)` in [-1, 1]."""
        return self.vae.encode(slices.flatten(0, 1))[0].unflatten(0, slices.shape[:2])

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Slices `(B, L, 1, *space)`, about [-1, 1], of latents `(B, L, c, *latent)`."""
        return self.vae.decode(latents.flatten(0, 1)).unflatten(0, latents.shape[:2])

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
