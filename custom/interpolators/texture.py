# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Fine texture for slices that have less of it than those beside them: that of the neighbours, moved to the place.

The likeliest slice is a mean over what could be there, and so smoother than an acquired one. Here it is given, band by
band and place by place, as much texture as the neighbours have, taken from both of them as a motion network moves them:
trabeculae, vessels and grain go on from slice to slice instead of stopping at every synthetic one. It is plausible and
not measured, and costs accuracy; how much is one number.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from custom.interpolators.base import check_number
from custom.networks.precision import at_least_single

WINDOWS = (3, 7, 15)
"""Edges in pixels of the box means between which the bands lie, the finest first."""
CELL, AROUND = 4, 5
"""Strengths are means over AROUND x AROUND cells of CELL pixels each way."""
PASSES = 2
"""The bands of box means overlap: a second pass gives what the first leaves missing, the finest texture above all."""
MOST_PUT_BACK = 3.0
"""How much warping can have softened a band, of its mean square: 1.3 to 2.1 times in the finest of real and simulated
hearts. Where it is more, tissue was not moved but lost, and what is left is not blown up to its strength."""


def with_texture(
    images: torch.Tensor,
    sides: torch.Tensor,
    weight: torch.Tensor,
    beside: torch.Tensor,
    amount: float,
    error: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Give synthetic slices what they lack in texture beside their neighbours.

    A band `x` of the slice and `g` of the neighbours, moved, become `x + k g`, with k so that its local mean square is
    that of the moved neighbours. They are mixed by the roots of their weights, which keeps the strength of what the two
    do not have in common. Warping softens: what it takes from the whole of a band is put back, within reason.

    Args:
        images: synthetic, `(N, 1, *space)` in [0, 1]; `space` is `(H, W)`, or `(T, H, W)` for a cine.
        sides: both neighbours as they lie at the asked position, `(N, 2, *space)`.
        weight: share of the first of them, `(N, 1, *space)` in [0, 1].
        beside: both neighbours as they were acquired, `(M, 2, *space)`; N is M times the positions asked in each gap,
            which follow each other.
        amount: share of the missing texture, 0 (the slices as they are) to 1.
        error: expected absolute error of the slices, the scale of a Laplace distribution, `(N, 1, *space)`.

    Returns:
        The slices in [0, 1], and their expected error: what was added is as if drawn, so its mean square adds up.

    Raises:
        ValueError: an amount outside [0, 1].
    """
    check_number("texture", amount, 0, 1)
    if amount == 0:
        return images, error
    if images.ndim == 5:  # phase by phase: each has its neighbours' texture at that phase
        phases = images.shape[2]
        beside = beside.repeat_interleave(len(images) // len(beside), dim=0)
        parts = [None if p is None else p.transpose(1, 2).flatten(0, 1) for p in (images, sides, weight, beside, error)]
        made = with_texture(*parts[:4], amount, parts[4])
        return tuple(p if p is None else p.unflatten(0, (-1, phases)).transpose(1, 2) for p in made)
    images, sides, weight, beside = (at_least_single(part) for part in (images, sides, weight, beside))
    shares = torch.cat([weight, 1 - weight], dim=1).clamp(0, 1).sqrt()
    wanted = []  # of each band: the grain, its strength, and the strength to reach
    for moved, acquired in zip(_bands(sides), _bands(beside), strict=True):
        softened, whole = (band.square().mean(dim=(1, 2, 3)) for band in (moved, acquired))
        put_back = whole.repeat_interleave(len(images) // len(beside)) / softened.clamp_min(1e-12)
        put_back = put_back.clamp(max=MOST_PUT_BACK)
        strength = put_back.view(-1, 1, 1, 1) * _strength(moved.square().mean(1, keepdim=True))
        grain = (shares * moved).sum(1, keepdim=True)
        wanted.append((grain, _strength(grain.square()), strength))
    full = images
    for _ in range(PASSES):
        for have, (grain, square, strength) in zip(_bands(full), wanted, strict=True):
            own, common = _strength(torch.cat([have.square(), have * grain], dim=1)).split(1, dim=1)
            # The root of (have + k grain)^2 = strength that is positive: what both have in common is not doubled.
            missing = (strength - own).clamp_min(0)
            k = ((common.square() + square * missing).sqrt() - common) / square.clamp_min(1e-12)
            full = full + F.interpolate(k, images.shape[2:], mode="bilinear") * grain
    added = amount * (full - images)
    if error is not None:
        spread = F.interpolate(_strength(added.square()), images.shape[2:], mode="bilinear")
        error = (error.square() + spread / 2).sqrt()  # a Laplace distribution of scale b has the mean square 2 b^2
    return (images + added).clamp(0, 1), error


def _bands(images: torch.Tensor) -> list[torch.Tensor]:
    """What lies between box means of growing size, the finest first; `(N, c, H, W)` each."""
    smooth = [images, *(_mean(images, window) for window in WINDOWS)]
    return [fine - coarse for fine, coarse in zip(smooth[:-1], smooth[1:], strict=True)]


def _strength(products: torch.Tensor) -> torch.Tensor:
    """Local means, on a coarse grid of cells."""
    return _mean(F.avg_pool2d(products, CELL, ceil_mode=True, count_include_pad=False), AROUND)


def _mean(images: torch.Tensor, window: int) -> torch.Tensor:
    """Means over squares, clipped at the border, by running sums, which no size of window slows down."""
    reach = window // 2
    for axis in (-1, -2):
        sides = (reach + 1, reach) if axis == -1 else (0, 0, reach + 1, reach)
        sums = F.pad(images, sides).cumsum(axis)
        size = images.shape[axis]
        place = torch.arange(size, device=images.device)
        count = (place + reach).clamp(max=size - 1) - (place - reach).clamp(min=0) + 1
        images = sums.narrow(axis, window, size) - sums.narrow(axis, 0, size)
        images = images / (count if axis == -1 else count[:, None])
    return images
