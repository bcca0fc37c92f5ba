# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""CardioInterp: frames between two OCT B-scans by masked latent video diffusion and a dual-path fusion decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from custom.diffusion.ddim import add_noise, ddim_sample, to_epsilon
from custom.diffusion.guidance import guide
from custom.diffusion.schedules import timestep_pairs
from custom.interpolators.base import Interpolator, central_pair, check_steps
from custom.networks.fusion_autoencoder import FusionAutoencoder
from custom.networks.parts import build_part
from custom.networks.tiling import FrameTiler
from custom.networks.video_denoiser import MaskedVideoDenoiser


class CardioInterp(Interpolator):
    """All that CardioInterp needs in one module; its state dict is the bundle's `models/model.pt`.

    Frames of any height and width are padded to whole latent cells and go through the networks in overlapping tiles.
    All tiles share one field of noise and one denoising walk: at every step the tiles' noise estimates are blended
    before the next step, so the latents of a frame are one whole before they are decoded.

    Args:
        autoencoder: the frame codec with the fusion decoder; a module, or what differs from the defaults of
            `FusionAutoencoder`.
        denoiser: the masked latent video denoiser; a module, or what differs from those of `MaskedVideoDenoiser`.
        num_inference_steps: DDIM steps.
        guidance_weight: `w` in LVDM's form, 0 is off (A17).
        eta: share of DDPM's noise added back at each DDIM step (A18).
        prediction_type: what the denoiser predicts, see `custom.diffusion.ddim.target_for`.
        tile_size: tile in pixels, (height, width), multiples of 32; frames up to this size are run whole.
        tile_overlap: share of a tile in common with the next.
        batch_size: tiles run at once.
    """

    def __init__(
        self,
        autoencoder: FusionAutoencoder | Mapping[str, Any] | None = None,
        denoiser: MaskedVideoDenoiser | Mapping[str, Any] | None = None,
        num_inference_steps: int = 1,
        guidance_weight: float = 0.0,
        eta: float = 0.0,
        prediction_type: str = "epsilon",
        tile_size: Sequence[int] = (256, 256),
        tile_overlap: float = 0.25,
        batch_size: int = 4,
    ) -> None:
        super().__init__()
        self.autoencoder = autoencoder = build_part(autoencoder, FusionAutoencoder)
        self.denoiser = build_part(denoiser, MaskedVideoDenoiser, latent_channels=autoencoder.latent_channels)
        self.num_inference_steps, self.guidance_weight, self.eta = num_inference_steps, guidance_weight, eta
        self.prediction_type = prediction_type
        self.tiler = FrameTiler(tile_size, tile_overlap, batch_size, cell=autoencoder.factor)
        self.register_buffer("latent_shift", torch.zeros(autoencoder.latent_channels, 1, 1))
        self.register_buffer("latent_scale", torch.ones(autoencoder.latent_channels, 1, 1))

    def validate(self) -> None:
        """See `Interpolator.validate`."""
        check_steps(self.num_inference_steps, len(self.denoiser.alphas_cumprod))

    def set_latent_statistics(self, mean: torch.Tensor | float, std: torch.Tensor | float) -> None:
        """Make latents of this mean and standard deviation (scalars or one per channel) zero-mean, unit-variance."""
        self.latent_shift.copy_(torch.as_tensor(mean).reshape(-1, 1, 1).expand_as(self.latent_shift))
        self.latent_scale.copy_((1 / torch.as_tensor(std)).reshape(-1, 1, 1).expand_as(self.latent_scale))

    @torch.no_grad()
    def encode_latents(self, frames: torch.Tensor) -> torch.Tensor:
        """Normalised latents `(B, L, c, H/8, W/8)` of frames `(B, L, C, H, W)` in [0, 1], sizes multiples of 8."""
        return (self.autoencoder.encode(2 * frames - 1) - self.latent_shift) * self.latent_scale

    @torch.no_grad()
    def decode_latents(self, latents: torch.Tensor, key_frames: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Frames `(B, L, C, H, W)` in [0, 1] of normalised latents, see `FusionAutoencoder.decode`."""
        latents = latents / self.latent_scale + self.latent_shift
        return ((self.autoencoder.decode(latents, 2 * key_frames - 1, positions) + 1) / 2).clamp(0, 1)

    @torch.no_grad()
    def interpolate(
        self, neighbours: torch.Tensor, positions: torch.Tensor, seeds: Sequence[int] | None = None
    ) -> torch.Tensor:
        """See `Interpolator.interpolate`; without seeds every batch item takes seed 0."""
        first, last = central_pair(neighbours)
        keys, window = self._pad(torch.stack([first, last], dim=1))
        positions = positions.to(keys.device, torch.float32)
        seeds = [0] * len(keys) if seeds is None else seeds
        latents = self._sample(self._encode_tiled(keys), positions, seeds)
        ends = positions.new_tensor([0.0, 1.0])
        frames = self._decode_tiled(latents, keys, torch.cat([ends[:1], positions, ends[1:]]))
        return self._crop(frames[:, 1:-1], window)

    @torch.no_grad()
    def reconstruct(self, frames: torch.Tensor) -> torch.Tensor:
        """Windows of evenly spaced frames through the autoencoder alone, true latents throughout.

        The upper bound of what the denoiser can reach with this decoder.

        Args:
            frames: `(B, L, C, H, W)` in [0, 1]; the first and last are the key frames.

        Returns:
            The same shape, in [0, 1].
        """
        padded, window = self._pad(frames)
        positions = torch.linspace(0, 1, frames.shape[1], device=frames.device)
        return self._crop(self._decode_tiled(self._encode_tiled(padded), padded[:, [0, -1]], positions), window)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Six-fold interpolation of pairs of frames: `(B, 2, H, W)` in [0, 1] to `(B, 5, H, W)`."""
        return self.interpolate(image.unsqueeze(2), torch.arange(1, 6, device=image.device) / 6).squeeze(2)

    def _sample(self, key_latents: torch.Tensor, positions: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        """Denoise the frames between key latents `(B, 2, c, h, w)`; returns all frames of the window."""
        count = len(positions)
        steps = torch.cat([positions.new_zeros(1), positions, positions.new_ones(1)]) * (count + 1)
        mask = torch.zeros(len(key_latents), count + 2, device=key_latents.device)
        mask[:, [0, -1]] = 1
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]

        def noise(length: int) -> torch.Tensor:
            shape = (length, *key_latents.shape[2:])
            return torch.stack([torch.randn(shape, generator=g) for g in generators]).to(key_latents)

        def with_keys(z: torch.Tensor) -> torch.Tensor:
            return torch.cat([key_latents[:, :1], z[:, 1:-1], key_latents[:, 1:]], dim=1)

        alphas = self.denoiser.alphas_cumprod
        key_noise = noise(2) if self.guidance_weight else None

        def predict_noise(z: torch.Tensor, t: int) -> torch.Tensor:
            eps = self._denoise_tiled(z, mask, t, steps)
            if self.guidance_weight:
                # Training never shows clean frames under an empty mask, so the key frames are noised here too.
                noisy_keys = add_noise(key_latents, key_noise, alphas[t])
                free = torch.cat([noisy_keys[:, :1], z[:, 1:-1], noisy_keys[:, 1:]], dim=1)
                eps = guide(eps, self._denoise_tiled(free, torch.zeros_like(mask), t, steps), self.guidance_weight)
            return eps

        pairs = timestep_pairs(self.num_inference_steps, len(alphas))
        start = noise(count + 2)
        return ddim_sample(
            predict_noise, start, pairs, alphas, self.eta, noise_fn=lambda z: noise(z.shape[1]), constrain=with_keys
        )

    def _encode_tiled(self, frames: torch.Tensor) -> torch.Tensor:
        def encode(tiles: torch.Tensor) -> torch.Tensor:
            return self.encode_latents(tiles.unsqueeze(1)).squeeze(1)

        cell = self.autoencoder.factor
        return self.tiler(encode, (frames.flatten(0, 1), cell), out_scale=1).unflatten(0, frames.shape[:2])

    def _denoise_tiled(self, z: torch.Tensor, mask: torch.Tensor, t: int, steps: torch.Tensor) -> torch.Tensor:
        length = z.shape[1]

        def denoise(tiles: torch.Tensor) -> torch.Tensor:
            tiles = tiles.unflatten(1, (length, -1))
            timesteps = torch.full((len(tiles),), t, device=tiles.device)
            # All items of a call have the same mask, so one row serves every tile.
            prediction = self.denoiser(tiles, mask[:1].expand(len(tiles), -1), timesteps, steps)
            return to_epsilon(prediction, tiles, self.denoiser.alphas_cumprod[t], self.prediction_type).flatten(1, 2)

        return self.tiler(denoise, (z.flatten(1, 2), 1), out_scale=1).unflatten(1, (length, -1))

    def _decode_tiled(self, latents: torch.Tensor, keys: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        def decode(tiles: torch.Tensor, key_tiles: torch.Tensor) -> torch.Tensor:
            tiles, key_tiles = tiles.unflatten(1, (len(positions), -1)), key_tiles.unflatten(1, (2, -1))
            return self.decode_latents(tiles, key_tiles, positions).flatten(1, 2)

        cell = self.autoencoder.factor
        frames = self.tiler(decode, (latents.flatten(1, 2), 1), (keys[:, [0, -1]].flatten(1, 2), cell), out_scale=cell)
        return frames.unflatten(1, (len(positions), -1))

    def _pad(self, frames: torch.Tensor) -> tuple[torch.Tensor, tuple[slice, slice]]:
        """Grow frames to a size that the tiles cover; returns them and where the original lies in them."""
        cell = self.autoencoder.factor
        small = cell * self.denoiser.divisor
        pads = []
        for axis, (extent, tile) in enumerate(zip(frames.shape[-2:], self.tiler.tile_size, strict=True)):
            margin = 2 * small if axis == 0 and self.wrap_rows else 0  # what the networks see to either side
            unit = small if extent + 2 * margin <= tile else cell
            pads.append((margin, -(-(extent + 2 * margin) // unit) * unit - extent - margin))
        (top, bottom), (left, right) = pads
        shape, flat = frames.shape, frames.flatten(0, 1)
        if self.wrap_rows:
            rows = torch.arange(-top, shape[-2] + bottom, device=frames.device) % shape[-2]
            flat = F.pad(flat[..., rows, :], (left, right, 0, 0), mode="replicate")
        else:
            flat = F.pad(flat, (left, right, top, bottom), mode="replicate")
        window = (slice(top, top + shape[-2]), slice(left, left + shape[-1]))
        return flat.unflatten(0, shape[:2]), window

    @staticmethod
    def _crop(frames: torch.Tensor, window: tuple[slice, slice]) -> torch.Tensor:
        return frames[..., window[0], window[1]]
