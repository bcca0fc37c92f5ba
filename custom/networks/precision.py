# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Where half precision would change the result and not just its last digits."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def full_precision(device: torch.device) -> AbstractContextManager:
    """Inside, autocast is off on `device`; tensors that are in half precision already stay so."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def at_least_single(values: torch.Tensor) -> torch.Tensor:
    """The same values as float32, or float64 where they are that."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
