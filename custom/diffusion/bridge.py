# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Bridges: paths in latent space that start at what the neighbours suggest and end at the latent looked for.

Time runs from s = 0, the start x_0, to s = 1, the end x_1. Given both ends, a place on the path is

    x_s = (1 - s) x_0 + s x_1 + sigma sqrt(s (1 - s)) eps

With sigma = 0 it is the straight line of rectified flow (Liu et al., 2023), with sigma > 0 a Brownian bridge (Li et
al., 2023, BBDM; Lyu et al., 2024, consecutive Brownian bridge). A network estimates the end, x_1; a step towards it
follows the bridge that remains, from x_s to that estimate, so every number of steps has one and the same rule. Pure
functions; the latents may have any dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch


def bridge_point(
    start: torch.Tensor, end: torch.Tensor, time: torch.Tensor, noise: torch.Tensor, sigma: float | torch.Tensor
) -> torch.Tensor:
    """A place on the bridge between two ends.

    Args:
        start: x_0, `(B, ...)`.
        end: x_1, of the same shape.
        time: s, in [0, 1], `(B,)`.
        noise: standard normal, of the same shape.
        sigma: of the bridge, broadcastable to `start`.
    """
    s = time.to(start).view(-1, *(1,) * (start.ndim - 1))
    return torch.lerp(start, end, s) + sigma * (s * (1 - s)).sqrt() * noise


def bridge_times(num_steps: int) -> list[tuple[float, float]]:
    """`num_steps` pairs (s, next s) of equal length from 0 to 1."""
    return [(k / num_steps, (k + 1) / num_steps) for k in range(num_steps)]


def bridge_sample(
    estimate_end: Callable[[torch.Tensor, float], torch.Tensor],
    start: torch.Tensor,
    num_steps: int,
    sigma: float | torch.Tensor,
    noise_fn: Callable[[torch.Tensor], torch.Tensor],
    callback: Callable[[int, torch.Tensor], bool | None] | None = None,
) -> torch.Tensor:
    """Walk from the start to the end of a bridge.

    From x_s with the end estimated as e, the place at the next time r is normal with mean x_s + (r - s) / (1 - s)
    (e - x_s) and variance sigma^2 (r - s) (1 - r) / (1 - s): the bridge between those two.

    Args:
        estimate_end: `(x, s) -> e`, the expected end given x at time s.
        start: x_0.
        num_steps: network calls; with 1 the result is the first estimate.
        sigma: of the bridge, broadcastable to `start`; 0 walks without noise, which is Euler's method for the flow.
        noise_fn: standard normal noise like its argument.
        callback: `(number of the step, expected end)` at each step, from 1. If it returns True the walk ends there.

    Returns:
        The end, shape of `start`.
    """
    x = start
    for done, (s, r) in enumerate(bridge_times(num_steps), start=1):
        end = estimate_end(x, s)
        if callback is not None and callback(done, end):
            return end
        x = torch.lerp(x, end, (r - s) / (1 - s))
        spread = math.sqrt((r - s) * (1 - r) / (1 - s))
        if spread > 0:
            x = x + spread * sigma * noise_fn(x)
    return x
