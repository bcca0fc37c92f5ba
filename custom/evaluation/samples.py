# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Which methods are stochastic, found out by asking them twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from custom.evaluation.batches import gather_neighbours, interpolate
from custom.evaluation.methods import Method, Networks
from custom.files import atomic


class StochasticSamples(Mapping[str, int]):
    """Label -> how many samples are scored: several of methods that answer another seed with another image.

    Found out when a method is measured, and kept: only running it can tell.

    Args:
        methods: label -> method.
        labels: those that are asked about.
        count: samples of a stochastic method.
        window: the test window that the methods are tried on.
        networks: runs them.
        folder: where the answers are kept.
    """

    def __init__(
        self,
        methods: Mapping[str, Method],
        labels: Sequence[str],
        count: int,
        window: dict[str, Any],
        networks: Networks,
        folder: Path,
    ) -> None:
        self.methods, self.labels, self.count = methods, labels, count
        self.window, self.networks, self.folder = window, networks, folder

    def __getitem__(self, label: str) -> int:
        return self.count if self.count > 1 and self._is_stochastic(self.methods[label]) else 1

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    @torch.no_grad()
    def _is_stochastic(self, method: Method) -> bool:
        path = self.folder / f"stochastic_{method.fingerprint[:16]}.json"
        if not path.exists():
            network, device = self.networks(method), self.networks.device
            neighbours = gather_neighbours([self.window], network.num_neighbours).to(device)
            middle = torch.tensor([0.5], device=device)
            first, second = (interpolate(network, neighbours, middle, [seed]) for seed in (0, 1))
            with atomic(path) as temporary:
                temporary.write_text(json.dumps(not torch.equal(first, second)))
        return json.loads(path.read_text())
