# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a network is given and asked for: one `prepare_batch` for MONAI's engines, and a hook that each task fills."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Protocol

import torch
from ignite.engine import Engine, Events
from monai.engines import PrepareBatch

from custom.training.randomness import iteration_generator


class Codec(Protocol):
    """What a diffusion task needs of the trained first stage."""

    def encode_latents(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames `(B, L, 1, *space)` in [0, 1] to normalised latents `(B, L, c, *latent)`."""


class Task(PrepareBatch):
    """A `prepare_batch` whose subclasses say in :meth:`make` what becomes of a batch.

    A task that draws random numbers draws the same ones whether or not the training was interrupted: it is also one of
    the trainer's handlers and learns the iteration there, from which all draws are seeded. The stages of
    `custom.training.stages` see to that.

    Args:
        seed: of all draws.

    Attributes:
        reads: names of the tensors that the task takes from a batch; those that a batch lacks are left out.
    """

    reads: tuple[str, ...] = ("image",)

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._engine: Engine | None = None

    def check(self, length: int) -> None:
        """Raise an `InputError` unless windows of so many frames hold what is taken from them; before any epoch."""

    @abstractmethod
    def make(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Input of the network, label of the loss, and keywords of the network.

        Args:
            batch: what `reads` names, on the engine's device; "image" is `(B, L, 1, *space)` in [0, 1].

        Raises:
            RuntimeError: the task draws and is not among the engine's handlers.
        """

    def __call__(
        self,
        batchdata: dict[str, torch.Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, tuple, dict[str, Any]]:
        """What MONAI's engines want: input, label, arguments (none) and keywords.

        Args:
            batchdata: of the loader.
            device: of everything returned.
            non_blocking: as in `Tensor.to`.
            kwargs: further arguments for `Tensor.to`.
        """
        names = [name for name in self.reads if name in batchdata]
        batch = {name: batchdata[name].to(device, non_blocking=non_blocking, **kwargs) for name in names}
        inputs, label, keywords = self.make(batch)
        return inputs, label, (), keywords

    def attach(self, engine: Engine) -> None:
        """Take the iteration, and whether precision is mixed, from this engine."""
        engine.add_event_handler(Events.STARTED, self._follow)

    def _follow(self, engine: Engine) -> None:
        self._engine = engine

    def generator(self) -> torch.Generator:
        """Of this iteration's draws, on the CPU.

        Raises:
            RuntimeError: this is not among the engine's handlers.
        """
        if self._engine is None:
            raise RuntimeError(f"{type(self).__name__} must also be one of the trainer's handlers.")
        return iteration_generator(self.seed, self._engine.state.iteration, self._engine.state.rank)

    def between(self, network: Any, batch: dict[str, torch.Tensor], latents: bool) -> tuple[torch.Tensor, Any]:
        """Latent of the slice in the middle of triplets and what is known of it, see `LatentMidpoint.between`.

        Args:
            network: a `custom.interpolators.latent_midpoint.LatentMidpoint`, not trained here but for its denoiser.
            batch: has "image" `(B, 3, 1, *space)` and may have "positions" `(B, 3)`.
            latents: whether those of the neighbours are needed.
        """
        slices = batch["image"]
        places = batch["positions"][:, 1] if "positions" in batch else slices.new_full((len(slices),), 0.5)
        clean = self.encode(network, slices[:, 1:2])[:, 0]
        with torch.no_grad(), self._codec_precision(slices):
            known = network.between(slices[:, [0, 2], 0], places, latents)
        return clean, type(known)(*(part if part is None else part.float() for part in known))

    def encode(self, codec: Codec, frames: torch.Tensor) -> torch.Tensor:
        """Latents of a codec that is not trained here, float32, without a graph.

        Where the engine trains in mixed precision the codec runs in bfloat16, whose error is small beside the noise
        that its decoder has learnt to bear.
        """
        with torch.no_grad(), self._codec_precision(frames):
            return codec.encode_latents(frames).float()

    def _codec_precision(self, frames: torch.Tensor) -> torch.autocast:
        mixed = frames.is_cuda and getattr(self._engine, "amp", False)
        return torch.autocast("cuda", torch.bfloat16, enabled=mixed)
