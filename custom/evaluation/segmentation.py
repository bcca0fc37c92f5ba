# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""How good a segmenter is on left-out patients: overlap and surfaces per structure, and the measures of the heart."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from ignite.handlers import ProgressBar
from monai.engines import Evaluator
from torch import nn
from torch.utils.data import DataLoader, Dataset

from custom.evaluation.records import write_rows
from custom.files import atomic
from custom.inferers.segmentation import segment_slices
from custom.metrics.clinical import heart_measures
from custom.metrics.statistics import bootstrap_interval
from custom.metrics.surfaces import DISTANCES, class_scores
from custom.scans.labels import CLASS_NAMES
from custom.scans.nifti import check_output_dir
from custom.training.tracking import track_evaluation

logger = logging.getLogger(__name__)


class SegmentationBenchmark(Evaluator):
    """Segments test stacks, one an iteration, and writes what that is worth.

    Files: `metrics.csv`, a row per structure and phase of a stack (3D surfaces) and per structure and slice (2D);
    `summary.csv` and `summary.md`, means over patients; `measures.csv`, volumes, ejection fraction and mass beside
    those of the true masks, where these know all structures. A structure that one side lacks is a miss: Dice 0, no
    distance.

    Args:
        dataset: `custom.data.labelled_slices.LabelledStackDataset`.
        network: the segmenter, in evaluation mode.
        output_dir: made if needed.
        device: where the network is.
        batch_size: slices at a time.
        seed: of the bootstrap.
        val_handlers: Ignite handlers, which MONAI's `--tracking` appends here; `engine.state.metrics` holds the means
            when the epoch completes.
        bundle_root: folder of the bundle, which tracked runs are named after.

    Attributes:
        summary: the lines of `summary.csv`, after `run`.
    """

    def __init__(
        self,
        dataset: Dataset,
        network: nn.Module,
        output_dir: str | Path,
        device: torch.device | str = "cpu",
        batch_size: int = 16,
        seed: int = 0,
        val_handlers: Sequence[Any] = (),
        bundle_root: str | Path = ".",
    ) -> None:
        super().__init__(device, DataLoader(dataset, batch_size=None), decollate=False)
        self.network, self.output_dir, self.batch_size, self.seed = network, Path(output_dir), batch_size, seed
        self.summary: list[dict[str, Any]] = []
        self._rows: list[dict[str, Any]] = []
        self._measures: list[dict[str, Any]] = []
        ProgressBar(desc="segmentation").attach(self)
        # Before the user's handlers, so that they find the metrics in the state.
        self.add_event_handler(Events.EPOCH_COMPLETED, self._gather)
        self._register_handlers(track_evaluation(val_handlers, bundle_root, self.output_dir))

    def run(self, global_epoch: int = 1) -> None:
        """Do all stacks."""
        check_output_dir(self.output_dir)
        self._rows, self._measures = [], []
        super().run(global_epoch)

    def _iteration(self, engine: Engine, item: Mapping[str, Any]) -> dict[str, Any]:
        slices = item["image"].flatten(0, 1)[:, None]
        pred = segment_slices(self.network, slices, self.batch_size, self.state.device).reshape(item["label"].shape)
        self._rows += _scores(pred, item)
        if set(item["label_classes"]) == set(CLASS_NAMES):
            self._measures += _measures(pred, item)
        return {"scan": item["scan"]}

    def _gather(self, engine: Engine) -> None:
        """Write the tables, and hand their means to the handlers."""
        self.summary = summarise(self._rows, self.seed)
        for name, table in (("metrics", self._rows), ("summary", self.summary), ("measures", self._measures)):
            if table:
                with atomic(self.output_dir / f"{name}.csv") as path:
                    write_rows(path, table)
        with atomic(self.output_dir / "summary.md") as path:
            path.write_text(_markdown(self.summary), encoding="utf-8")
        logger.info("%s\n%s", self.output_dir / "summary.md", _markdown(self.summary))
        for line in self.summary:
            for key in ("dice", *DISTANCES):
                if line[key] is not None:
                    engine.state.metrics[f"{line['kind']}/{line['structure']}/{key}"] = line[key]


def _scores(pred: np.ndarray, item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of one stack; `pred` is `(N, T, H, W)`."""
    truth, spacing, rows = item["label"].numpy(), item["spacing_mm"], []
    for phase in range(truth.shape[1]):
        cases = [("3D", "", pred[:, phase], truth[:, phase], spacing)]
        cases += [("2D", k, pred[k, phase], truth[k, phase], spacing[1:]) for k in range(len(truth))]
        for kind, place, mine, theirs, millimetres in cases:
            for structure, scores in class_scores(mine, theirs, millimetres, item["label_classes"]).items():
                if scores is not None:
                    where = {"patient": item["patient"], "scan": item["scan"], "phase": phase}
                    kinds = {"kind": kind, "slice": place, "structure": CLASS_NAMES[structure]}
                    rows.append(where | kinds | asdict(scores))
    return rows


def _measures(pred: np.ndarray, item: Mapping[str, Any]) -> list[dict[str, Any]]:
    ours = heart_measures(pred, item["voxel_mm3"]).rows()
    true = heart_measures(item["label"].numpy(), item["voxel_mm3"]).rows()
    where = {"patient": item["patient"], "scan": item["scan"]}
    return [
        where | {key: mine[key] for key in ("measure", "unit", "phase", "value")} | {"true": theirs["value"]}
        for mine, theirs in zip(ours, true, strict=True)
    ]


def summarise(rows: Sequence[Mapping[str, Any]], seed: int = 0) -> list[dict[str, Any]]:
    """One line per structure and kind: numbers of patients, cases and misses, and means over patients.

    Args:
        rows: of `metrics.csv`.
        seed: of the bootstrap.

    Returns:
        Lines with `kind`, `structure`, `patients`, `cases`, `misses`, and for Dice and each distance its mean and
        interval `…_low`, `…_high`. Dice counts a miss as 0, distances are of what was found; None without any.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["kind"], row["structure"]].append(row)
    lines = []
    for (kind, structure), mine in sorted(groups.items()):
        line: dict[str, Any] = {"kind": kind, "structure": structure}
        line |= {"patients": len({row["patient"] for row in mine}), "cases": len(mine)}
        line["misses"] = sum(row["missed"] for row in mine)
        for name in ("dice", *DISTANCES):
            values: dict[str, list[float]] = defaultdict(list)
            for row in mine:
                if row[name] is not None:
                    values[row["patient"]].append(row[name])
            interval = bootstrap_interval(values, seed=seed) if values else (None, None, None)
            line |= dict(zip((name, f"{name}_low", f"{name}_high"), interval, strict=True))
        lines.append(line)
    return lines


def _markdown(lines: Sequence[Mapping[str, Any]]) -> str:
    header = ["Kind", "Structure", "Patients", "Cases", "Missed", "Dice", *(f"{d.upper()} (mm)" for d in DISTANCES)]
    table = [header, ["---"] * len(header)]
    for line in lines:
        cells = [line[key] for key in ("kind", "structure", "patients", "cases", "misses")]
        for name in ("dice", *DISTANCES):
            mean, low, high = (line[key] for key in (name, f"{name}_low", f"{name}_high"))
            digits = 3 if name == "dice" else 2
            text = "-" if mean is None else f"{mean:.{digits}f}"
            cells.append(text if low is None else f"{text} [{low:.{digits}f}, {high:.{digits}f}]")
        table.append(cells)
    note = "Means over patients with 95 % bootstrap intervals. A miss has Dice 0 and no distance.\n\n"
    return note + "".join(f"| {' | '.join(map(str, row))} |\n" for row in table)
