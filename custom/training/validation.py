# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Validation of an interpolator while it trains: windows become a pair of key frames and the frames between them."""

from __future__ import annotations

from typing import Any

import torch
from monai.engines import PrepareBatch


class GapPrepareBatch(PrepareBatch):
    """Splits windows `(B, L, 1, *space)` into key frames `(B, 2, *space)` and those between, `(B, L - 2, *space)`."""

    def __call__(
        self,
        batchdata: dict[str, torch.Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        frames = batchdata["image"].squeeze(2).to(device, non_blocking=non_blocking, **kwargs)
        return frames[:, [0, -1]], frames[:, 1:-1]
