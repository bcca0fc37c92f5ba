# Copyright 2026 The CardioInterp Bundles Authors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The benchmark: one protocol for every interpolator, as an Ignite engine.

The protocol (CardioInterp, Table 1, with what the paper leaves open fixed):

- A test window is `factor + 1` consecutive acquired frames. Its ends are given to the method; only the frames between
  them are scored. A window of factor 2, 4 or 6 leaves 1, 3 or 5 unknown frames.
- Intensities are in [0, 1], the data range of PSNR and SSIM is 1.
- Every method answers the same question (`custom.interpolators.base.Interpolator`). A method that reads four
  neighbours gets the two outer ones from the window's `outer` frames where the dataset gives them, otherwise the ends
  are replicated; the tables say which.
- A stochastic method is scored twice: one sample at a time (the metrics of its K samples averaged, which is what one
  sample is worth), and the mean of its K samples (a regression estimate, which PSNR favours).
- An oracle sees the unknown frames: the autoencoder's reconstruction bounds every method that shares its latents.
- Averages and intervals are over patients (`custom.metrics.statistics`).

One iteration of the engine is one *cell*, a method at a factor. A finished cell is a file in `parts/`, named by a hash
of the method's weights and options and of every test pixel, so a killed run goes on where it was, a repeated one costs
nothing, and a changed one is measured again.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.engines import Evaluator
from torch import nn
from torch.utils.data import Dataset
from tqdm import tqdm

from custom.evaluation.batches import batches, gather_neighbours, identity, stack_frames, window_seed
from custom.evaluation.figures import draw_benchmark
from custom.evaluation.records import COLUMNS, Replacing, read_rows, write_rows
from custom.evaluation.scoring import METRICS, NOT_AVAILABLE, score_frames
from custom.evaluation.survey import Survey, fingerprint, survey_windows
from custom.evaluation.tables import summarise, write_summary
from custom.interpolators.base import Interpolator

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cell:
    """One unit of work: a method (or an oracle) at a factor."""

    method: str
    factor: int
    is_oracle: bool


@dataclass(frozen=True)
class Result:
    """One batch of one table row: frames `(B, factor - 1, 1, h, w)` and the scores of each of the B (factor - 1)."""

    name: str
    num_samples: int
    frames: torch.Tensor
    scores: Mapping[str, Sequence[float] | None]
    seconds_per_frame: float


class InterpolationBenchmark(Evaluator):
    """Score interpolators on test windows; write `metrics.csv`, `summary.{csv,md,tex}` and `figures/`.

    A rival is one more entry of `methods`.

    Args:
        windows: factor -> test windows (`custom.data.windows.GridWindowDataset` with `gap=factor`). An item has
            `image` `(factor + 1, 1, h, w)` in [0, 1], `patient`, `pullback`, `first_frame`, `crop` (y, x), and may have
            `outer`, the acquired frames beyond its ends, `(2 n, 1, h, w)`, half of them before the window.
        methods: name -> interpolator. The names are the rows of the tables.
        output_dir: folder of the results.
        device: where the methods run.
        oracles: name -> callable that maps all frames of a batch of windows, `(B, factor + 1, 1, h, w)`, to the same
            shape and range, such as an autoencoder's reconstruction.
        num_samples: name -> K for stochastic methods; with K > 1 their mean of K is a row as well.
        baseline: the method that the others are compared with, pair by pair.
        lpips: `custom.metrics.perceptual.load_lpips()`; where that is None the tables say "not available".
        seed: of the stochastic methods.
        batch_size: windows per call of a method.
        amp: run the methods under autocast.
        coordinates: "polar" or "cartesian", for the axes of the figures.
        val_handlers: Ignite handlers; `engine.state.metrics` holds the averages when the epoch completes.
    """

    def __init__(
        self,
        windows: Mapping[int | str, Dataset],
        methods: Mapping[str, Interpolator],
        output_dir: str | Path,
        device: torch.device | str = "cpu",
        oracles: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] | None = None,
        num_samples: Mapping[str, int] | None = None,
        baseline: str = "Linear",
        lpips: nn.Module | None = None,
        seed: int = 0,
        batch_size: int = 4,
        amp: bool = False,
        coordinates: str = "polar",
        val_handlers: Sequence | None = None,
    ) -> None:
        self.windows = {int(factor): dataset for factor, dataset in windows.items()}
        self.methods, self.oracles = dict(methods), dict(oracles or {})
        self.num_samples = {name: int(k) for name, k in (num_samples or {}).items()}
        if unknown := set(self.num_samples) - set(self.methods):
            raise ValueError(f"num_samples names {sorted(unknown)}, which are not among the methods.")
        if both := set(self.methods) & set(self.oracles):
            raise ValueError(f"{sorted(both)} cannot be the name of a method and of an oracle.")
        self.output_dir, self.baseline, self.coordinates = Path(output_dir), baseline, coordinates
        self.lpips = None if lpips is None else lpips.to(device)
        self.seed, self.batch_size = seed, batch_size
        cells = [
            Cell(name, factor, is_oracle)
            for is_oracle, names in ((False, self.methods), (True, self.oracles))
            for name in names
            for factor in self.windows
        ]
        super().__init__(device=device, val_data_loader=cells, decollate=False, amp=amp)
        # Before the user's handlers, so that they find the metrics in the state.
        self.add_event_handler(Events.EPOCH_COMPLETED, self._report)
        self._register_handlers(val_handlers or ())

    @cached_property
    def surveys(self) -> dict[int, Survey]:
        """What the windows of each factor are; the largest factor chooses the place that the figures show."""
        surveys: dict[int, Survey] = {}
        for factor in sorted(self.windows, reverse=True):
            place = next(iter(surveys.values())).place if surveys else None
            surveys[factor] = survey_windows(self.windows[factor], factor, place)
        return surveys

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Of every method and oracle, taken once: handlers may load weights until the first cell starts."""
        return {name: fingerprint(method) for name, method in (self.methods | self.oracles).items()}

    def part(self, cell: Cell) -> Path:
        """The file of a finished cell: its name changes with whatever could change its numbers."""
        samples = self.num_samples.get(cell.method, 1)
        content = (self.fingerprints[cell.method], self.surveys[cell.factor].fingerprint)
        options = (self.seed, samples, self.amp, self.lpips is None)
        key = hashlib.sha256(repr((cell.method, content, options)).encode()).hexdigest()[:16]
        slug = re.sub(r"\W+", "_", cell.method)
        return self.output_dir / "parts" / f"{slug}_x{cell.factor}_{key}.csv"

    def _iteration(self, engine: Engine, cell: Cell) -> dict[str, Any]:
        part = self.part(cell)
        if part.exists():
            logger.info("%s at x%d: kept from an earlier run (%s)", cell.method, cell.factor, part.name)
        else:
            part.parent.mkdir(parents=True, exist_ok=True)
            rows, examples = self._score(cell)
            # Pictures first: the table is what marks the cell as finished.
            with Replacing(part.with_suffix(".npz")) as temporary, open(temporary, "wb") as file:
                np.savez(file, **examples)
            with Replacing(part) as temporary:
                write_rows(temporary, rows)
        return {"method": cell.method, "factor": cell.factor}

    @torch.no_grad()
    def _score(self, cell: Cell) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
        """Table rows of one cell, and row name -> its frames of the example windows, `(n, factor - 1, h, w)`."""
        dataset, wanted = self.windows[cell.factor], self.surveys[cell.factor].examples
        predict = self._predict_oracle if cell.is_oracle else self._predict
        rows: list[dict[str, Any]] = []
        examples: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
        warm = self.state.device.type != "cuda"
        with tqdm(total=len(dataset), desc=f"{cell.method} x{cell.factor}", unit="window") as bar:
            for indices, items in batches(dataset, self.batch_size):
                if not warm:  # the first call on a GPU pays for its start-up, which is not the method's
                    predict(cell, items)
                    warm = True
                samples, seconds, inputs = predict(cell, items)
                results = self._results(cell, items, samples, seconds)
                for result in results:
                    rows += _rows(cell, items, inputs, result)
                    for index, frames in zip(indices, result.frames, strict=True):
                        if index in wanted:
                            examples[result.name][index] = frames[:, 0].cpu().numpy().astype(np.float16)
                bar.update(len(indices))
        stacks = {name: np.stack([frames[index] for index in wanted]) for name, frames in examples.items()}
        return sorted(rows, key=lambda row: row["samples"]), stacks

    def _predict(self, cell: Cell, items: list[dict[str, Any]]) -> tuple[list[torch.Tensor], float, str]:
        """K samples of the unknown frames, each `(B, factor - 1, 1, h, w)`; the seconds they took; the inputs."""
        method = self.methods[cell.method].to(self.state.device).eval()
        neighbours, inputs = gather_neighbours(items, method.num_neighbours)
        neighbours = neighbours.to(self.state.device)
        positions = torch.arange(1, cell.factor, device=self.state.device) / cell.factor
        samples = []
        start = self._now()
        for sample in range(self.num_samples.get(cell.method, 1)):
            seeds = [window_seed(item, self.seed, sample) for item in items]
            with torch.autocast(self.state.device.type, enabled=self.amp):
                samples.append(method.interpolate(neighbours, positions, seeds).float())
        return samples, self._now() - start, inputs

    def _predict_oracle(self, cell: Cell, items: list[dict[str, Any]]) -> tuple[list[torch.Tensor], float, str]:
        """As `_predict`, for a callable that sees every frame."""
        frames = stack_frames(items).to(self.state.device)
        start = self._now()
        with torch.autocast(self.state.device.type, enabled=self.amp):
            pred = self.oracles[cell.method](frames)[:, 1:-1].float()
        return [pred], self._now() - start, "all frames"

    def _results(
        self, cell: Cell, items: list[dict[str, Any]], samples: list[torch.Tensor], seconds: float
    ) -> list[Result]:
        """Scores of one batch: of single samples and, for a stochastic method, also of their mean."""
        truth = stack_frames(items)[:, 1:-1].to(self.state.device).flatten(0, 1)
        per_sample = [score_frames(sample.flatten(0, 1), truth, self.lpips) for sample in samples]
        single = {
            key: None if values is None else np.mean([scores[key] for scores in per_sample], axis=0)
            for key, values in per_sample[0].items()
        }
        per_frame = seconds / len(truth)
        results = [Result(cell.method, 1, samples[0], single, per_frame / len(samples))]
        if len(samples) > 1:
            mean = torch.stack(samples).mean(0)
            scores = score_frames(mean.flatten(0, 1), truth, self.lpips)
            results.append(Result(f"{cell.method} mean of {len(samples)}", len(samples), mean, scores, per_frame))
        return results

    def _now(self) -> float:
        if self.state.device.type == "cuda":
            torch.cuda.synchronize(self.state.device)
        return time.perf_counter()

    def _report(self, engine: Engine) -> None:
        """Gather the parts into tables and figures; hand the averages to the handlers."""
        rows = [row for cell in self.data_loader for row in read_rows(self.part(cell))]
        with Replacing(self.output_dir / "metrics.csv") as temporary:
            write_rows(temporary, rows)
        summary = summarise(rows, self.baseline)
        write_summary(summary, self.output_dir, device=str(self.state.device), batch_size=self.batch_size)
        draw_benchmark(self.examples(), rows, self.output_dir / "figures", self.coordinates)
        for line in summary:
            for metric in METRICS:
                if line[metric.key] is not None:
                    name = re.sub(r"[^\w\-. ]", "", line["method"])  # the characters that MLflow takes
                    engine.state.metrics[f"{name}/x{line['factor']}/{metric.key}"] = line[metric.key]
        logger.info("tables and figures are in %s", self.output_dir)

    def examples(self) -> dict[int, tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Factor -> true windows `(n, factor + 1, h, w)`, and method -> unknown frames `(n, factor - 1, h, w)`."""
        examples = {}
        for factor, survey in self.surveys.items():
            truth = stack_frames([self.windows[factor][index] for index in survey.examples])[:, :, 0].numpy()
            frames: dict[str, np.ndarray] = {}
            for cell in self.data_loader:
                if cell.factor == factor:
                    with np.load(self.part(cell).with_suffix(".npz")) as stacks:
                        frames |= {name: stack.astype(np.float32) for name, stack in stacks.items()}
            examples[factor] = (truth, frames)
        return examples


def _rows(cell: Cell, items: list[dict[str, Any]], inputs: str, result: Result) -> list[dict[str, Any]]:
    rows = []
    for k, (item, frame) in enumerate(itertools.product(items, range(1, cell.factor))):
        patient, pullback, first, crop = identity(item)
        row = (result.name, "oracle" if cell.is_oracle else "method", inputs, result.num_samples, cell.factor)
        row += (patient, pullback, first, *crop, frame, f"{frame / cell.factor:.4f}")
        row += tuple(NOT_AVAILABLE if v is None else f"{v[k]:.6f}" for v in result.scores.values())
        rows.append(dict(zip(COLUMNS, (*row, f"{result.seconds_per_frame:.6f}"), strict=True)))
    return rows
