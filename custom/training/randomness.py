# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Random draws that depend on where a training is, not on how it got there."""

from __future__ import annotations

import numpy as np
import torch


def iteration_generator(seed: int, iteration: int, rank: int = 0) -> torch.Generator:
    """A CPU generator seeded by `(seed, iteration, rank)`.

    A training that draws only from these can be killed and resumed without saving any generator's state, and draws the
    same on every device.

    Args:
        seed: of the training, not negative.
        iteration: of the engine, from 1.
        rank: of the process.
    """
    words = np.random.SeedSequence([seed, iteration, rank]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(words[0]))
