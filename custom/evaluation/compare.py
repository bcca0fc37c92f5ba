# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Every method on the same windows: `python -m custom.evaluation compare`."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from custom.errors import InputError
from custom.evaluation.batches import gather_neighbours, interpolate
from custom.evaluation.bundle_methods import LoadedMethods, Oracles, load_network
from custom.evaluation.labelled import ORIGINAL, LabelledSlices
from custom.evaluation.method_grammar import parse_methods
from custom.evaluation.modality import MODALITIES
from custom.evaluation.protocol import InterpolationBenchmark
from custom.evaluation.protocol_windows import protocol_windows
from custom.evaluation.speed import measure_speed
from custom.evaluation.steps import StepsSweep
from custom.files import atomic
from custom.interpolators.variants import at_steps, variant
from custom.metrics.inception import load_inception
from custom.metrics.perceptual import load_lpips
from custom.report.comparison import write_report

BASELINE = "Linear"


@dataclass(frozen=True)
class Settings:
    """What a comparison is asked for; see `compare`."""

    modality: str
    output_dir: str
    data: str | None = None
    methods: str = "all"
    segmenter: str | None = None
    lpips_weights: str | None = None
    inception_weights: str | None = None
    max_windows: int | None = None
    num_samples: int = 1
    seed: int = 0
    baseline: str = BASELINE
    section: str = "test"
    batch_size: int = 4
    steps: tuple[int, ...] = ()
    timed_steps: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def command(self) -> list[str]:
        """The command line of this comparison, from `compare` on."""
        words = ["compare"]
        defaults = {f.name: f.default for f in fields(self) if f.name != "options"}
        for name, value in asdict(self).items():
            if name != "options" and (name not in defaults or value != defaults[name]):
                words += [f"--{name}", _word(value)]
        for name, value in self.options.items():
            words += [f"--{name}", _word(value)]
        return words


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class Comparison:
    """Methods, windows, and what has been measured of them.

    Args:
        settings: what is asked for.

    Raises:
        InputError: settings that name what is not there, bundles without weights, data without windows.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.output_dir = settings, Path(settings.output_dir)
        if settings.modality not in MODALITIES:
            raise InputError("--modality", f"is {settings.modality!r}", f"choose from {', '.join(MODALITIES)}")
        self.modality = MODALITIES[settings.modality]
        self.specs, self.skipped = parse_methods(settings.methods, settings.modality)
        self.labels = [spec.label for spec in self.specs]
        if settings.baseline != BASELINE and settings.baseline not in self.labels:
            raise InputError("--baseline", f"is {settings.baseline!r}", f"choose from {', '.join(self.labels)}")
        self.methods = LoadedMethods(self.specs)
        self.oracles = Oracles(self.methods)  # loads every network once: missing weights are told before any work
        where = (settings.modality, settings.data, settings.section, settings.max_windows)
        labels = settings.segmenter is not None
        self.groups, self.config = protocol_windows(*where, labels, settings.seed, settings.options)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    @cached_property
    def benchmarks(self) -> dict[str, InterpolationBenchmark]:
        """Group of windows -> its benchmark."""
        settings = self.settings
        self.output_dir.mkdir(parents=True, exist_ok=True)
        timed = {}
        if settings.timed_steps is not None:
            stepped = (label for label in self.labels if hasattr(self.methods[label], "num_inference_steps"))
            timed = {label: variant(self.methods[label], num_inference_steps=settings.timed_steps) for label in stepped}
        common = {"lpips": load_lpips(settings.lpips_weights), "inception": None, "timed": timed}
        if self.modality.has_rfid:
            common["inception"] = load_inception(settings.inception_weights)
        common |= {"baseline": settings.baseline, "modality": settings.modality, "batch_size": settings.batch_size}
        common |= {"seed": settings.seed, "device": self.device, "coordinates": self.coordinates}
        labelled = settings.segmenter is not None
        common |= {"oracles": self.oracles, "num_samples": self.num_samples}
        benchmarks = {}
        for name, windows in self.groups.items():
            kept = {"keep_labelled": labelled and name == ""}
            benchmarks[name] = InterpolationBenchmark(windows, self.methods, self.output_dir / name, **kept, **common)
        return benchmarks

    @property
    def coordinates(self) -> str:
        """Of the frames, for the axes of figures."""
        default = "polar" if self.modality.key == "oct" else "cartesian"
        return self.config["evaluator"].get("coordinates", default)

    @cached_property
    def num_samples(self) -> dict[str, int]:
        """Of the stochastic methods: those that answer another seed with another image."""
        count = self.settings.num_samples
        if count == 1:
            return {}
        windows = next(iter(self.groups.values()))
        item = windows[min(windows)][0]
        return {label: count for label in self.labels if self._is_stochastic(label, item)}

    @torch.no_grad()
    def _is_stochastic(self, label: str, item: dict[str, Any]) -> bool:
        method = self.methods[label].to(self.device)
        neighbours = gather_neighbours([item], method.num_neighbours).to(self.device)
        middle = torch.tensor([0.5], device=self.device)
        first, second = (interpolate(method, neighbours, middle, [seed]) for seed in (0, 1))
        return not torch.equal(first, second)

    @cached_property
    def anatomy(self) -> LabelledSlices | None:
        """The labelled slices; None without a segmenter, or without labels."""
        if self.settings.segmenter is None:
            return None
        slices = LabelledSlices(self.benchmarks[""], load_network(self.settings.segmenter), min(self.groups[""]))
        return slices if len(slices) else None

    def measure(self, label: str) -> dict[str, Any]:
        """All that is measured of one method, from `parts/` where it is there; returns its row of the speed table."""
        names = {label, *(name for name, of in self.oracles.labels.items() if of == label)}
        for benchmark in self.benchmarks.values():
            for cell in benchmark.data_loader:
                if cell.method in names:
                    benchmark.ensure(cell)
        if self.anatomy is not None:
            self.anatomy.rows(label)
        return measure_speed(next(iter(self.benchmarks.values())), label)

    def measure_apart(self, label: str) -> None:
        """The same in a process of its own, whose memory goes with it."""
        command = [sys.executable, "-m", "custom.evaluation", *self.settings.command(), "--only", label]
        code = subprocess.run(command).returncode
        if code:
            raise InputError(
                self.output_dir, f"{label} failed with exit code {code}", "the same command goes on from here"
            )

    def report(self, speed: Sequence[dict[str, Any]]) -> Path:
        """Gather the parts into tables, figures and the page; returns the page."""
        for benchmark in self.benchmarks.values():
            benchmark.run()
        if self.settings.steps:
            self._sweep()
        rows = []
        if self.anatomy is not None:
            rows = [row for name in (*self.labels, ORIGINAL) for row in self.anatomy.rows(name)]
        command = ["python", "-m", "custom.evaluation", *self.settings.command()]
        skipped = {**self.skipped}
        if self.settings.segmenter is not None and self.anatomy is None:
            skipped["anatomy"] = "no test window has labels"
        return write_report(self.benchmarks, speed, rows, self.output_dir, skipped, shlex.join(command), self.source)

    @property
    def source(self) -> str:
        """The data, in words."""
        if self.settings.data is None:
            return f"phantom, {self.settings.section} patients"
        return f"{Path(self.settings.data).name}, {self.settings.section} patients"

    def _sweep(self) -> None:
        """Quality against steps, of the methods that have steps, on the windows of the config's own sweep."""
        benchmark = next(iter(self.benchmarks.values()))
        stepped = [label for label in self.labels if hasattr(self.methods[label], "num_inference_steps")]
        if not stepped:
            return
        methods = {label: at_steps(self.methods[label], self.settings.steps) for label in stepped}
        level = {spec.label: self.methods[spec.label] for spec in self.specs if not spec.is_bundle}
        if "sweep" in self.config:
            windows = self.config.get_parsed_content("sweep#windows")
        else:
            windows = {min(benchmark.windows): benchmark.windows[min(benchmark.windows)]}
        scorer = benchmark.scorer
        options = {"lpips": scorer.lpips, "inception": scorer.inception, "seed": scorer.seed, "device": self.device}
        options |= {"modality": self.modality.key, "coordinates": self.coordinates, "batch_size": scorer.batch_size}
        StepsSweep(windows, methods, self.output_dir / "steps", level, baseline=benchmark.baseline, **options).run()


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
    comparison = Comparison(replace(settings, options=options))
    if only is not None:
        if only not in comparison.labels:
            raise InputError("--only", f"is {only!r}", f"choose from {', '.join(comparison.labels)}")
        comparison.measure(only)
        return
    _claim(comparison)
    for name, reason in comparison.skipped.items():
        print(f"[compare] {name} is left out: it {reason}", flush=True)
    speed = []
    for k, label in enumerate(comparison.labels, start=1):
        print(f"[compare] {k}/{len(comparison.labels)} {label}", flush=True)
        if separate:
            comparison.measure_apart(label)
        speed.append(comparison.measure(label))
    print(f"[compare] the page is {comparison.report(speed)}", flush=True)


def _claim(comparison: Comparison) -> None:
    """The settings beside the results, for whoever finds the folder."""
    comparison.output_dir.mkdir(parents=True, exist_ok=True)
    with atomic(comparison.output_dir / "settings.json") as temporary:
        temporary.write_text(json.dumps(asdict(comparison.settings), indent=2) + "\n")
