# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Noise schedules and timestep grids of the forward process, in float64.

Timesteps are integers 0 .. `num_timesteps` - 1, as the network counts them. -1 stands for the clean end of the
process, where alpha_bar is exactly 1; no network is ever trained there.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

#: Schedules are made where their numbers can be read, whatever device a network is built on.
_HOST = {"dtype": torch.float64, "device": "cpu"}


def betas(
    kind: str = "scaled_linear", num_timesteps: int = 1000, beta_start: float = 0.0015, beta_end: float = 0.0155
) -> torch.Tensor:
    """Variances of the forward process (Ho et al., 2020, Eq. 2).

    The defaults are those of LVDM, whose "linear" is what MONAI and diffusers call scaled linear.

    Args:
        kind: `scaled_linear` (linear in sqrt(beta), as latent diffusion) or `linear` (in beta, as DDPM and DiffAE).
        num_timesteps: T, at least 1.
        beta_start: first variance, in (0, 1).
        beta_end: last variance, in (0, 1).

    Returns:
        `(num_timesteps,)`, float64.

    Raises:
        ValueError: unknown `kind`, no timestep, or a variance outside (0, 1).
    """
    if num_timesteps < 1 or not (0.0 < beta_start < 1.0 and 0.0 < beta_end < 1.0):
        raise ValueError(
            f"betas need num_timesteps >= 1 and both ends in (0, 1), got {num_timesteps}, {beta_start}, {beta_end}."
        )
    if kind == "scaled_linear":
        return torch.linspace(beta_start**0.5, beta_end**0.5, num_timesteps, **_HOST) ** 2
    if kind == "linear":
        return torch.linspace(beta_start, beta_end, num_timesteps, **_HOST)
    raise ValueError(f"Unknown schedule {kind!r}: choose scaled_linear or linear.")


def alphas_cumprod(betas: torch.Tensor) -> torch.Tensor:
    """alpha_bar_t = prod_{s <= t} (1 - beta_s) (Ho et al., 2020, Eq. 4), `(num_timesteps,)`, float64.

    The DDIM paper (Song et al., 2021) writes alpha_t for this same product.
    """
    return torch.cumprod(1.0 - betas.double(), dim=0)


def alpha_bar_at(alphas_cumprod: torch.Tensor | Sequence[float], t: int | torch.Tensor) -> torch.Tensor | float:
    """alpha_bar at timesteps `t` of any shape; 1 where `t` is -1.

    Args:
        alphas_cumprod: `(T,)`; or, as samplers have it, plain numbers, which no device has to be asked for.
        t: one timestep; with a tensor `alphas_cumprod` also a tensor of them.

    Returns:
        Shape of `t`, dtype of `alphas_cumprod`; a number of numbers.
    """
    if not isinstance(alphas_cumprod, torch.Tensor):
        return 1.0 if t < 0 else alphas_cumprod[t]
    t = torch.as_tensor(t, device=alphas_cumprod.device)
    return torch.where(t < 0, torch.ones_like(alphas_cumprod[0]), alphas_cumprod[t.clamp(min=0)])


def timestep_pairs(num_steps: int, num_timesteps: int = 1000, spacing: str = "trailing") -> list[tuple[int, int]]:
    """The grid of a sampler as explicit steps (t, t_next), from the noisiest to the clean end.

    The three spacings are those of Lin et al. (2024), Table 2. Only `trailing` and `linspace` begin at
    `num_timesteps` - 1, the level that pure noise stands for; with few steps `leading` begins far below it.

    Args:
        num_steps: number of network calls, 1 .. `num_timesteps`.
        num_timesteps: T of the schedule.
        spacing: `trailing`, `leading` or `linspace`.

    Returns:
        `num_steps` pairs; t falls strictly, each t_next is the t of the pair after it, the last t_next is -1.

    Raises:
        ValueError: `num_steps` outside 1 .. `num_timesteps`, or unknown `spacing`.
    """
    if not 1 <= num_steps <= num_timesteps:
        raise ValueError(f"num_steps must be from 1 to {num_timesteps}, got {num_steps}.")
    # Integer arithmetic: floats would make the grid depend on the rounding of T / num_steps.
    if spacing == "trailing":
        times = [_round_ratio(num_timesteps * k, num_steps) - 1 for k in range(num_steps, 0, -1)]
    elif spacing == "leading":
        times = [k * (num_timesteps // num_steps) for k in range(num_steps - 1, -1, -1)]
    elif spacing == "linspace":
        gaps = max(num_steps - 1, 1)  # one step: the top of the schedule alone
        times = [num_timesteps - 1 - _round_ratio((num_timesteps - 1) * k, gaps) for k in range(num_steps)]
    else:
        raise ValueError(f"Unknown spacing {spacing!r}: choose trailing, leading or linspace.")
    return list(zip(times, [*times[1:], -1], strict=True))


def inversion_pairs(num_steps: int, num_timesteps: int = 1000, spacing: str = "trailing") -> list[tuple[int, int]]:
    """The grid of `timestep_pairs` walked backwards, from the clean end (-1) to the noisiest timestep.

    Inversion and sampling must share one grid, or the round trip is biased however many steps it takes.
    """
    return [(t_next, t) for t, t_next in reversed(timestep_pairs(num_steps, num_timesteps, spacing))]


def _round_ratio(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
