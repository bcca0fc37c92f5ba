# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a benchmark leaves for its readers: tables and figures, written when it completes."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ignite.engine import Engine, Events

from custom.evaluation.protocol import InterpolationBenchmark
from custom.evaluation.steps import StepsSweep
from custom.pictures.figures import draw_benchmark
from custom.pictures.plotting import save
from custom.pictures.steps import steps_figure
from custom.report.printed import PaperTable
from custom.report.steps import write_steps
from custom.report.tables import write_summary

logger = logging.getLogger(__name__)


class Report:
    """Ignite handler of `InterpolationBenchmark`: `summary.{csv,md,tex}` and `figures/`; of a sweep also `steps.csv`.

    Args:
        papers: modality -> the table whose numbers stand beside ours.
    """

    def __init__(self, papers: Mapping[str, PaperTable]) -> None:
        self.papers = papers

    def attach(self, engine: Engine) -> None:
        """Called by MONAI with the benchmark."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, benchmark: InterpolationBenchmark) -> None:
        """Write everything into the benchmark's folder."""
        modality, folder, scorer = benchmark.modality, benchmark.output_dir, benchmark.scorer
        where = {"device": str(scorer.device), "batch_size": scorer.batch_size}
        write_summary(benchmark.summary, folder, modality, self.papers[modality.key], **where)
        draw_benchmark(benchmark.examples(), benchmark.rows(), folder / "figures", benchmark.coordinates, modality)
        if isinstance(benchmark, StepsSweep):
            curves, levels = benchmark.curves()
            write_steps(folder / "steps.csv", curves, levels, modality)
            save(steps_figure(curves, levels, modality), folder / "figures" / "steps.png")
        logger.info("tables and figures are in %s", folder)
