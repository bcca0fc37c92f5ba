# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The benchmark: one protocol for every interpolator, as an Ignite engine.

The protocol (CardioInterp, Table 1, and CaLID, Table I, with what the papers leave open fixed), for frames of OCT
pullbacks and slices of cardiac MR stacks alike, here called frames:

- A test window is `factor + 1` consecutive true frames. Its ends are given to the method; only the frames between
  them are scored. A window of factor 2, 4 or 6 leaves 1, 3 or 5 unknown frames. CaLID's triplets are factor 2.
- A cine slice, `(T, H, W)`, is scored phase by phase and averaged; a 2D method is given it phase by phase.
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
nothing, not even the loading of a network, and a changed one is measured again. Tables and figures are the business of
the handlers (`custom.report.results.Report`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.engines import Evaluator
from torch import nn
from torch.utils.data import Dataset

from custom.evaluation.batches import stack_frames
from custom.evaluation.cells import Cell, Scorer
from custom.evaluation.methods import CodecOf, Method, Networks, described, fingerprint
from custom.evaluation.modality import MODALITIES
from custom.evaluation.records import read_rows, save_arrays, write_rows
from custom.evaluation.rfid import FRECHET, add_rfid
from custom.evaluation.summary import Line, summarise
from custom.evaluation.survey import Survey, survey_windows
from custom.files import atomic
from custom.interpolators.base import Interpolator

logger = logging.getLogger(__name__)

#: Maps all frames of a batch of windows, `(B, factor + 1, 1, *space)`, to the same shape and range.
Oracle = Callable[[torch.Tensor], torch.Tensor]


class InterpolationBenchmark(Evaluator):
    """Score interpolators on test windows; write `metrics.csv`, and with a `Report` among the handlers all the rest.

    A rival is one more entry of `methods`.

    Args:
        windows: factor -> test windows (`custom.data.windows.GridWindowDataset` or
            `custom.data.triplets.GridTripletDataset` with `gap=factor`). An item has `image` `(factor + 1, 1, *space)`
            in [0, 1], `patient`, `scan`, `first`, `crop` (y, x), and may have `stride` (by default the data set's) and
            `outer`, the frames beyond its ends, `(2 n, 1, *space)`, half of them before the window.
        methods: name -> its description, or an interpolator in memory. The names are the rows of the tables.
        output_dir: folder of the results.
        device: where the methods run.
        oracles: name -> the codec of a method, or a callable that sees all frames.
        num_samples: name -> K for stochastic methods; with K > 1 their mean of K is a row as well.
        baseline: the method that the others are compared with, pair by pair.
        lpips, st_lpips: see `custom.metrics.perceptual`; where one is None the tables say "not available".
        seed: of the stochastic methods.
        batch_size: windows per call of a method.
        amp: run the methods under autocast.
        coordinates: "polar" or "cartesian", for the axes of the figures.
        modality: "oct", "cmr" (slices) or "cmr_cine" (cine slices): measures and words of the tables.
        inception, lite0: extractors of rFID and FD-Lite0, see `custom.metrics`; likewise.
        timed: name of a method -> the same method at the steps that the paper's generation time is given for (128).
        keep_labelled: keep what every method gives for windows that have a `label` (`labelled_frames`).
        networks: holds the network that runs; benchmarks that share it load a method once.
        val_handlers: Ignite handlers; `engine.state.metrics` holds the averages when the epoch completes.
    """

    def __init__(
        self,
        windows: Mapping[int | str, Dataset],
        methods: Mapping[str, Method | Interpolator],
        output_dir: str | Path,
        device: torch.device | str = "cpu",
        oracles: Mapping[str, CodecOf | Oracle] | None = None,
        num_samples: Mapping[str, int] | None = None,
        baseline: str = "Linear",
        lpips: nn.Module | None = None,
        seed: int = 0,
        batch_size: int = 4,
        amp: bool = False,
        coordinates: str = "polar",
        modality: str = "oct",
        inception: nn.Module | None = None,
        timed: Mapping[str, Method | Interpolator] | None = None,
        keep_labelled: bool = False,
        networks: Networks | None = None,
        val_handlers: Sequence | None = None,
        st_lpips: nn.Module | None = None,
        lite0: nn.Module | None = None,
    ) -> None:
        self.windows = {int(factor): dataset for factor, dataset in windows.items()}
        self.methods = {name: described(method) for name, method in methods.items()}
        self.oracles, self.num_samples = dict(oracles or {}), {} if num_samples is None else num_samples
        self.timed = {name: described(method) for name, method in (timed or {}).items()}
        self.networks, self.keep_labelled = networks or Networks(device), keep_labelled
        for option, names in (("num_samples", self.num_samples), ("timed", self.timed)):
            if unknown := set(names) - set(self.methods):
                raise ValueError(f"{option} names {sorted(unknown)}, which are not among the methods.")
        if modality not in MODALITIES:
            raise ValueError(f"There is no modality {modality!r}; choose from {', '.join(MODALITIES)}.")
        if both := set(self.methods) & set(self.oracles):
            raise ValueError(f"{sorted(both)} cannot be the name of a method and of an oracle.")
        self.output_dir, self.baseline, self.coordinates = Path(output_dir), baseline, coordinates
        self.modality = MODALITIES[modality]
        lpips, st_lpips = (None if network is None else network.to(device) for network in (lpips, st_lpips))
        given = {"rfid": inception, "fd_lite0": lite0} if self.modality.has_rfid else {}
        extractors = {key: network.to(device) for key, network in given.items() if network is not None}
        self.scorer = Scorer(self.modality, torch.device(device), lpips, extractors, seed, batch_size, amp, st_lpips)
        cells = [
            Cell(name, factor, is_oracle)
            for is_oracle, names in ((False, self.methods), (True, self.oracles))
            for name in names
            for factor in self.windows
        ]
        super().__init__(device=device, val_data_loader=cells, decollate=False, amp=amp)
        # Before the user's handlers, so that they find the metrics in the state.
        self.add_event_handler(Events.EPOCH_COMPLETED, self._gather)
        self._register_handlers(val_handlers or ())

    @cached_property
    def surveys(self) -> dict[int, Survey]:
        """What the windows of each factor are; the largest factor chooses the place that the figures show."""
        surveys: dict[int, Survey] = {}
        for factor in sorted(self.windows, reverse=True):
            place = next(iter(surveys.values())).place if surveys else None
            surveys[factor] = survey_windows(self.windows[factor], factor, place)
        return surveys

    def fingerprint(self, name: str) -> str:
        """Of a method or an oracle."""
        return fingerprint(self.oracles[name] if name in self.oracles else self.methods[name])

    def part(self, cell: Cell) -> Path:
        """The file of a finished cell: its name changes with whatever could change its numbers."""
        content = (self.fingerprint(cell.method), self.surveys[cell.factor].fingerprint)
        return self.kept(f"{cell.method}_x{cell.factor}", cell.method, *content, self._samples(cell))

    def kept(self, name: str, *content: object) -> Path:
        """A file of finished work in `parts/`, its name `name` and a hash of all that decides what is in it."""
        scorer = self.scorer
        options = (scorer.seed, scorer.amp, scorer.lpips is None, scorer.st_lpips is None, self.modality.key)
        options += tuple(scorer.extractors)
        key = hashlib.sha256(repr((content, options)).encode()).hexdigest()[:16]
        return self.output_dir / "parts" / f"{re.sub(r'[^A-Za-z0-9_]+', '_', name)}_{key}.csv"

    def _samples(self, cell: Cell) -> int:
        return 1 if cell.is_oracle else int(self.num_samples.get(cell.method, 1))

    def _iteration(self, engine: Engine, cell: Cell) -> dict[str, Any]:
        self.ensure(cell)
        return {"method": cell.method, "factor": cell.factor}

    def measure(self, name: str) -> None:
        """All cells of a method or an oracle, and its generation time, unless that is done."""
        for cell in (cell for cell in self.data_loader if cell.method == name):
            self.ensure(cell)
        if name in self.timed:
            self.generation_time(name)

    def ensure(self, cell: Cell) -> Path:
        """Score a cell unless that is done; returns its part."""
        part = self.part(cell)
        labelled = part.with_suffix(".labelled.npz")
        if part.exists() and (labelled.exists() or not self.keep_labelled):
            logger.info("%s at x%d: kept from an earlier run (%s)", cell.method, cell.factor, part.name)
        else:
            subject, windows = self._in_memory(cell), self.windows[cell.factor]
            examples = self.surveys[cell.factor].examples
            outcome = self.scorer.score(cell, subject, windows, examples, self._samples(cell))
            # Pictures and features first: the table is what marks the cell as finished.
            save_arrays(part.with_suffix(".npz"), outcome.examples)
            if outcome.features:
                save_arrays(part.with_suffix(".features.npz"), outcome.features)
            if self.keep_labelled:
                save_arrays(labelled, outcome.labelled)
            with atomic(part) as temporary:
                write_rows(temporary, outcome.rows)
        return part

    def _in_memory(self, cell: Cell) -> Interpolator | Oracle:
        """What a cell measures, on the device."""
        if not cell.is_oracle:
            return self.networks(self.methods[cell.method])
        oracle = self.oracles[cell.method]
        return self.networks(oracle.method).reconstruct if isinstance(oracle, CodecOf) else oracle

    def generation_time(self, name: str) -> float:
        """Seconds of one slice alone by a timed method, see `Scorer.generation_time`; from `parts/` if it is there."""
        factor, method = min(self.windows), self.timed[name]
        survey = self.surveys[factor]
        content = (method.fingerprint, survey.fingerprint, str(self.scorer.device))
        path = self.kept(f"time_{name}", *content).with_suffix(".json")
        if not path.exists():
            logger.info("%s: timing one slice", name)
            window = self.windows[factor][survey.examples[0]]
            value = self.scorer.generation_time(self.networks(method), [window])
            with atomic(path) as temporary:
                temporary.write_text(json.dumps(value))
        return json.loads(path.read_text())

    def _gather(self, engine: Engine) -> None:
        """Gather the parts into `metrics.csv` and their averages; hand these to the handlers."""
        rows = self.rows()
        with atomic(self.output_dir / "metrics.csv") as temporary:
            write_rows(temporary, rows)
        self.summary: list[Line] = summarise(rows, self.baseline, self.modality)
        if self.modality.has_rfid:
            add_rfid(self)
        if self.timed:
            seconds = {name: self.generation_time(name) for name in self.timed}
            for line in self.summary:
                line["gen_seconds"] = seconds.get(line["method"])
        keys = [metric.key for metric in self.modality.metrics] + list(FRECHET)
        for line in self.summary:
            for key in keys:
                if line.get(key) is not None:
                    name = re.sub(r"[^\w\-. ]", "", line["method"])  # the characters that MLflow takes
                    engine.state.metrics[f"{name}/x{line['factor']}/{key}"] = line[key]

    def rows(self) -> list[dict[str, str]]:
        """The rows of `metrics.csv`, as text, of cells that are all finished."""
        return [row for cell in self.data_loader for row in read_rows(self.part(cell))]

    def labelled_frames(self, cell: Cell) -> dict[str, np.ndarray]:
        """Row name -> its frames of the windows that have a label, in their order, `(n, factor - 1, *space)`."""
        with np.load(self.ensure(cell).with_suffix(".labelled.npz")) as stacks:
            return {name: stack.astype(np.float32) for name, stack in stacks.items()}

    def examples(self) -> dict[int, tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Factor -> true windows `(n, factor + 1, *space)`, and method -> unknown frames `(n, factor - 1, *space)`."""
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
