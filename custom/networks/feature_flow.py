# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Feature flow between two key frames, and the frames in between that it gives (CardioInterp, section 2.2).

Flow fields are displacements in feature cells, `(B, 2, h, w)`, channel 0 along the width (x), channel 1 along the
height (y), as `torch.nn.functional.grid_sample` orders them. All of it is computed in single precision or better, under
autocast too: features that differ by less than half precision tells apart would match elsewhere.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from monai.networks.layers import MedianFilter

from custom.networks.precision import at_least_single, full_precision


def cell_grid(height: int, width: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Position (x, y) of each feature cell, `(2, h, w)`."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device, dtype=dtype), torch.arange(width, device=device, dtype=dtype), indexing="ij"
    )
    return torch.stack([x, y])


@torch.no_grad()
def feature_flow(
    source: torch.Tensor, target: torch.Tensor, search_radius: int | None = None, median: int = 0
) -> torch.Tensor:
    """Displacement from each cell of `source` to its best cosine match in `target` (CardioInterp Eq. 7).

    The printed equation is a position; a flow is that position minus the cell's own, which is what the warp needs.
    The arg-max has no gradient: training reaches the features through the warp alone.

    Args:
        source: features of the frame the flow starts from, `(B, C, h, w)`.
        target: features of the frame the flow points into, `(B, C, h, w)`.
        search_radius: how far to look, in cells along each axis; `None` looks everywhere, as printed. Speckle makes
            far matches random, so a window is the better guess where motion is known to be small.
        median: radius of a median filter over the flow in cells, against single wild matches; 0 leaves it as it is.

    Returns:
        The flow from source to target, `(B, 2, h, w)`, in cells, float32 or float64.
    """
    with full_precision(source.device):
        source, target = (F.normalize(at_least_single(features), dim=1) for features in (source, target))
        height, width = source.shape[-2:]
        if search_radius is None:
            match = torch.einsum("bcp,bcq->bpq", source.flatten(2), target.flatten(2)).argmax(dim=2)
            position = torch.stack([match % width, match // width], dim=1).to(source.dtype)
            flow = position.unflatten(2, (height, width)) - cell_grid(height, width, source.device, source.dtype)
        else:
            flow = _windowed_flow(source, target, search_radius)
        return MedianFilter(median, spatial_dims=2, device=flow.device)(flow) if median else flow


def _windowed_flow(source: torch.Tensor, target: torch.Tensor, radius: int) -> torch.Tensor:
    """Best match within `radius` cells; the zero displacement wins a tie. Features are unit vectors."""
    height, width = source.shape[-2:]
    best = (source * target).sum(1)
    flow = source.new_zeros(source.shape[0], 2, height, width)
    padded = F.pad(target, (radius,) * 4)
    inside = F.pad(target.new_ones(1, 1, height, width), (radius,) * 4)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            rows, columns = slice(radius + dy, radius + dy + height), slice(radius + dx, radius + dx + width)
            score = (source * padded[..., rows, columns]).sum(1)
            better = (score > best) & (inside[0, :, rows, columns] > 0)
            best = torch.where(better, score, best)
            flow[:, 0] = torch.where(better, float(dx), flow[:, 0])
            flow[:, 1] = torch.where(better, float(dy), flow[:, 1])
    return flow


def backward_warp(features: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Read `features` at each cell's own position plus its flow, bilinearly; beyond the border the border repeats.

    Args:
        features: `(B, C, h, w)`.
        flow: `(B, 2, h, w)` in cells.

    Returns:
        The warped features, `(B, C, h, w)`.
    """
    height, width = features.shape[-2:]
    position = cell_grid(height, width, features.device, flow.dtype) + flow
    x, y = position.unbind(1)
    grid = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], dim=-1)
    with full_precision(features.device):
        read = at_least_single(features)
        warped = F.grid_sample(read, grid.to(read.dtype), padding_mode="border", align_corners=True)
    return warped.to(features.dtype)


def flow_interpolation(
    first: torch.Tensor,
    last: torch.Tensor,
    positions: torch.Tensor,
    search_radius: int | None = None,
    median: int = 0,
    printed_weights: bool = False,
) -> torch.Tensor:
    """Features between two key frames by bidirectional feature flow (CardioInterp Eq. 8).

    As printed, Eq. 8 gives the first frame the weight δ, so that δ → 0 returns the *last* frame and contradicts
    Eq. 9. The default weighs the first frame by 1 − δ; `printed_weights` keeps the paper's form for comparison.

    Args:
        first: features of the leading key frame, `(B, C, h, w)`.
        last: features of the trailing key frame, `(B, C, h, w)`.
        positions: δ of each wanted frame, `(m,)`, in [0, 1]. At 0 and 1 the key frames' own features return.
        search_radius: see `feature_flow`.
        median: see `feature_flow`.
        printed_weights: weigh as printed.

    Returns:
        The features at each position, `(B, m, C, h, w)`.
    """
    last_to_first = feature_flow(last, first, search_radius, median)
    first_to_last = feature_flow(first, last, search_radius, median)
    frames = []
    for delta in positions.tolist():
        weight = 1 - delta if printed_weights else delta
        frames.append(
            (1 - weight) * backward_warp(first, delta * last_to_first)
            + weight * backward_warp(last, (1 - delta) * first_to_last)
        )
    return torch.stack(frames, dim=1)


def linear_interpolation(first: torch.Tensor, last: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Features between two key frames by their weighted mean (CardioInterp Eq. 9); shapes as `flow_interpolation`."""
    delta = positions.to(first).view(1, -1, *[1] * (first.ndim - 1))
    return (1 - delta) * first[:, None] + delta * last[:, None]
