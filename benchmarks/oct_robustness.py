# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Every method on the same frames in five samplings, x2, x4 and x6: fidelity, speckle, wall; a table in Markdown.

    python benchmarks/oct_robustness.py --frames PULLBACK --range 101:130 --output_dir OUT
    python benchmarks/oct_robustness.py --frames LATER --range 1:40 --output_dir OUT2 --methods linear,motion_oct

A method is an entry of `custom.evaluation.method_grammar`: `new=cardiointerp?checkpoint=trial/model.pt` measures other
weights of a bundle beside its own. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import fire

from custom.errors import report_input_errors
from custom.evaluation.method_grammar import parse_methods
from custom.evaluation.oct_sampling import frame_range
from custom.evaluation.robustness import measure_cells
from custom.evaluation.scenes import phantom_scenes, real_scenes
from custom.files import atomic
from custom.report.robustness import robustness_page

METHODS = "Linear=linear,motion_oct,unet_regression_oct,cardiointerp"


def robustness(
    frames: str,
    output_dir: str,
    range: str | Sequence[int] = "101:130",
    methods: str | Sequence[str] = METHODS,
    samplings: str | Sequence[str] | None = None,
    factors: Sequence[int] = (2, 4, 6),
    phantoms: int = 2,
    max_windows: int | None = None,
    baseline: str = "Linear",
    seed: int = 0,
    blood: bool = False,
) -> None:
    """Measure, print and write `OUT/robustness.md`.

    Args:
        frames: a pullback as exported (DICOM, images, arrays), Cartesian or polar.
        output_dir: gets the table and `cells/`.
        range: FIRST:LAST, numbers of its frames, from 1 on.
        methods: which, see above; the first is measured first.
        samplings: names of `custom.evaluation.oct_sampling.SAMPLINGS`, separated by commas; all five by default.
        factors: steps per gap.
        phantoms: test patients of the phantom, with dense truth, to measure as well.
        max_windows: gaps of a scene at most; all by default.
        baseline: label of the method that the others are compared with.
        seed: of stochastic methods.
        blood: put simulated blood into the polar samplings, truth included (`custom.evaluation.scenes.BLOOD`).

    Raises:
        InputError: no such file, frames, method or sampling; a bundle without weights.
    """
    specs, _ = parse_methods(methods, "oct")
    found = {spec.label: spec.method() for spec in specs}
    for method in found.values():
        _ = method.fingerprint  # missing weights are told before any work
    names = samplings.split(",") if isinstance(samplings, str) else samplings
    first, last = frame_range(range)
    scenes = real_scenes(frames, first, last, names, blood) | phantom_scenes(phantoms)
    factors = [factors] if isinstance(factors, int) else list(factors)
    cells = measure_cells(scenes, found, output_dir, factors, max_windows, seed)
    page = robustness_page(cells, scenes, baseline, f"{Path(frames).name}, frames {first} to {last}")
    with atomic(Path(output_dir) / "robustness.md") as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(page)


def main() -> None:
    """Command line."""
    report_input_errors()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    fire.Fire(robustness)


if __name__ == "__main__":
    main()
