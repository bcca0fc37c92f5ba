# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Every method on the same windows: what `python -m custom.evaluation compare` measures."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from custom.errors import InputError
from custom.evaluation.bundle_methods import MethodSpec, bundle_method
from custom.evaluation.labelled import ORIGINAL, LabelledSlices
from custom.evaluation.method_grammar import parse_methods
from custom.evaluation.methods import CodecOf, Method, Networks
from custom.evaluation.modality import MODALITIES
from custom.evaluation.protocol import InterpolationBenchmark
from custom.evaluation.protocol_windows import protocol_windows
from custom.evaluation.samples import StochasticSamples
from custom.evaluation.speed import measure_speed
from custom.evaluation.steps import StepsSweep, at_steps
from custom.files import atomic
from custom.metrics.efficientnet_lite import load_lite0
from custom.metrics.inception import load_inception
from custom.metrics.perceptual import load_lpips, load_st_lpips

BASELINE = "Linear"


@dataclass(frozen=True)
class Settings:
    """What a comparison is asked for; see `custom.papers.compare.compare`."""

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
    """Methods, windows, and what has been measured of them. No network is read before it is measured.

    Args:
        settings: what is asked for.
        only: label of the one method that will be measured; nothing is looked up of the others.
        handlers: Ignite handlers of every benchmark, such as a report.

    Raises:
        InputError: settings that name what is not there, bundles without weights, data without windows.
    """

    def __init__(self, settings: Settings, only: str | None = None, handlers: Sequence[Any] = ()) -> None:
        self.settings, self.output_dir, self.handlers = settings, Path(settings.output_dir), handlers
        if settings.modality not in MODALITIES:
            raise InputError("--modality", f"is {settings.modality!r}", f"choose from {', '.join(MODALITIES)}")
        self.modality = MODALITIES[settings.modality]
        self.specs, self.skipped = parse_methods(settings.methods, settings.modality)
        self.labels = [spec.label for spec in self.specs]
        if only is not None and only not in self.labels:
            raise InputError("--only", f"is {only!r}", f"choose from {', '.join(self.labels)}")
        if settings.baseline != BASELINE and settings.baseline not in self.labels:
            raise InputError("--baseline", f"is {settings.baseline!r}", f"choose from {', '.join(self.labels)}")
        self.methods: dict[str, Method] = {spec.label: spec.method() for spec in self.specs}
        self.measured = self.labels if only is None else [only]
        for label in self.measured:
            _ = self.methods[label].fingerprint  # missing weights and wrong options are told before any work
        self.oracles = {
            f"Autoencoder of {label}": CodecOf(self.methods[label])
            for label in _first_of_each_bundle(self.specs)
            if label in self.measured and self.methods[label].has_codec
        }
        where = (settings.modality, settings.data, settings.section, settings.max_windows)
        labels = settings.segmenter is not None
        self.windows, _ = protocol_windows(*where, labels, settings.seed, settings.options)
        self.left_out = {**self.skipped, **self.windows.left_out}
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.networks = Networks(self.device)

    @cached_property
    def benchmarks(self) -> dict[str, InterpolationBenchmark]:
        """Group of windows -> its benchmark."""
        settings = self.settings
        self.output_dir.mkdir(parents=True, exist_ok=True)
        timed = {}
        if settings.timed_steps is not None:
            timed = {label: self.methods[label].in_steps(settings.timed_steps) for label in self.stepped}
        common = {"lpips": load_lpips(settings.lpips_weights), "st_lpips": load_st_lpips(), "timed": timed}
        if self.modality.has_rfid:
            common |= {"inception": load_inception(settings.inception_weights), "lite0": load_lite0()}
        common |= {"baseline": settings.baseline, "modality": settings.modality, "batch_size": settings.batch_size}
        window = self.windows.main[min(self.windows.main)][0]
        kept = self.output_dir / "parts"
        samples = StochasticSamples(self.methods, self.measured, settings.num_samples, window, self.networks, kept)
        common |= {"seed": settings.seed, "device": self.device, "coordinates": self.coordinates}
        common |= {"oracles": self.oracles, "num_samples": samples, "networks": self.networks}
        labelled = settings.segmenter is not None
        methods = {label: self.methods[label] for label in self.measured}
        benchmarks = {}
        for name, windows in self.windows.groups.items():
            own = {"keep_labelled": labelled and name == "", "val_handlers": self.handlers}
            benchmarks[name] = InterpolationBenchmark(windows, methods, self.output_dir / name, **own, **common)
        return benchmarks

    @property
    def coordinates(self) -> str:
        """Of the frames, for the axes of figures."""
        return "polar" if self.modality.key == "oct" else "cartesian"

    @property
    def stepped(self) -> list[str]:
        """Labels of the methods that sample in steps."""
        return [label for label in self.measured if self.methods[label].steps is not None]

    @cached_property
    def anatomy(self) -> LabelledSlices | None:
        """The labelled slices; None without a segmenter, or without labels."""
        if self.settings.segmenter is None:
            return None
        segmenter = bundle_method(self.settings.segmenter)
        slices = LabelledSlices(self.benchmarks[""], segmenter, min(self.windows.main))
        return slices if len(slices) else None

    def measure(self, label: str) -> dict[str, Any]:
        """All that is measured of one method, from `parts/` where it is there; returns its row of the speed table."""
        mine = [name for name, oracle in self.oracles.items() if oracle.method is self.methods[label]]
        for benchmark in self.benchmarks.values():
            for name in (label, *mine):
                benchmark.measure(name)
        speed = measure_speed(next(iter(self.benchmarks.values())), label)
        self.networks.free()
        if self.anatomy is not None:
            self.anatomy.rows(label)
        return speed

    def measure_apart(self, label: str) -> None:
        """The same in a process of its own, whose memory goes with it."""
        methods = ",".join(spec.entry for spec in self.specs)  # "all" need not be looked up again
        words = replace(self.settings, methods=methods).command()
        command = [sys.executable, "-m", "custom.evaluation", *words, "--only", label]
        code = subprocess.run(command).returncode
        if code:
            raise InputError(
                self.output_dir, f"{label} failed with exit code {code}", "the same command goes on from here"
            )

    def complete(self) -> list[dict[str, Any]]:
        """Gather the parts, so that the handlers report on them; returns the rows of the anatomy, if there are any."""
        for benchmark in self.benchmarks.values():
            benchmark.run()
        if self.settings.steps:
            self._sweep()
        if self.anatomy is None:
            if self.settings.segmenter is not None:
                self.left_out["anatomy"] = "no test window has labels"
            return []
        return [row for name in (*self.labels, ORIGINAL) for row in self.anatomy.rows(name)]

    @property
    def source(self) -> str:
        """The data, in words."""
        if self.settings.data is None:
            return f"phantom, {self.settings.section} patients"
        return f"{Path(self.settings.data).name}, {self.settings.section} patients"

    def _sweep(self) -> None:
        """Quality against steps, of the methods that have steps, on the windows of the config's own sweep."""
        if not self.stepped:
            return
        benchmark = next(iter(self.benchmarks.values()))
        methods = {label: at_steps(self.methods[label], self.settings.steps) for label in self.stepped}
        level = {spec.label: self.methods[spec.label] for spec in self.specs if not spec.is_bundle}
        windows = self.windows.sweep or {min(benchmark.windows): benchmark.windows[min(benchmark.windows)]}
        scorer = benchmark.scorer
        options = {"lpips": scorer.lpips, "st_lpips": scorer.st_lpips, "seed": scorer.seed, "device": self.device}
        options |= {"inception": scorer.extractors.get("rfid"), "lite0": scorer.extractors.get("fd_lite0")}
        options |= {"modality": self.modality.key, "coordinates": self.coordinates, "batch_size": scorer.batch_size}
        options |= {"baseline": benchmark.baseline, "networks": self.networks, "val_handlers": self.handlers}
        StepsSweep(windows, methods, self.output_dir / "steps", level, **options).run()

    def write_settings(self) -> None:
        """The settings beside the results, for whoever finds the folder."""
        with atomic(self.output_dir / "settings.json") as temporary:
            temporary.write_text(json.dumps(asdict(self.settings), indent=2) + "\n")


def _first_of_each_bundle(specs: Sequence[MethodSpec]) -> list[str]:
    """Labels of the methods whose codec is an oracle: of several that share weights, the first."""
    labels: dict[str, str] = {}
    for spec in specs:
        if spec.is_bundle and not spec.latent_average:
            labels.setdefault(spec.source, spec.label)
    return list(labels.values())
