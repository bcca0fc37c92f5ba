# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""CaLID's conditional denoiser: epsilon_theta, tau_theta1 and tau_theta2 in one module, trained together (section III).

epsilon_theta is MONAI's `DiffusionModelUNet` and tau_theta2 its `ControlNet`; tau_theta1 is ours. Where the paper is
silent the notes' table B says what is done (B1 to B5, B7, B15), and the options below are its alternatives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from monai.networks.nets import ControlNet, DiffusionModelUNet
from monai.networks.nets.diffusion_model_unet import zero_module
from torch import nn

from custom.diffusion.gaussian_prior import gaussian_noise_estimate
from custom.diffusion.schedules import alphas_cumprod, betas
from custom.networks.latent_prior import LatentPrior


class Pair(NamedTuple):
    """What the denoiser knows of the two neighbours; all of it at latent resolution, `(B, channels, *latent)`.

    Attributes:
        embedding: z_c, the output of tau_theta1.
        guess: expected latent between the neighbours: the mean of theirs, or that of the motion network's guess.
        variance: expected squared distance from that guess, one channel.
    """

    embedding: torch.Tensor
    guess: torch.Tensor
    variance: torch.Tensor


class _ResidualBlock(nn.Module):
    """Norm, SiLU, convolution, twice; the second convolution may halve the size."""

    def __init__(self, spatial_dims: int, in_channels: int, channels: int, stride, groups: int) -> None:
        super().__init__()
        conv = nn.Conv2d if spatial_dims == 2 else nn.Conv3d
        self.branch = nn.Sequential(
            nn.GroupNorm(groups, in_channels, eps=1e-6), nn.SiLU(), conv(in_channels, channels, 3, padding=1),
            nn.GroupNorm(groups, channels, eps=1e-6), nn.SiLU(), conv(channels, channels, 3, stride=stride, padding=1),
        )  # fmt: skip
        self.identity = conv(in_channels, channels, 1, stride=stride)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.identity(features) + self.branch(features)


class PairEncoder(nn.Module):
    """tau_theta1: the two neighbours to the conditional embedding z_c, by convolution alone.

    Args:
        spatial_dims: 2 or 3.
        in_channels: of both neighbours together.
        channels: features of each scale; one scale keeps the size.
        out_channels: of z_c.
        strides: of each of the steps between scales, one number per spatial axis.
        norm_num_groups: groups of the group norms.
        zero_end: whether the last convolution starts at zero, as the paper prints.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        channels: Sequence[int],
        out_channels: int,
        strides: Sequence[Sequence[int]],
        norm_num_groups: int,
        zero_end: bool = True,
    ) -> None:
        super().__init__()
        conv = nn.Conv2d if spatial_dims == 2 else nn.Conv3d
        self.stem = conv(in_channels, channels[0], 3, padding=1)
        steps = zip(channels[:-1], channels[1:], strides, strict=True)
        self.blocks = nn.ModuleList(_ResidualBlock(spatial_dims, a, b, s, norm_num_groups) for a, b, s in steps)
        self.norm = nn.GroupNorm(norm_num_groups, channels[-1], eps=1e-6)
        end = conv(channels[-1], out_channels, 3, padding=1)
        self.end = zero_module(end) if zero_end else end

    def forward(self, neighbours: torch.Tensor) -> torch.Tensor:
        """`(B, in_channels, *space)` to `(B, out_channels, *latent)`."""
        features = self.stem(neighbours)
        for block in self.blocks:
            features = block(features)
        return self.end(F.silu(self.norm(features)))


class NeighbourDenoiser(LatentPrior):
    """Predicts the noise in the latent of a slice from the noisy latent and the slice's two neighbours (Eq. 5).

    Args:
        spatial_dims: 2 for slices, 3 for cine slices.
        latent_channels: channels of a latent.
        channels: features of each scale of epsilon_theta and of tau_theta2.
        num_res_blocks: residual blocks per scale.
        attention: for each scale of epsilon_theta, whether places attend to each other.
        condition_attention: the same for tau_theta2; the paper has it at each scale.
        num_head_channels: channels of one attention head.
        norm_num_groups: groups of the group norms.
        pair_channels: features of each scale of tau_theta1.
        latent_factors: size of a slice over that of its latent, one number per spatial axis, powers of two.
        condition_space: "image" gives tau_theta1 the neighbours themselves; "latent" their latents (B1).
        join: "add" adds z_c behind the first convolution of tau_theta2; "concat" puts it beside z_t (B2).
        zero_convolutions: "end" starts only the last convolution of tau_theta1 at zero; "controlnet" those at the
            injections as well; "none" neither (B4).
        prior: "linear" lets the network start from the closed-form noise estimate of the neighbours' mean latent
            (`custom.diffusion.gaussian_prior`), "motion" from that of the latent of a motion network's guess, which the
            caller gives; "none" is the paper's plain network.
        schedule: what differs from the noise schedule of CaLID, arguments of `custom.diffusion.schedules.betas`.

    Attributes:
        alphas_cumprod: the noise schedule, `(T,)` float32.
        divisor: what the sizes of a latent must be multiples of.

    Raises:
        ValueError: an option that is none of the named ones.
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        latent_channels: int = 3,
        channels: Sequence[int] = (32, 64, 96),
        num_res_blocks: int = 2,
        attention: Sequence[bool] = (False, True, True),
        condition_attention: Sequence[bool] = (True, True, True),
        num_head_channels: int = 32,
        norm_num_groups: int = 16,
        pair_channels: Sequence[int] = (16, 32, 64),
        latent_factors: Sequence[int] = (4, 4),
        condition_space: str = "image",
        join: str = "add",
        zero_convolutions: str = "end",
        prior: str = "linear",
        schedule: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        for name, value, known in (
            ("condition_space", condition_space, ("image", "latent")),
            ("join", join, ("add", "concat")),
            ("zero_convolutions", zero_convolutions, ("end", "controlnet", "none")),
            ("prior", prior, ("linear", "motion", "none")),
        ):  # fmt: skip
            if value not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, got {value!r}.")
        self.condition_space, self.join, self.prior = condition_space, join, prior
        self.divisor = 2 ** (len(channels) - 1)
        self.schedule = {"beta_end": 0.0195, **(schedule or {})}
        alphas = alphas_cumprod(betas(**self.schedule))
        self.register_buffer("alphas_cumprod", alphas.float(), persistent=False)
        self._alpha_bars = tuple(alphas.float().tolist())

        width = channels[0]
        common = {
            "spatial_dims": spatial_dims,
            "channels": channels,
            "num_res_blocks": (num_res_blocks,) * len(channels),
            "num_head_channels": num_head_channels,
            "norm_num_groups": norm_num_groups,
            "use_flash_attention": True,
        }
        self.unet = DiffusionModelUNet(
            in_channels=latent_channels, out_channels=latent_channels, attention_levels=attention, **common
        )
        self.control = ControlNet(
            in_channels=latent_channels + (width if join == "concat" else 0),
            attention_levels=condition_attention,
            **common,
        )
        # tau_theta1 runs once for all timesteps, so it stands beside the ControlNet and not in it.
        self.control.controlnet_cond_embedding = nn.Identity()
        if zero_convolutions != "controlnet":
            for injection in (*self.control.controlnet_down_blocks, self.control.controlnet_mid_block):
                for convolution in (m for m in injection.modules() if isinstance(m, nn.modules.conv._ConvNd)):
                    convolution.reset_parameters()
        from_latents = condition_space == "latent"
        steps = len(pair_channels) - 1
        strides = [
            tuple(2 if not from_latents and f >= 2**k else 1 for f in latent_factors) for k in range(1, steps + 1)
        ]
        self.pair_encoder = PairEncoder(
            spatial_dims,
            2 * (latent_channels if from_latents else 1),
            pair_channels,
            width,
            strides,
            min(norm_num_groups, pair_channels[0] // 2),
            zero_convolutions != "none",
        )

    @property
    def alpha_bars(self) -> tuple[float, ...]:
        """The noise schedule as numbers, for samplers: no device has to be asked for them."""
        return self._alpha_bars

    def forward(
        self,
        z: torch.Tensor,
        timesteps: torch.Tensor,
        neighbours: torch.Tensor,
        guess: torch.Tensor,
        variance: torch.Tensor,
    ) -> torch.Tensor:
        """Noise in `z`; for training. Sampling calls the two parts below, the first of them once.

        Args:
            z: noisy latents, `(B, c, *latent)`, sizes multiples of `divisor`.
            timesteps: `(B,)`, in 0 to T - 1.
            neighbours: what the condition is read from, see `embed_pair`.
            guess: expected latent, shape of `z`.
            variance: expected squared distance from it, `(B, 1, *latent)`.

        Returns:
            Predicted noise, shape of `z`.
        """
        return self.estimate(z, timesteps, Pair(self.embed_pair(neighbours), guess, variance))

    def embed_pair(self, neighbours: torch.Tensor) -> torch.Tensor:
        """z_c of the slices on both sides, `(B, 2, *space)` in [-1, 1], or of their latents, `(B, 2, c, *latent)`.

        `condition_space` says which of the two.
        """
        return self.pair_encoder(neighbours.flatten(1, 2) if self.condition_space == "latent" else neighbours)

    def estimate(self, z: torch.Tensor, timesteps: torch.Tensor, pair: Pair) -> torch.Tensor:
        """Noise in `z` (see `forward`) given what is known of its neighbours."""
        if self.join == "concat":
            entry, added = torch.cat([z, pair.embedding.to(z)], dim=1), z.new_zeros(1)
        else:
            entry, added = z, pair.embedding
        down, middle = self.control(entry, timesteps, added)
        output = self.unet(
            z, timesteps, down_block_additional_residuals=tuple(down), mid_block_additional_residual=middle
        )
        if self.prior == "none":
            return output
        alpha_bar = self.alphas_cumprod[timesteps].view(-1, *(1,) * (z.ndim - 1))
        mean, deviation = gaussian_noise_estimate(z, pair.guess, pair.variance, alpha_bar)
        return mean + deviation * output

    def loss_weight(self, timesteps: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
        """Weight of the squared noise error at each place, `(B, 1, *latent)`, for timesteps `(B,)` and a variance.

        It turns the error of the noise into that of the network's own output, which has unit variance, so that high
        noise levels, where the prior knows the noise and few-step sampling lives, count as much as low ones; and
        within a slice it weighs by variance, so that quiet places do not count as much as the heart does. Without a
        prior the weight is 1 (Eq. 5).
        """
        if self.prior == "none":
            return torch.ones_like(variance)
        alpha_bar = self.alphas_cumprod[timesteps].view(-1, *(1,) * (variance.ndim - 1))
        scale = variance.mean(dim=tuple(range(1, variance.ndim)), keepdim=True)
        return (alpha_bar * variance + 1 - alpha_bar) / (alpha_bar * scale)
