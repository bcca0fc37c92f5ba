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
