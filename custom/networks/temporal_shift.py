# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Temporal shift along frames (Lin et al., ICCV 2019), the P-3D block of the dual-path fusion decoder."""

from __future__ import annotations

import torch


def temporal_shift(features: torch.Tensor, fold_divisor: int = 8) -> torch.Tensor:
    """Give each frame a share of its neighbours' channels; no parameters, no arithmetic.

    The first `C // fold_divisor` channels come from the next frame, the second as many from the previous frame, the
    rest stay. Frames beyond the ends are zero.

    Args:
        features: `(B, L, C, H, W)`. Frames are their own axis here, so nothing can leak between batch items.
        fold_divisor: share of the channels that moves each way.

    Returns:
        The shifted features, `(B, L, C, H, W)`.
    """
    fold = features.shape[2] // fold_divisor
    shifted = torch.zeros_like(features)
    shifted[:, :-1, :fold] = features[:, 1:, :fold]
    shifted[:, 1:, fold : 2 * fold] = features[:, :-1, fold : 2 * fold]
    shifted[:, :, 2 * fold :] = features[:, :, 2 * fold :]
    return shifted
