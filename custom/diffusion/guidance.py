# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Classifier-free guidance in the form that LVDM, and so CardioInterp, uses."""

from __future__ import annotations

import torch


def guide(eps: torch.Tensor, eps_unconditional: torch.Tensor, weight: float) -> torch.Tensor:
    """eps + weight (eps - eps_unconditional): LVDM's form, where weight 0 is no guidance.

    The usual form (Ho and Salimans, 2022, as most code writes it) is eps_u + s (eps - eps_u), which is off at s = 1.
    The two agree for s = 1 + weight: LVDM's 0.1 is the usual 1.1. Unlike LVDM's code, no other weight means off.

    Args:
        eps: noise predicted with the condition.
        eps_unconditional: noise predicted without it, shape of `eps`.
        weight: 0.1 in LVDM; more of it sharpens and raises the variance, and with it lowers PSNR.

    Returns:
        The guided noise, shape of `eps`.
    """
    return eps + weight * (eps - eps_unconditional)
