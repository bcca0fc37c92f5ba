# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Straight and spherical interpolation between latents."""

from __future__ import annotations

import torch


def lerp(a: torch.Tensor, b: torch.Tensor, alpha: float | torch.Tensor) -> torch.Tensor:
    """(1 - alpha) a + alpha b; `alpha` is a number or a tensor that broadcasts with `a`."""
    return (1 - alpha) * a + alpha * b


def slerp(a: torch.Tensor, b: torch.Tensor, alpha: float | torch.Tensor, start_dim: int = 1) -> torch.Tensor:
    """Spherical interpolation (Shoemake, 1985), which keeps the norm of Gaussian noise; lerp at 0.5 would lose 29 %.

    Args:
        a: latents at `alpha` 0, `(B, ...)`.
        b: latents at `alpha` 1, shape of `a`.
        alpha: a number, or a tensor that broadcasts with `a`.
        start_dim: all dimensions from this one on form the vector whose angle counts: 1 is one angle per batch item
            (as DiffAE does), 2 one per frame of `(B, L, C, H, W)`.

    Returns:
        Shape and dtype of `a`. The angle is taken in at least float32. Where `a` and `b` are parallel or opposite
        (sine below 1e-4) the arc is ill-defined and the result is `lerp`.
    """
    dtype = torch.promote_types(a.dtype, torch.float32)
    start, end = a.to(dtype), b.to(dtype)
    dims = tuple(range(start_dim, a.ndim))
    unit_start, unit_end = (v / _norm(v, dims).clamp(min=torch.finfo(dtype).tiny) for v in (start, end))
    # Kahan's angle: unlike acos of the cosine it is accurate for small angles too.
    theta = 2 * torch.atan2(_norm(unit_start - unit_end, dims), _norm(unit_start + unit_end, dims))
    sine = theta.sin()
    degenerate = sine < 1e-4
    sine = torch.where(degenerate, torch.ones_like(sine), sine)
    arc = (((1 - alpha) * theta).sin() * start + (alpha * theta).sin() * end) / sine
    return torch.where(degenerate, lerp(start, end, alpha), arc).to(a.dtype)


def _norm(v: torch.Tensor, dims: tuple[int, ...]) -> torch.Tensor:
    return torch.linalg.vector_norm(v, dim=dims, keepdim=True)
