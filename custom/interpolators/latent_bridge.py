# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A bridge from the neighbours' latents to the latent between them, instead of from noise: few steps, one will do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from custom.diffusion.bridge import bridge_sample
from custom.interpolators.base import check_choice, check_number, check_steps
from custom.interpolators.latent_midpoint import MOVING_CODEC, Between, LatentMidpoint
from custom.networks.bridge_denoiser import BridgeDenoiser
from custom.networks.parts import build_part
from custom.networks.slice_autoencoder import SliceAutoencoder

KINDS = ("rectified_flow", "brownian_bridge")


class LatentBridge(LatentMidpoint):
    """Walks from a guess, the mean of the neighbours' latents, to the latent of the slice between them.

    "brownian_bridge" starts at the guess itself and takes up noise on the way, which the last step drops;
    "rectified_flow" starts at the guess plus noise and goes straight. Noise is in units of how far from the guess the
    latent is expected to lie there (`custom.networks.latent_prior`). See `custom.diffusion.bridge`. With a motion
    network in its autoencoder the guess is the latent of what that network shows, at any position of a gap.

    Args:
        autoencoder: the slice codec; a module, or what differs from the defaults of `SliceAutoencoder`.
        denoiser: estimates the end of the bridge; a module, or what differs from the defaults of `BridgeDenoiser`.
        kind: "rectified_flow" or "brownian_bridge".
        noise_scale: standard deviation of that noise, in training and in sampling.
        realism: share of it in sampling, from 0, the likeliest slice, for which one step suffices and no seed matters,
            to 1, one draw.
        num_inference_steps: steps from the guess to the end of a draw.
        resampling: see `Interpolator`.
        tile_size: tile in pixels, (height, width); slices up to this size are run whole.
        tile_overlap: share of a tile in common with the next.
        batch_size: gaps, and tiles, that go through the network at once.
        texture: see `LatentMidpoint`.
    """

    def __init__(
        self,
        autoencoder: SliceAutoencoder | Mapping[str, Any] | None = None,
        denoiser: BridgeDenoiser | Mapping[str, Any] | None = None,
        kind: str = "brownian_bridge",
        noise_scale: float = 1.0,
        realism: float = 0.0,
        num_inference_steps: int = 8,
        resampling: str = "linear",
        tile_size: Sequence[int] = (160, 160),
        tile_overlap: float = 0.2,
        batch_size: int = 16,
        texture: float = 0.0,
    ) -> None:
        autoencoder = build_part(autoencoder, SliceAutoencoder, **MOVING_CODEC)
        if len(autoencoder.factors) == 2:  # on CPUs convolutions of this order of memory take a fifth less time
            autoencoder.to(memory_format=torch.channels_last)
        of_codec = {"spatial_dims": len(autoencoder.factors), "latent_channels": autoencoder.latent_channels}
        denoiser = build_part(denoiser, BridgeDenoiser, **of_codec)
        super().__init__(autoencoder, denoiser, resampling, tile_size, tile_overlap, batch_size, texture)
        self.kind, self.noise_scale, self.realism = kind, noise_scale, realism
        self.num_inference_steps = num_inference_steps

    def validate(self) -> None:
        """See `Interpolator.validate`."""
        super().validate()
        check_choice("kind", self.kind, KINDS)
        check_number("noise_scale", self.noise_scale, 0)
        check_number("realism", self.realism, 0, 1)
        check_steps(self.num_inference_steps)

    def bridge_from(
        self, guess: torch.Tensor, variance: torch.Tensor, noise_fn: Callable[[torch.Tensor], torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor | float]:
        """Where the bridge starts, and its sigma from there on, in training and in sampling.

        Args:
            guess: mean of the neighbours' latents, `(B, c, *latent)`.
            variance: of the latent between them, `(B, 1, *latent)`.
            noise_fn: standard normal noise like its argument; only a rectified flow asks for it.
        """
        sigma = self.noise_scale * variance.sqrt()
        return (guess + sigma * noise_fn(guess), 0.0) if self.kind == "rectified_flow" else (guess, sigma)

    def draw(
        self,
        known: Between,
        noise: Callable[[torch.Tensor], torch.Tensor],
        callback: Callable[[int, torch.Tensor], bool | None] | None = None,
    ) -> torch.Tensor:
        """See `LatentMidpoint.draw`; `callback` is that of `custom.diffusion.bridge.bridge_sample`."""

        def quieter(like: torch.Tensor) -> torch.Tensor:
            return self.realism * noise(like) if self.realism else torch.zeros_like(like)

        start, sigma = self.bridge_from(known.guess, known.variance, quieter)

        def estimate_end(x: torch.Tensor, time: float) -> torch.Tensor:
            def on_tile(tile: torch.Tensor, *condition: torch.Tensor) -> torch.Tensor:
                times = torch.full((len(tile),), time, device=tile.device, dtype=tile.dtype)
                return self.denoiser(tile, times, *condition)

            condition = ((part, 1) for part in (known.latents, known.guess, known.variance))
            return self.tiler(on_tile, (x, 1), *condition, out_scale=1)

        steps = self.num_inference_steps if self.realism else 1
        return bridge_sample(estimate_end, start, steps, sigma, quieter, callback)
