# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""`python -m custom.evaluation compare`: every method on the same windows, the papers' numbers beside ours."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from custom.evaluation.compare import BASELINE, Comparison, Settings
from custom.papers.values import PAPERS
from custom.report.comparison import write_report
from custom.report.results import Report


def compare(
    modality: str,
    output_dir: str,
    data: str | None = None,
    methods: str | Sequence[str] = "all",
    segmenter: str | None = None,
    lpips_weights: str | None = None,
    inception_weights: str | None = None,
    max_windows: int | None = None,
    num_samples: int = 1,
    seed: int = 0,
    baseline: str = BASELINE,
    section: str = "test",
    batch_size: int = 4,
    steps: Sequence[int] | int = (),
    timed_steps: int | None = None,
    separate: bool = False,
    only: str | None = None,
    **options: Any,
) -> None:
    """Compare methods on the same test windows; write tables, figures and one page, `index.html`.

    What is measured of a method is kept in `parts/`: a killed comparison goes on with the same command, and one more
    method costs only itself.

    Args:
        modality: "cmr" (slices), "cmr_cine" (cine slices) or "oct" (frames).
        output_dir: folder of the results.
        data: prepared folder with its `datalist.json`; the phantom if None.
        methods: see `custom.evaluation.bundle_methods`.
        segmenter: bundle, such as medformer_sax; with it, slices that have labels are segmented and measured.
        lpips_weights: folder of LPIPS's weights; without them the column says "not available".
        inception_weights: file or folder of the Inception weights; likewise.
        max_windows: of a scan at most; by default the numbers of the main bundle's `evaluate.json`.
        num_samples: of stochastic methods; with several, their mean is a row too.
        seed: of stochastic methods and of the choice of windows.
        baseline: label of the method that the others are compared with, pair by pair.
        section: of the datalist.
        batch_size: windows per call of a method.
        steps: numbers of steps at which every method that has steps is measured besides (CaLID, Figure 2).
        timed_steps: number of steps for the paper's generation time (CaLID, Table I: 128).
        separate: run each method in a process of its own.
        only: measure this method and write no report; this is what `separate` starts.
        options: further ids of the main bundle's `evaluate.json`, such as `phantom_dir`, `phases` or `crop_size`.

    Raises:
        InputError: settings that name what is not there, bundles without weights, data without windows.
    """
    text = methods if isinstance(methods, str) else ",".join(map(str, methods))
    numbers = (int(steps),) if isinstance(steps, int | str) else tuple(int(n) for n in steps)
    settings = Settings(modality, str(output_dir), data, text, segmenter, lpips_weights, inception_weights)
    settings = replace(settings, max_windows=max_windows, num_samples=num_samples, seed=seed, baseline=baseline)
    settings = replace(settings, section=section, batch_size=batch_size, steps=numbers, timed_steps=timed_steps)
    settings = replace(settings, options=options)
    comparison = Comparison(settings, only, [Report(PAPERS)])
    if only is not None:
        comparison.measure(only)
        return
    comparison.write_settings()
    for name, reason in comparison.left_out.items():
        print(f"[compare] {name} is left out: {reason}", flush=True)
    speed = []
    for k, label in enumerate(comparison.labels, start=1):
        print(f"[compare] {k}/{len(comparison.labels)} {label}", flush=True)
        if separate:
            comparison.measure_apart(label)
        speed.append(comparison.measure(label))
    anatomy = comparison.complete()
    words = shlex.join(["python", "-m", "custom.evaluation", *settings.command()])
    told = (PAPERS[modality], comparison.left_out, words, comparison.source)
    page = write_report(comparison.benchmarks, speed, anatomy, comparison.output_dir, *told)
    print(f"[compare] the page is {page}", flush=True)
