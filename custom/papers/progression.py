# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What diffusion methods expect on their way from noise to a slice (CaLID, Figure 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from custom.errors import InputError
from custom.evaluation.batches import gather_neighbours, interpolate, stack_frames, window_seed
from custom.evaluation.method_grammar import parse_methods
from custom.evaluation.methods import Networks
from custom.evaluation.protocol_windows import protocol_windows
from custom.evaluation.survey import survey_windows
from custom.interpolators.base import Interpolator
from custom.interpolators.variants import variant
from custom.pictures.plotting import label_row, panels, save, show_frame


@torch.no_grad()
def clean_estimates(method: Interpolator, item: dict[str, Any], num_steps: int, seed: int) -> list[torch.Tensor]:
    """What a method takes the middle slice of a window to be after 1, 2, ..., `num_steps` steps of so many.

    Args:
        method: has `num_inference_steps`, and an `interpolate` that takes the sampler's callback.
        item: a test window of three slices.
        num_steps: of the whole way.
        seed: of its noise.

    Returns:
        `num_steps` slices `(*space)`.
    """
    neighbours = gather_neighbours([item], method.num_neighbours)
    method, middle, slices = variant(method, num_inference_steps=num_steps), torch.tensor([0.5]), []
    for steps in range(1, num_steps + 1):

        def arrived(done: int, clean: torch.Tensor, steps: int = steps) -> bool:
            return done == steps

        slices.append(interpolate(method, neighbours, middle, [seed], callback=arrived)[0, 0, 0])
    return slices


def progression_figure(
    truth: np.ndarray, estimates: Mapping[str, Sequence[np.ndarray]], shown: Sequence[int]
) -> Figure:
    """A row per method, a column per step shown, the truth last.

    Args:
        truth: `(h, w)` in [0, 1].
        estimates: method -> slices after 1, 2, ... steps.
        shown: numbers of steps to show.
    """
    h, w = truth.shape
    white = float(np.percentile(truth, 99.8)) or 1.0
    columns, rows = len(shown) + 1, len(estimates)
    figure, axes = panels(rows, columns, 1.4 * columns + 1.3, 1.4 * h / w * rows + 0.4)
    for row, (name, slices) in enumerate(estimates.items()):
        for column, steps in enumerate(shown):
            error = float(np.square(slices[steps - 1].clip(0, 1) - truth).mean())
            note = f"{-10 * np.log10(max(error, 1e-10)):.1f} dB"
            show_frame(axes[row, column], slices[steps - 1], True, note, white)
            axes[0, column].set_title(f"t = {len(slices) - steps}", fontsize=9)
        show_frame(axes[row, -1], truth, False, vmax=white)
        label_row(axes[row, 0], name)
    axes[0, -1].set_title("truth", fontsize=9)
    return figure


def progression(
    output_dir: str,
    methods: str | Sequence[str] = "diffae,dmcvr,calid",
    data: str | None = None,
    modality: str = "cmr",
    num_steps: int = 10,
    shown: Sequence[int] = (1, 2, 3, 5, 8, 10),
    seed: int = 0,
    section: str = "test",
    **options: Any,
) -> Path:
    """Draw `progression.png`: the estimates of the clean slice along the way, of one test window.

    Args:
        output_dir: folder of the figure.
        methods: see `custom.evaluation.method_grammar`.
        data: prepared folder; the phantom if None.
        modality: "cmr" or "oct".
        num_steps: of the whole way, 10 in the paper.
        shown: after how many steps; the paper's timesteps 9, 8, 7, 5, 2 and 0 by default.
        seed: of the noise.
        section: of the datalist.
        options: further ids of the main bundle's `evaluate.json`.

    Raises:
        InputError: a method without steps, and what `custom.papers.compare.compare` raises.
    """
    specs, _ = parse_methods(methods, modality)
    described = {spec.label: spec.method() for spec in specs}
    for label, method in described.items():
        if method.steps is None:
            raise InputError(label, "samples in no steps", "choose --methods among the diffusion methods")
    groups, _ = protocol_windows(modality, data, section, 1, seed=seed, options=options)
    factor = min(groups.main)
    windows = groups.main[factor]
    examples = survey_windows(windows, factor).examples
    item = windows[examples[len(examples) // 2]]
    noise = window_seed(item, seed, 0)
    networks, estimates = Networks(), {}
    for label, method in described.items():
        slices = clean_estimates(networks(method.in_steps(num_steps)), item, num_steps, noise)
        estimates[label] = [estimate.numpy() for estimate in slices]
    truth = stack_frames([item])[0, factor // 2, 0].numpy()
    path = Path(output_dir) / "progression.png"
    save(progression_figure(truth, estimates, shown), path)
    print(f"wrote {path}")
    return path
