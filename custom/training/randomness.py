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
