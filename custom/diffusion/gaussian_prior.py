# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A Gaussian guess for unknown frames from the known ones, and the part of the noise that it already explains.

With `z0 ~ N(guess, s^2)` and `z_t = sqrt(a) z0 + sqrt(1 - a) eps`, the best estimate of `eps` is known in closed form:

    E[eps | z_t]  = sqrt(1 - a) (z_t - sqrt(a) guess) / (a s^2 + 1 - a)
    Var[eps | z_t] = a s^2 / (a s^2 + 1 - a)

A network that adds `sqrt(Var) * F` to this mean starts, untrained, as linear interpolation of latents, and always
estimates a quantity of unit variance. The idea is EDM's preconditioning (Karras et al. 2022, Table 1) with the guess in
place of zero.
"""

from __future__ import annotations

import torch


def interpolation_weights(mask: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Weights that interpolate each frame linearly between the nearest known frames on its two sides.

    Args:
        mask: 1 where a frame is known, `(B, L)`.
        positions: ascending position of each frame, `(L,)`.

    Returns:
        `(B, L, L)`: row i weighs all frames into frame i. A known frame has weight 1 on itself, a frame beyond the
        outermost known one takes that one, and without any known frame the row is zero.
    """
    frames = mask.shape[1]
    index = torch.arange(frames, device=mask.device).expand_as(mask)
    known = mask > 0.5
    before = torch.where(known, index, -1).cummax(1).values
    after = torch.where(known, index, frames).flip(1).cummin(1).values.flip(1)
    left = torch.where(before < 0, after, before)
    right = torch.where(after >= frames, before, after)
    inside = (left >= 0) & (left < frames) & (right >= 0) & (right < frames)
    left, right = left.clamp(0, frames - 1), right.clamp(0, frames - 1)
    span = (positions[right] - positions[left]).clamp_min(torch.finfo(positions.dtype).tiny)
    share = torch.where(inside & (left != right), (positions.expand_as(mask) - positions[left]) / span, 0.0)
    weights = torch.zeros(*mask.shape, frames, device=mask.device, dtype=positions.dtype)
    weights.scatter_add_(2, left[..., None], ((1 - share) * inside)[..., None])
    weights.scatter_add_(2, right[..., None], (share * inside)[..., None])
    return weights


def gaussian_noise_estimate(
    z: torch.Tensor, guess: torch.Tensor, variance: torch.Tensor | float, alpha_bar: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of the noise in `z` if the clean latent is `N(guess, variance)`.

    Args:
        z: noisy latents.
        guess: expected clean latents, broadcastable to `z`.
        variance: of the clean latents about the guess, broadcastable to `z`.
        alpha_bar: cumulative noise schedule at the latents' timestep, broadcastable to `z`.

    Returns:
        `E[eps | z]` (as `z`) and `sqrt(Var[eps | z])` (broadcastable to `z`).
    """
    total = alpha_bar * variance + 1 - alpha_bar
    mean = (1 - alpha_bar).sqrt() * (z - alpha_bar.sqrt() * guess) / total
    return mean, (alpha_bar * variance / total).sqrt()
