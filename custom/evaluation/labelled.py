# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Anatomy of interpolated slices: segmented, and measured against the labels of the true ones (CaLID, Table II)."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import defaultdict
from typing import Any

import numpy as np
import torch

from custom.evaluation.anatomy import anatomy_rows
from custom.evaluation.batches import identity, stack_frames
from custom.evaluation.cells import Cell
from custom.evaluation.methods import Method, Networks
from custom.evaluation.protocol import InterpolationBenchmark
from custom.evaluation.scoring import fold_phases
from custom.files import atomic
from custom.geometry import spacing_from_affine

logger = logging.getLogger(__name__)

ORIGINAL = "Original"


class LabelledSlices:
    """The windows of a benchmark that have labels, and the scores of what methods give for them.

    Args:
        benchmark: made with `keep_labelled`, of `GridTripletDataset` windows with `labels`.
        segmenter: describes a network, `(N, 1, h, w)` in [0, 1] -> logits `(N, classes, h, w)`.
        factor: whose windows are looked at.
    """

    def __init__(self, benchmark: InterpolationBenchmark, segmenter: Method, factor: int) -> None:
        self.benchmark, self.factor = benchmark, factor
        self.segmenter, self.networks = segmenter, Networks(benchmark.scorer.device)
        dataset = benchmark.windows[factor]
        items = ((index, dataset[index]) for index in range(len(dataset)))
        self.items = [(index, item) for index, item in items if "label" in item]
        digest = hashlib.sha256()
        for _, item in self.items:
            digest.update(repr((identity(item), tuple(item["label_classes"]))).encode())
            digest.update(np.ascontiguousarray(item["label"]).tobytes())
        self._fingerprint = segmenter.fingerprint, digest.hexdigest()

    def __len__(self) -> int:
        return len(self.items)

    def rows(self, method: str) -> list[dict[str, Any]]:
        """Scores of a method, or of the true slices (`ORIGINAL`); kept in `parts/`.

        Returns:
            Rows of `custom.evaluation.anatomy.anatomy_rows`.
        """
        cell = Cell(method, self.factor, is_oracle=False)
        source = ORIGINAL if method == ORIGINAL else self.benchmark.part(cell).stem
        survey = self.benchmark.surveys[self.factor].fingerprint
        key = hashlib.sha256(repr((method, source, survey, self._fingerprint)).encode()).hexdigest()[:16]
        path = self.benchmark.output_dir / "parts" / f"anatomy_{key}.json"
        if path.exists():
            return json.loads(path.read_text())
        logger.info("%s: segmenting", method)
        if method == ORIGINAL:
            frames = {ORIGINAL: np.stack([stack_frames([item])[0, 1:-1, 0].numpy() for _, item in self.items])}
        else:
            frames = self.benchmark.labelled_frames(cell)
        rows = [row for name, stack in frames.items() for row in self._score(name, stack)]
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(rows))
        return rows

    def _score(self, name: str, frames: np.ndarray) -> list[dict[str, Any]]:
        """`frames` `(windows, factor - 1, [T,] h, w)`; stacks differ in pixel size and in what their labels know."""
        dataset = self.benchmark.windows[self.factor]
        groups: dict[tuple, list[int]] = defaultdict(list)
        for place, (index, item) in enumerate(self.items):
            groups[dataset.windows[index][0], tuple(int(k) for k in item["label_classes"])].append(place)
        rows = []
        for (stack, classes), places in groups.items():
            info = dataset.stacks.infos[stack]
            pixel = np.mean([mm for axis, mm in enumerate(spacing_from_affine(info.affine)) if axis != info.axis])
            images = fold_phases(torch.from_numpy(frames[places]).flatten(0, 1).unsqueeze(1))
            labels = torch.stack([torch.as_tensor(self.items[place][1]["label"][1:-1]) for place in places])
            labels = fold_phases(labels.flatten(0, 1))
            per_window = len(images) // len(places)
            identities = []
            for place in places:
                patient, scan, first, _ = identity(self.items[place][1])
                identities += [
                    {"patient": patient, "scan": scan, "first": first, "image": k} for k in range(per_window)
                ]
            images = images.to(self.benchmark.scorer.device)
            pixel_mm = [float(pixel)] * len(images)
            rows += anatomy_rows(self.networks(self.segmenter), name, images, labels, pixel_mm, identities, classes)
        return rows
