# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a bundle's `evaluate.json` runs: its method, in the variants it names, beside methods that learn nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from custom.evaluation.methods import CodecOf, Method, Networks, described, of_network
from custom.evaluation.protocol import InterpolationBenchmark
from custom.evaluation.steps import StepsSweep, at_steps
from custom.evaluation.windows import WindowGroups
from custom.interpolators.base import Interpolator
from custom.interpolators.classical import LinearFrames, NearestFrame
from custom.interpolators.optical_flow import FlowMidpoint
from custom.metrics.efficientnet_lite import load_lite0
from custom.metrics.inception import load_inception
from custom.metrics.perceptual import load_lpips, load_st_lpips
from custom.training.tracking import track_evaluation

#: What stands in every table of a modality. The first two are the floor; paired differences are with the second.
BESIDE: dict[str, dict[str, type[Interpolator]]] = {
    "oct": {"Nearest": NearestFrame, "Linear": LinearFrames},
    "cmr": {"Nearest": NearestFrame, "Pixel average": LinearFrames, "TV-L1 flow": FlowMidpoint},
}
BESIDE["cmr_cine"] = BESIDE["cmr"]


class BundleEvaluation:
    """The benchmark on the test windows and, where there are such windows, over numbers of steps and on dense stacks.

    Args:
        network_def: the bundle's network, without its weights.
        checkpoint: its weights.
        variants: row of the tables -> options of sampling that differ from those of `network_def`, such as
            `{"CaLID": {}, "CaLID+": {"refine": true}}`.
        windows: what is measured on.
        modality: "oct", "cmr" or "cmr_cine".
        output_dir: folder of the results; those of the sweep are in its `steps`, of dense stacks in its `dense`.
        device: where the methods run.
        latent_average: also a row for the average of the network's latents.
        num_samples: row -> K samples of a stochastic method.
        stepped: rows that are measured at all of `steps`, and timed at `timed_steps`.
        steps: numbers of steps of the sweep; none for no sweep.
        timed_steps: that the paper's generation time is given for; None to time nothing.
        lpips_weights: see `custom.metrics.perceptual.load_lpips`.
        inception_weights: see `custom.metrics.inception.load_inception`.
        handlers: Ignite handlers of every benchmark, such as a report.
        val_handlers: further ones, which MONAI's `--tracking` appends here.
        bundle_root: folder of the bundle, which tracked runs are named after.
        options: further arguments of `InterpolationBenchmark`: `seed`, `batch_size`, `amp`, `coordinates`.

    Raises:
        InputError: there are no weights, or an option is out of range.
    """

    def __init__(
        self,
        network_def: nn.Module,
        checkpoint: str | Path,
        variants: Mapping[str, Mapping[str, Any]],
        windows: WindowGroups,
        modality: str,
        output_dir: str | Path,
        device: torch.device | str = "cpu",
        latent_average: bool = False,
        num_samples: Mapping[str, int] | None = None,
        stepped: Sequence[str] = (),
        steps: Sequence[int] = (),
        timed_steps: int | None = None,
        lpips_weights: str | None = None,
        inception_weights: str | None = None,
        handlers: Sequence[Any] = (),
        val_handlers: Sequence[Any] = (),
        bundle_root: str | Path = ".",
        **options: Any,
    ) -> None:
        own = of_network(network_def, checkpoint)
        rows = {name: own.at(**different) for name, different in variants.items()}
        beside = {name: described(kind()) for name, kind in BESIDE[modality].items()}
        if latent_average:
            beside["Latent average"] = own.averaging_latents()
        self.methods: dict[str, Method] = beside | rows
        for method in rows.values():
            _ = method.fingerprint  # what is wrong with it is told before any work
        common = {"device": device, "modality": modality, "baseline": list(beside)[1], "networks": Networks(device)}
        common |= {"oracles": {"Autoencoder": CodecOf(own)} if own.has_codec else {}}
        common |= {"coordinates": "polar" if modality == "oct" else "cartesian", "lpips": load_lpips(lpips_weights)}
        common["st_lpips"] = load_st_lpips()
        if modality != "oct":
            common |= {"inception": load_inception(inception_weights), "lite0": load_lite0()}
        common |= options
        timed_rows = stepped if timed_steps is not None else ()
        timed = {name: rows[name].in_steps(timed_steps) for name in timed_rows}
        folder = Path(output_dir)

        def heard(part: str) -> dict[str, Any]:
            return {**common, "val_handlers": [*handlers, *track_evaluation(val_handlers, bundle_root, folder, part)]}

        main = InterpolationBenchmark(
            windows.main, self.methods, folder, timed=timed, num_samples=num_samples, **heard("")
        )
        self.benchmarks: dict[str, InterpolationBenchmark] = {"": main}
        if steps and windows.sweep:
            swept = {name: at_steps(rows[name], steps) for name in stepped}
            level = {name: method for name, method in beside.items() if name not in ("Nearest", "Latent average")}
            self.benchmarks["steps"] = StepsSweep(windows.sweep, swept, folder / "steps", level, **heard("steps"))
        if windows.dense:
            self.benchmarks["dense"] = InterpolationBenchmark(
                windows.dense, self.methods, folder / "dense", **heard("dense")
            )

    def run(self) -> None:
        """Measure what is not measured yet, and report."""
        for benchmark in self.benchmarks.values():
            benchmark.run()
