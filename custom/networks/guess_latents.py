# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a decoder that corrects a guess is trained on: latents from that of the guess to that of the true frame.

At inference the latent is a sample, or the mean of what is likely; that mean lies between the guess and the truth. A
decoder that has met the whole way between the two makes the likeliest frame of the one and a sharp frame of the other.
"""

from __future__ import annotations

import torch

GUESS_SHARE, TRUTH_SHARE = 0.35, 0.35
"""Of the latents at either end; the others lie evenly between."""


def between_guess_and_truth(
    guess: torch.Tensor, truth: torch.Tensor, generator: torch.Generator | None = None
) -> torch.Tensor:
    """A latent of each item, drawn on the line from the guess's to the truth's.

    Args:
        guess: `(N, c, *latent)`.
        truth: of the same shape.
        generator: of the draws, on the CPU.
    """
    draws = torch.rand(len(guess), generator=generator)
    shares = ((draws - GUESS_SHARE) / (1 - GUESS_SHARE - TRUTH_SHARE)).clamp(0, 1)
    return torch.lerp(guess, truth, shares.to(guess).view(-1, *(1,) * (guess.ndim - 1)))
