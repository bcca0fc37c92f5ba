# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""rFID and its like: how far the features of all interpolated images of a method are from those of the true ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from custom.evaluation.records import save_arrays
from custom.metrics.frechet import frechet_distance

if TYPE_CHECKING:
    from custom.evaluation.protocol import InterpolationBenchmark

#: Frechet distances by key, as the tables head them: rFID is Inception's, FD-Lite0 EfficientNet-Lite0's.
FRECHET = {"rfid": "rFID", "fd_lite0": "FD-Lite0"}


def add_rfid(benchmark: InterpolationBenchmark) -> None:
    """Give every line of a benchmark's summary each of `FRECHET` and `rfid_images`; None without the extractor.

    Features of the methods are in `parts/`, as those of the true images are once they have been asked for.
    """
    found: dict[tuple[str, str, int], float | None] = {}
    for factor, dataset in benchmark.windows.items() if benchmark.scorer.extractors else ():
        fingerprint = benchmark.surveys[factor].fingerprint
        path = benchmark.kept(f"truth_x{factor}", "truth", fingerprint).with_suffix(".npz")
        if not path.exists():
            truths = {key: benchmark.scorer.truth_features(key, dataset) for key in benchmark.scorer.extractors}
            save_arrays(path, truths)
        with np.load(path) as stored:
            truths = dict(stored)
        for cell in (cell for cell in benchmark.data_loader if cell.factor == factor):
            with np.load(benchmark.part(cell).with_suffix(".features.npz")) as stored:
                for label, features in stored.items():
                    key, name = label.split("/", 1)
                    few = min(len(features), len(truths[key])) < 2
                    found[key, name, factor] = None if few else frechet_distance(features, truths[key])
    for line in benchmark.summary:
        distances = {key: found.get((key, line["method"], line["factor"])) for key in FRECHET}
        line |= distances | {"rfid_images": line["images"]}
