# Copyright 2026 The CardioInterp Bundles Authors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

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
