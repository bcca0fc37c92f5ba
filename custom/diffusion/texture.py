# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Fine texture for slices that have less of it than those beside them, drawn band by band (Heeger and Bergen, 1995).

What a latent holds is smoother than an acquired slice: noise of the acquisition and the finest structures do not pass a
bottleneck, and cannot be predicted. What is added here is drawn, not measured: every second slice then looks like its
neighbours, and is farther from the truth. Nothing adds it unless asked.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from custom.metrics.temporal import second_difference

WINDOWS = (3, 7, 15)
"""Edges in pixels of the box means between which the bands lie, the finest first."""
AROUND = 21
"""Edge in pixels of the neighbourhood whose mean square is a band's local strength."""


def texture_like(
    slices: torch.Tensor,
    beside: torch.Tensor,
    realism: float,
    noise: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Add, band by band and place by place, what slices lack in strength beside acquired ones.

    Args:
        slices: synthetic, `(N, 1, *space)` in [0, 1]; `space` is `(H, W)`, or `(T, H, W)` for a cine, whose texture
            changes from phase to phase as much as that of the acquired slices, and else stands still.
        beside: the acquired slices on either side, `(N, 2, *space)`.
        realism: share of the missing strength, 0 (the slices as they are) to 1.
        noise: gives standard normal noise like its argument, see `custom.interpolators.latent.noise_of`.

    Returns:
        As `slices`, in [0, 1].

    Raises:
        ValueError: a realism outside [0, 1].
    """
    if not 0 <= realism <= 1:
        raise ValueError(f"realism must be from 0 to 1, got {realism!r}")
    if realism == 0:
        return slices
    parts, still = [slices, beside, noise(slices)], None
    phases = slices.shape[2] if slices.ndim == 5 else None
    if phases is not None:
        still = _bands(noise(slices)[:, :, 0])  # a grain that all phases share
        parts = [part.transpose(1, 2).flatten(0, 1) for part in parts]
    made, added = parts[0], torch.zeros_like(parts[0])
    for band, (have, wanted, drawn) in enumerate(zip(*(_bands(part) for part in parts), strict=True)):
        if still is not None:
            share = _changing(wanted.unflatten(0, (-1, phases))).view(-1, 1, 1, 1, 1)
            mixed = share.sqrt() * drawn.unflatten(0, (-1, phases)) + (1 - share).sqrt() * still[band][:, None]
            drawn = mixed.flatten(0, 1)
        missing = (_strength(wanted).mean(1, keepdim=True) - _strength(have)).clamp_min(0)
        added = added + (missing / drawn.square().mean(dim=(1, 2, 3), keepdim=True)).sqrt() * drawn
    textured = (made + realism * added).clamp(0, 1)
    return textured if phases is None else textured.unflatten(0, (-1, phases)).transpose(1, 2)


def _changing(cine: torch.Tensor) -> torch.Tensor:
    """Share of a band `(N, T, c, H, W)` that is new in every phase, `(N,)`: 1 of noise, 0 of what stands still.

    Of independent draws the second difference along the cycle has six times the mean square, of a constant none.
    """
    if cine.shape[1] < 3:
        return cine.new_ones(len(cine))
    strength, change = (part.square().flatten(1).mean(1) for part in (cine, second_difference(cine, 1)))
    return (change / (6 * strength).clamp_min(1e-12)).clamp(max=1)


def _bands(images: torch.Tensor) -> list[torch.Tensor]:
    """What lies between box means of growing size, the finest first; `(N, c, H, W)` each."""
    smooth = [images, *(_mean(images, window) for window in WINDOWS)]
    return [fine - coarse for fine, coarse in zip(smooth[:-1], smooth[1:], strict=True)]


def _strength(band: torch.Tensor) -> torch.Tensor:
    """Local mean square."""
    return _mean(band.square(), AROUND)


def _mean(images: torch.Tensor, window: int) -> torch.Tensor:
    return F.avg_pool2d(images, window, 1, window // 2, count_include_pad=False)
