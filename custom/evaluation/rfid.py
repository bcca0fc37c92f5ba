# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""rFID: how far the features of all interpolated images of a method are from those of the true ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from custom.evaluation.records import save_arrays
from custom.metrics.frechet import frechet_distance

if TYPE_CHECKING:
    from custom.evaluation.protocol import InterpolationBenchmark


def add_rfid(benchmark: InterpolationBenchmark) -> None:
    """Give every line of a benchmark's summary `rfid` and `rfid_images`; None without the extractor.

    Features of the methods are in `parts/`, as those of the true images are once they have been asked for.
    """
    found: dict[tuple[str, int], float | None] = {}
    for factor, dataset in benchmark.windows.items() if benchmark.scorer.inception is not None else ():
        fingerprint = benchmark.surveys[factor].fingerprint
        path = benchmark.kept(f"truth_x{factor}", "truth", fingerprint).with_suffix(".npz")
        if not path.exists():
            save_arrays(path, {"truth": benchmark.scorer.truth_features(dataset)})
        with np.load(path) as stored:
            truth = stored["truth"]
        for cell in (cell for cell in benchmark.data_loader if cell.factor == factor):
            with np.load(benchmark.part(cell).with_suffix(".features.npz")) as stored:
                for name, features in stored.items():
                    few = min(len(features), len(truth)) < 2
                    found[name, factor] = None if few else frechet_distance(features, truth)
    for line in benchmark.summary:
        line |= {"rfid": found.get((line["method"], line["factor"])), "rfid_images": line["images"]}
