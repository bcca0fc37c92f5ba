# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""One cell of the benchmark: a method, or an oracle, at one factor, on all its test windows.

What runs here is in memory and on the device already: `custom.evaluation.methods.Networks` has seen to that.
"""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset
from tqdm import tqdm

from custom.evaluation.batches import (
    batches,
    describe_inputs,
    gather_neighbours,
    identity,
    interpolate,
    stack_frames,
    window_seed,
)
from custom.evaluation.modality import Modality
from custom.evaluation.records import columns
from custom.evaluation.scoring import NOT_AVAILABLE, fold_phases, score_frames
from custom.interpolators.base import Interpolator

#: A call that takes longer is timed once.
LONG_CALL_S = 5.0


@dataclass(frozen=True)
class Cell:
    """One unit of work: a method (or an oracle) at a factor."""

    method: str
    factor: int
    is_oracle: bool


@dataclass(frozen=True)
class Result:
    """One batch of one table row: frames `(B, factor - 1, 1, *space)` and the scores of each of the B (factor - 1)."""

    name: str
    num_samples: int
    frames: torch.Tensor
    scores: Mapping[str, Sequence[float] | None]
    seconds_per_frame: float


@dataclass
class Outcome:
    """What scoring a cell gives.

    Attributes:
        rows: of `metrics.csv`.
        examples: row name -> its frames of the example windows, `(n, factor - 1, *space)`, float16.
        features: "<extractor>/<row name>" -> features of all its frames, `(N, F)`; empty without extractors.
        labelled: row name -> its frames of the windows that have a label, `(n, factor - 1, *space)`, float16.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    examples: dict[str, np.ndarray] = field(default_factory=dict)
    features: dict[str, np.ndarray] = field(default_factory=dict)
    labelled: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Scorer:
    """Runs methods on windows and measures what they give; see `InterpolationBenchmark` for the attributes."""

    modality: Modality
    device: torch.device
    lpips: nn.Module | None
    extractors: Mapping[str, nn.Module]
    seed: int
    batch_size: int
    amp: bool
    st_lpips: nn.Module | None = None

    @torch.no_grad()
    def score(self, cell: Cell, subject: Any, dataset: Dataset, wanted: Sequence[int], num_samples: int = 1) -> Outcome:
        """Measure a cell on all windows.

        Args:
            cell: what is measured.
            subject: the method, or the oracle: maps all frames of a batch of windows, `(B, factor + 1, 1, *space)`, to
                the same shape and range.
            dataset: the windows.
            wanted: the windows that are the examples.
            num_samples: of a stochastic method.
        """

        def predict(items: list[dict[str, Any]]) -> tuple[list[torch.Tensor], float, list[str]]:
            if cell.is_oracle:
                return self._predict_oracle(subject, items)
            return self._predict(subject, cell.factor, num_samples, items)

        outcome = Outcome()
        examples: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
        features: dict[str, list[np.ndarray]] = defaultdict(list)
        labelled: dict[str, list[np.ndarray]] = defaultdict(list)
        warm = self.device.type != "cuda"
        with tqdm(total=len(dataset), desc=f"{cell.method} x{cell.factor}", unit="window") as bar:
            for indices, items in batches(dataset, self.batch_size):
                if not warm:  # the first call on a GPU pays for its start-up, which is not the method's
                    predict(items)
                    warm = True
                samples, seconds, inputs = predict(items)
                for result in self._results(cell, items, samples, seconds):
                    outcome.rows += self._rows(cell, items, inputs, result)
                    for key in self.extractors:
                        features[f"{key}/{result.name}"].append(self.features(key, result.frames))
                    for index, item, frames in zip(indices, items, result.frames, strict=True):
                        if index in wanted or "label" in item:
                            kept = frames[:, 0].cpu().numpy().astype(np.float16)
                            if index in wanted:
                                examples[result.name][index] = kept
                            if "label" in item:
                                labelled[result.name].append(kept)
                bar.update(len(indices))
        outcome.rows.sort(key=lambda row: row["samples"])
        outcome.examples = {name: np.stack([at[index] for index in wanted]) for name, at in examples.items()}
        outcome.features = {name: np.concatenate(parts) for name, parts in features.items()}
        outcome.labelled = {name: np.stack(kept) for name, kept in labelled.items()}
        return outcome

    def features(self, extractor: str, frames: torch.Tensor) -> np.ndarray:
        """Features of every 2D image of `(B, m, 1, *space)`, in the order window, step, phase."""
        images = fold_phases(frames.flatten(0, 1)).to(self.device)
        return self.extractors[extractor](images).float().cpu().numpy()

    @torch.no_grad()
    def truth_features(self, extractor: str, dataset: Dataset) -> np.ndarray:
        """Those of the true unknown frames of a data set, in the same order."""
        return np.concatenate(
            [self.features(extractor, stack_frames(items)[:, 1:-1]) for _, items in batches(dataset, self.batch_size)]
        )

    @torch.no_grad()
    def generation_time(self, method: Interpolator, items: list[dict[str, Any]]) -> float:
        """Median seconds, of up to three calls, per slice (cine slice) in the middle of each of these windows' gaps.

        All windows are one batch; a single one is alone in it. A first call is not counted where a device must start
        up; one that takes long is not repeated.
        """
        neighbours = gather_neighbours(items, method.num_neighbours).to(self.device)
        middle = torch.tensor([0.5], device=self.device)
        seeds = [window_seed(item, self.seed, 0) for item in items]

        def timed_call() -> float:
            start = self._now()
            with torch.autocast(self.device.type, enabled=self.amp):
                interpolate(method, neighbours, middle, seeds)
            return self._now() - start

        if self.device.type == "cuda":
            timed_call()
        times = [timed_call()]
        while len(times) < 3 and times[0] < LONG_CALL_S:
            times.append(timed_call())
        return float(np.median(times)) / len(items)

    def _predict(
        self, method: Interpolator, factor: int, num_samples: int, items: list[dict[str, Any]]
    ) -> tuple[list[torch.Tensor], float, list[str]]:
        """K samples of the unknown frames, each `(B, factor - 1, 1, *space)`; the seconds they took; items' inputs."""
        neighbours = gather_neighbours(items, method.num_neighbours).to(self.device)
        inputs = [describe_inputs(item, method.num_neighbours) for item in items]
        positions = torch.arange(1, factor, device=self.device) / factor
        samples = []
        start = self._now()
        for sample in range(num_samples):
            seeds = [window_seed(item, self.seed, sample) for item in items]
            with torch.autocast(self.device.type, enabled=self.amp):
                samples.append(interpolate(method, neighbours, positions, seeds))
        return samples, self._now() - start, inputs

    def _predict_oracle(
        self, oracle: Callable[[torch.Tensor], torch.Tensor], items: list[dict[str, Any]]
    ) -> tuple[list[torch.Tensor], float, list[str]]:
        """As `_predict`, for a callable that sees every frame."""
        frames = stack_frames(items).to(self.device)
        # An oracle of 2D images, known by the method it belongs to, sees a cine phase by phase.
        by_phase = frames.ndim == 6 and not getattr(getattr(oracle, "__self__", oracle), "takes_phases", True)
        start = self._now()
        with torch.autocast(self.device.type, enabled=self.amp):
            if by_phase:
                pred = oracle(frames.movedim(3, 1).flatten(0, 1)).unflatten(0, (len(items), -1)).movedim(1, 3)
            else:
                pred = oracle(frames)
        return [pred[:, 1:-1].float()], self._now() - start, [f"all {self.modality.image}s"] * len(items)

    def _results(
        self, cell: Cell, items: list[dict[str, Any]], samples: list[torch.Tensor], seconds: float
    ) -> list[Result]:
        """Scores of one batch: of single samples and, for a stochastic method, also of their mean."""
        truth = stack_frames(items)[:, 1:-1].to(self.device).flatten(0, 1)

        def measure(frames: torch.Tensor) -> dict[str, list[float] | None]:
            return score_frames(frames.flatten(0, 1), truth, self.lpips, self.modality.metrics, self.st_lpips)

        per_sample = [measure(sample) for sample in samples]
        single = {
            key: None if values is None else np.mean([scores[key] for scores in per_sample], axis=0)
            for key, values in per_sample[0].items()
        }
        per_frame = seconds / len(truth)
        results = [Result(cell.method, 1, samples[0], single, per_frame / len(samples))]
        if len(samples) > 1:
            mean, name = torch.stack(samples).mean(0), f"{cell.method} mean of {len(samples)}"
            results.append(Result(name, len(samples), mean, measure(mean), per_frame))
        return results

    def _rows(self, cell: Cell, items: list[dict[str, Any]], inputs: list[str], result: Result) -> list[dict[str, Any]]:
        rows, names = [], columns(self.modality.metrics)
        phases = result.frames.shape[3] if result.frames.ndim == 6 else 1
        for k, (item, step) in enumerate(itertools.product(items, range(1, cell.factor))):
            patient, scan, first, crop = identity(item)
            row = (
                result.name,
                "oracle" if cell.is_oracle else "method",
                inputs[k // (cell.factor - 1)],
                result.num_samples,
                cell.factor,
            )
            row += (patient, scan, first, *crop, step, f"{step / cell.factor:.4f}", phases)
            row += tuple(NOT_AVAILABLE if v is None else f"{v[k]:.6f}" for v in result.scores.values())
            rows.append(dict(zip(names, (*row, f"{result.seconds_per_frame:.6f}"), strict=True)))
        return rows

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()
