# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""CardioInterp: frames between two OCT B-scans by masked latent video diffusion and a dual-path fusion decoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from custom.diffusion.ddim import add_noise, ddim_sample, to_epsilon
from custom.diffusion.guidance import guide
from custom.diffusion.schedules import timestep_pairs
from custom.diffusion.speckle import speckle_like
from custom.interpolators.base import Reach, ToldByPrediction, central_pair, check_number, check_steps
from custom.interpolators.latent import LatentInterpolator, check_prediction, noise_of
from custom.interpolators.texture import with_texture
from custom.interpolators.turns import turned, whole_turn
from custom.networks.fusion_autoencoder import FusionAutoencoder
from custom.networks.motion_view import View
from custom.networks.padding import pad_slices
from custom.networks.parts import build_part
from custom.networks.video_denoiser import MaskedVideoDenoiser
from custom.switches import is_on

_SPECKLE = 0x5BEC
"""Set apart from the seeds of latents: those of the speckle."""


class CardioInterp(ToldByPrediction, LatentInterpolator):
    """All that CardioInterp needs in one module; its state dict is the bundle's `models/model.pt`.

    Frames of any height and width are padded to whole latent cells and go through the networks in overlapping tiles.
    All tiles share one field of noise and one denoising walk: at every step the tiles' noise estimates are blended
    before the next step, so the latents of a frame are one whole before they are decoded.

    The compact default moves first: a rotation of the whole frame between the key frames is undone, a motion network
    guesses the frames, the denoiser starts from the guesses' latents, and the decoder corrects the guesses by what it
    samples and by the key frames' features. In the paper's form key features are matched and averaged instead.

    Args:
        autoencoder: the frame codec with the fusion decoder; a module, or what differs from the defaults of
            `FusionAutoencoder`.
        denoiser: the masked latent video denoiser; a module, or what differs from those of `MaskedVideoDenoiser`.
        num_inference_steps: DDIM steps.
        realism: standard deviation of the noise that sampling starts from, from 0, the likeliest frames, for which one
            step suffices and no seed matters, to 1, one draw of what was learnt (the paper). With motion as much of
            the speckle that the draw lacks beside the key frames is drawn as well (`custom.diffusion.speckle`).
        guidance_weight: `w` in LVDM's form, 0 is off (A17).
        eta: share of DDPM's noise added back at each DDIM step (A18).
        prediction_type: what the denoiser predicts, see `custom.diffusion.ddim.target_for`.
        tile_size: tile in pixels, (height, width), multiples of 32; frames up to this size are run whole.
        tile_overlap: share of a tile in common with the next.
        batch_size: gaps, and tiles, that go through the network at once.
        both_ways: let the motion network look from either side and take the mean: twice its time, a sixth of all.
        texture: with motion, see `custom.interpolators.motion.MotionInterpolator`; here it is the key frames' speckle.
    """

    #: Gaps of up to six steps are what it is trained on (A4); longer ones recurse.
    reach = Reach(most_steps=6)
    #: As `error_scale` of `bundles/motion_oct`, whose weights are inside.
    error_scale = 0.8
    #: Where the compact autoencoder differs from the defaults of its class.
    autoencoder_defaults: Mapping[str, Any] = {"motion": {}, "fusion": "motion", "upsampling": "resize"}

    def __init__(
        self,
        autoencoder: FusionAutoencoder | Mapping[str, Any] | None = None,
        denoiser: MaskedVideoDenoiser | Mapping[str, Any] | None = None,
        num_inference_steps: int = 8,
        realism: float = 0.0,
        guidance_weight: float = 0.0,
        eta: float = 0.0,
        prediction_type: str = "epsilon",
        tile_size: Sequence[int] = (256, 256),
        tile_overlap: float = 0.25,
        batch_size: int = 4,
        both_ways: bool = True,
        texture: float = 0.0,
    ) -> None:
        autoencoder = build_part(autoencoder, FusionAutoencoder, **self.autoencoder_defaults)
        prior = "linear" if autoencoder.motion is None else "motion"
        denoiser = build_part(denoiser, MaskedVideoDenoiser, latent_channels=autoencoder.latent_channels, prior=prior)
        super().__init__(autoencoder, denoiser, tile_size, tile_overlap, batch_size)
        self.num_inference_steps, self.guidance_weight, self.eta = num_inference_steps, guidance_weight, eta
        self.realism, self.prediction_type, self.both_ways = realism, prediction_type, is_on(both_ways)
        self.texture = texture

    @property
    def draws(self) -> bool:
        """See `Interpolator`."""
        return self.realism > 0

    def validate(self) -> None:
        """See `Interpolator.validate`."""
        super().validate()
        check_steps(self.num_inference_steps, len(self.denoiser.alpha_bars))
        check_number("realism", self.realism, 0, 1)
        check_number("texture", self.texture, 0, 1)
        check_number("guidance_weight", self.guidance_weight, 0)
        check_number("eta", self.eta, 0, 1)
        check_prediction(self.prediction_type, self.denoiser)

    @torch.no_grad()
    def decode_latents(
        self,
        latents: torch.Tensor,
        key_frames: torch.Tensor,
        positions: torch.Tensor,
        views: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Frames `(B, L, C, H, W)` in [0, 1] of normalised latents, see `FusionAutoencoder.decode`."""
        decoded = self.autoencoder.decode(self.to_codec(latents), 2 * key_frames - 1, positions, views)
        return ((decoded + 1) / 2).clamp(0, 1)

    @torch.no_grad()
    def predict(
        self,
        neighbours: torch.Tensor,
        positions: torch.Tensor,
        seeds: Sequence[int] | None = None,
        wrap_rows: bool = False,
        callback: Callable[[int, torch.Tensor], bool | None] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """See `Interpolator.predict`: of the likeliest frames the motion network says how far off they may be.

        `callback` is that of `custom.diffusion.ddim.ddim_sample`.
        """
        first, last = central_pair(neighbours)
        turns = [0] * len(first)
        if wrap_rows and self.motion is not None:  # rolling by whole rows is exact: the networks see what is left
            turns = [whole_turn(before[0], after[0]) for before, after in zip(first, last, strict=True)]
            last = torch.stack([frame.roll(-turn, -2) for frame, turn in zip(last, turns, strict=True)])
        keys, window = self._pad(torch.stack([first, last], dim=1), wrap_rows)
        ends = torch.tensor([0.0, 1.0])
        asked = positions.float().cpu()
        positions = torch.cat([ends[:1], asked, ends[1:]])
        key_latents, noise, alphas = self._encode_tiled(keys), noise_of(seeds, len(keys)), self.denoiser.alpha_bars
        key_noise = noise(key_latents) if self.guidance_weight else None
        views, expected = self._expect(keys, asked)

        like = key_latents[:, :1].expand(-1, len(positions), -1, -1, -1)

        def with_keys(z: torch.Tensor) -> torch.Tensor:
            return torch.cat([key_latents[:, :1], z[:, 1:-1], key_latents[:, 1:]], dim=1)

        latents = ddim_sample(
            self._predictor(key_latents, key_noise, positions, expected),
            self.realism * noise(like) if self.realism else torch.zeros_like(like),
            timestep_pairs(self.num_inference_steps if self.draws else 1, len(alphas)),
            alphas,
            self.eta,
            noise,
            with_keys,
            callback,
        )
        frames = self._decode_tiled(latents, keys, positions, views)[:, 1:-1, :, *window]
        if self.motion is None:
            return frames, None
        view, ends = View.of(views.flatten(0, 1)[..., *window]), torch.stack([first, last], dim=1)
        error = None if self.draws else self.error_scale * view.error
        parts = with_texture(frames.flatten(0, 1), view.sides, view.weight, ends[:, :, 0], self.texture, error)
        frames, error = (part if part is None else part.unflatten(0, views.shape[:2]) for part in parts)
        if self.realism:
            return turned(self._speckled(frames, ends, seeds), asked, turns), None
        return turned(frames, asked, turns), turned(error, asked, turns)

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
        positions = torch.linspace(0, 1, frames.shape[1])
        keys = padded[:, [0, -1]]
        views = self._expect(keys, positions[1:-1])[0]
        return self._decode_tiled(self._encode_tiled(padded), keys, positions, views)[..., *window]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Six-fold interpolation of pairs of frames: `(B, 2, H, W)` in [0, 1] to `(B, 5, H, W)`."""
        return self.interpolate(image.unsqueeze(2), torch.arange(1, 6) / 6).squeeze(2)

    def _speckled(self, frames: torch.Tensor, keys: torch.Tensor, seeds: Sequence[int] | None) -> torch.Tensor:
        """Frames `(B, P, 1, H, W)` with the speckle that they lack beside their key frames `(B, 2, 1, H, W)`."""
        seeds = [0] * len(frames) if seeds is None else seeds
        made = []
        for item, ends, seed in zip(frames, keys, seeds, strict=True):
            own = torch.Generator().manual_seed(seed ^ _SPECKLE)
            drawn = torch.randint(2**31, (len(item),), generator=own).tolist()
            made.append(speckle_like(item, ends, self.realism, drawn)[0])
        return torch.stack(made)

    def _expect(self, keys: torch.Tensor, asked: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """What motion tells of frames at `asked` `(P,)` between key frames `(B, 2, 1, H, W)`; None without it.

        Returns:
            Packed views `(B, P, 9, H, W)`, and `expected` of `MaskedVideoDenoiser.forward`.
        """
        if self.motion is None:
            return None, None
        views = self.look(keys[:, :, 0].repeat_interleave(len(asked), dim=0), asked.repeat(len(keys)))
        expected = torch.cat(self.expected(views), dim=1)
        return views.unflatten(0, (len(keys), -1)), expected.unflatten(0, (len(keys), -1))

    def _predictor(
        self,
        key_latents: torch.Tensor,
        key_noise: torch.Tensor | None,
        positions: torch.Tensor,
        expected: torch.Tensor | None = None,
    ) -> Callable[[torch.Tensor, int], torch.Tensor]:
        """`(z, t) -> eps` of frames at `positions` `(L,)`, from 0 to 1, for the sampler.

        Args:
            key_latents: of the first and last frame, `(B, 2, c, h, w)`.
            key_noise: noise of theirs, which guidance needs.
            positions: of all frames.
            expected: see `MaskedVideoDenoiser.forward`.
        """
        alphas, count = self.denoiser.alpha_bars, len(positions)
        steps = (positions * (count - 1)).to(key_latents.device)
        mask = torch.zeros(1, count, device=key_latents.device)  # all windows of a call know the same frames
        mask[:, [0, -1]] = 1

        known = () if expected is None else ((expected, 1),)

        def predict_noise(z: torch.Tensor, t: int) -> torch.Tensor:
            def denoise(tiles: torch.Tensor, *expected: torch.Tensor, mask: torch.Tensor = mask) -> torch.Tensor:
                timesteps = torch.full((len(tiles),), t, device=tiles.device)
                prediction = self.denoiser(tiles, mask.expand(len(tiles), -1), timesteps, steps, *expected)
                return to_epsilon(prediction, tiles, alphas[t], self.prediction_type)

            eps = self.tiler(denoise, (z, 1), *known, out_scale=1)
            if self.guidance_weight:
                # Training never shows clean frames under an empty mask, so the key frames are noised here too.
                noisy_keys = add_noise(key_latents, key_noise, alphas[t])
                free = torch.cat([noisy_keys[:, :1], z[:, 1:-1], noisy_keys[:, 1:]], dim=1)
                unconditional = self.tiler(
                    partial(denoise, mask=torch.zeros_like(mask)), (free, 1), *known, out_scale=1
                )
                eps = guide(eps, unconditional, self.guidance_weight)
            return eps

        return predict_noise

    def _encode_tiled(self, frames: torch.Tensor) -> torch.Tensor:
        """Latents of frames `(B, L, C, H, W)`; each frame is a tile, or several, by itself."""

        def encode(tiles: torch.Tensor) -> torch.Tensor:
            return self.encode_latents(tiles.unsqueeze(1)).squeeze(1)

        return self.tiler(encode, (frames.flatten(0, 1), self.cell), out_scale=1).unflatten(0, frames.shape[:2])

    def _decode_tiled(
        self, latents: torch.Tensor, keys: torch.Tensor, positions: torch.Tensor, views: torch.Tensor | None
    ) -> torch.Tensor:
        def decode(tiles: torch.Tensor, key_tiles: torch.Tensor, *view_tiles: torch.Tensor) -> torch.Tensor:
            return self.decode_latents(tiles, key_tiles, positions, *view_tiles)

        seen = () if views is None else ((views, self.cell),)
        return self.tiler(decode, (latents, 1), (keys, self.cell), *seen, out_scale=self.cell)

    def _pad(self, frames: torch.Tensor, wrap_rows: bool = False) -> tuple[torch.Tensor, tuple[slice, ...]]:
        """Grow frames to a size that the tiles cover; returns them and where the original lies in them."""
        small = self.cell * self.denoiser.divisor
        turn = 2 * small if wrap_rows else 0  # what the networks see to either side
        extents = frames.shape[-2] + 2 * turn, frames.shape[-1]
        fits = [extent <= tile for extent, tile in zip(extents, self.tiler.tile_size, strict=True)]
        return pad_slices(frames, [small if whole else self.cell for whole in fits], turn)
