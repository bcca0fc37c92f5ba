# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a decoder that corrects a guess is trained on: latents on the way from the guess's to the true slice's.

At inference the latent is a sample, or the mean of what is likely; that mean lies between the guess and the truth. The
slice that is asked of the decoder moves along with the latent: at the guess's own latent it is the guess. Asked for
the truth there, the decoder learns corrections that hold for the patients of the training only: on left-out ones they
made the guess worse, by 0.1 dB (MR) and 0.2 to 0.3 dB (OCT).
"""

from __future__ import annotations

import torch

GUESS_SHARE, TRUTH_SHARE = 0.35, 0.35
"""Of the draws at either end; the others lie evenly between."""


def draw_shares(count: int, generator: torch.Generator | None = None) -> torch.Tensor:
    """How far along that way each of `count` items lies, `(count,)` from 0, the guess, to 1, the truth.

    Args:
        count: of items.
        generator: of the draws, on the CPU.
    """
    draws = torch.rand(count, generator=generator)
    return ((draws - GUESS_SHARE) / (1 - GUESS_SHARE - TRUTH_SHARE)).clamp(0, 1)


def between(guess: torch.Tensor, truth: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Each item `shares` `(N,)` of the way from `guess` to `truth`, `(N, ...)`: of latents, and of slices."""
    return torch.lerp(guess, truth, shares.to(guess).view(-1, *(1,) * (guess.ndim - 1)))
