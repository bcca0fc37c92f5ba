# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What each measure costs in steps (CaLID, Figure 2): one network, sampled in more and more steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from custom.evaluation.methods import Method
from custom.evaluation.protocol import InterpolationBenchmark
from custom.evaluation.summary import Line
from custom.interpolators.base import Interpolator


def at_steps(method: Method, steps: Sequence[int]) -> dict[int, Method]:
    """Number of steps -> a draw of the same method in so many."""
    return {int(count): method.in_steps(int(count)) for count in steps}


class StepsSweep(InterpolationBenchmark):
    """The benchmark of methods at several numbers of steps.

    Finished cells are kept, as in every benchmark, so more steps can be added later.

    Args:
        windows: factor -> test windows, as for the benchmark; one factor (2 in the paper).
        methods: name -> {number of steps -> the method sampled in so many}, such as "CaLID" and "CaLID+" at 1, 2, 4, 8,
            16, 64 and 128. Rows of the tables are named "CaLID, 8 steps".
        output_dir: folder of the results.
        baselines: name -> methods without steps: level lines in the figure. One of them named `baseline` is what the
            paired differences are with.
        options: further arguments of `InterpolationBenchmark`.

    Raises:
        ValueError: several factors, or what the benchmark says.
    """

    def __init__(
        self,
        windows: Mapping[int | str, Dataset],
        methods: Mapping[str, Mapping[int | str, Method | Interpolator]],
        output_dir: str | Path,
        baselines: Mapping[str, Method | Interpolator] | None = None,
        **options: Any,
    ) -> None:
        if len(windows) != 1:
            raise ValueError(f"A sweep over steps is at one factor, got windows of {len(windows)}.")
        self._steps = {f"{name}, {steps} steps": (name, int(steps)) for name, at in methods.items() for steps in at}
        self._levels = list(baselines or {})
        flat = {f"{name}, {steps} steps": method for name, at in methods.items() for steps, method in at.items()}
        options = {"modality": "cmr", "coordinates": "cartesian"} | options
        super().__init__(windows, dict(baselines or {}) | flat, output_dir, **options)

    def curves(self) -> tuple[dict[str, dict[int, Line]], dict[str, Line]]:
        """Name -> steps -> line of the summary; and name -> line of the methods without steps."""
        by_row = {line["method"]: line for line in self.summary}
        curves: dict[str, dict[int, Line]] = {}
        for row, (name, steps) in sorted(self._steps.items(), key=lambda entry: entry[1]):
            curves.setdefault(name, {})[steps] = by_row[row]
        return curves, {name: by_row[name] for name in self._levels}
