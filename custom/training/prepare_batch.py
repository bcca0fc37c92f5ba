# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Batches that a task draws noise for: what every diffusion task of ours shares with MONAI's trainers."""

from __future__ import annotations

from typing import Protocol

import torch
from ignite.engine import Engine, Events
from monai.engines import PrepareBatch

from custom.training.randomness import iteration_generator


class Codec(Protocol):
    """What a diffusion task needs of the trained first stage."""

    def encode_latents(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames `(B, L, 1, *space)` in [0, 1] to normalised latents `(B, L, c, *latent)`."""


class DrawingPrepareBatch(PrepareBatch):
    """A `prepare_batch` that draws random numbers, the same ones whether or not the training was interrupted.

    It is also one of the trainer's handlers: as a handler it learns the iteration, from which all draws are seeded.

    Args:
        seed: of all draws.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._engine: Engine | None = None

    def attach(self, engine: Engine) -> None:
        """Take the iteration from this engine."""
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
