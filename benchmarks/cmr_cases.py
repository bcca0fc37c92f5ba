# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What is measured of cardiac MR: methods in turn on one gap, and whole files from disk to disk."""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch

from benchmarks.measure import load_network, paired_ratio, peak_mib, read_config, tiles, timed_in_turn
from custom.inferers.gaps import GapInferer
from custom.inferers.stacks import Provenance, interpolate_stack
from custom.interpolators.base import Interpolator
from custom.interpolators.calid import CaLID
from custom.interpolators.classical import LinearFrames
from custom.interpolators.optical_flow import FlowMidpoint
from custom.interpolators.variants import variant
from custom.phantoms.cmr import CmrPhantomConfig, simulate_heart
from custom.scans.stacks import inspect_stack, read_slices, to_unit

BUNDLES = Path(__file__).resolve().parents[1] / "bundles"
TITLES = {"calid": "2D", "calid_cine": "2D+T"}


def write_heart(path: Path, size: int, slices: int, phases: int, seed: int = 0) -> None:
    """A simulated cine as a scanner acquires it, 8 mm from slice to slice, in a field of view of 230 mm."""
    acquisition = {"pitch_mm": 8.0, "extent_mm": 8.0 * (slices - 1), "breath_hold_mm": 1.5, "pixel_mm": 230.0 / size}
    stack = simulate_heart(CmrPhantomConfig(num_phases=phases, matrix=size, **acquisition), seed)
    nib.save(nib.Nifti1Image(stack.image, stack.affine), path)


def weights_of(bundle: str, overrides: dict[str, Any]) -> str:
    """How large the bundle's network is, and what weights it has."""
    network, _, source = build_network(bundle, overrides, "cpu")
    millions = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    return f"{millions:.1f} million parameters, {source}"


def build_network(bundle: str, overrides: dict[str, Any], device: str) -> tuple[CaLID, GapInferer, str]:
    """Network and inferer of a bundle's `inference.json`, and where the weights come from."""
    root = BUNDLES / bundle
    parser = read_config(root / "configs" / "inference.json", overrides)
    network, source = load_network(parser, root / "models" / "model.pt", device)
    return network, parser.get_parsed_content("inferer"), source


def compare_methods(
    path: Path,
    bundles: Sequence[str],
    phases: int,
    steps: Sequence[int],
    repeats: int,
    device: str,
    overrides: dict[str, Any],
) -> list[dict[str, Any]]:
    """The slice between two neighbours of the cine, `phases` phases of it, by every method in turn.

    Ratios are to CaLID at the last number of steps, of the first bundle and of the method's own: medians over rounds of
    pairs.
    """
    methods: dict[str, Interpolator] = {"linear": LinearFrames(), "TV-L1 flow midpoint": FlowMidpoint()}
    own: dict[str, str] = {}
    for bundle in bundles:
        network = build_network(bundle, overrides, device)[0]
        last = steps[-1]
        mine = {_name("CaLID", bundle, n): variant(network, num_inference_steps=n, refine=False) for n in steps}
        mine[_name("CaLID+", bundle, last)] = variant(network, num_inference_steps=last, refine=True)
        methods |= mine
        own |= dict.fromkeys(mine, _name("CaLID", bundle, last))
    reference = _name("CaLID", bundles[0], steps[-1])
    info = inspect_stack(path)
    middle = (info.num_slices - 1) // 2
    pair = to_unit(info, read_slices(info)[middle : middle + 2])[:, np.arange(phases) % info.num_phases]
    cine = torch.from_numpy(pair).to(device)  # (2, T, H, W)
    position = torch.tensor([0.5], device=device)

    def fill(method: Interpolator) -> Callable[[], torch.Tensor]:
        neighbours = cine[None, :, None] if method.takes_phases else cine.transpose(0, 1).unsqueeze(2)
        return lambda: method.interpolate(neighbours, position, [0] * len(neighbours))

    seconds = timed_in_turn({name: fill(method) for name, method in methods.items()}, repeats, device)
    return [
        {
            "method": name,
            **_summary(timings, phases),
            "ratio": paired_ratio(timings, seconds[reference]),
            "own_ratio": paired_ratio(timings, seconds[own[name]]) if name in own else "-",
            "reference": reference,
            "size": _times(cine.shape[-2:]),
        }
        for name, timings in seconds.items()
    ]


def measure_stack(
    path: Path,
    bundle: str,
    method: str,
    slices: int,
    phases: int,
    factor: int,
    repeats: int,
    device: str,
    overrides: dict[str, Any],
    batch_size: int | None = None,
) -> dict[str, Any]:
    """One row: `slices` slices and `phases` phases of a file, interpolated from disk to disk in this process.

    Args:
        path: NIfTI with at least as many slices.
        bundle: calid or calid_cine.
        method: CaLID, CaLID+ or linear.
        slices: acquired slices, at least 2.
        phases: of the cine.
        factor: dense steps per gap.
        repeats: timings.
        device: cuda or cpu.
        overrides: ids of the bundle's inference.json.
        batch_size: None for the config's own.
    """
    chosen = {"factor": factor, "batch_size": batch_size}
    chosen = overrides | {name: value for name, value in chosen.items() if value is not None}
    network, inferer, source = build_network(bundle, chosen | {"refine": method == "CaLID+"}, device)
    divisor, name = network.divisor, _name(method, bundle, network.num_inference_steps)
    if method == "linear":
        network, divisor, name, source = LinearFrames(), (1, 1), "linear", ""
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "part.nii.gz"
        _write_part(path, part, slices, phases)
        info = inspect_stack(part)
        plane = _times(info.plane)
        idle = peak_mib(device)
        space = (phases, *info.plane)[-len(divisor) :]
        # The first call chooses algorithms and compiles kernels: not part of what a slice costs.
        network.interpolate(torch.rand(1, 2, 1, *space, device=device), torch.tensor([0.5]))
        places = itertools.count()

        def run() -> None:
            target = Path(folder) / str(next(places))  # an output that is already there would be kept
            target.mkdir()
            interpolate_stack(part, target, network, inferer, Provenance("benchmark", "0"), device)

        timings = timed_in_turn({"file": run}, repeats, device, warm_up=False)["file"]
    return {
        "method": name,
        "slices": slices,
        "phases": phases,
        "size": plane,
        "computed": _times(-(-extent // unit) * unit for extent, unit in zip(space, divisor, strict=True)),
        "tiles": tiles(network, info.plane),
        "batch_size": inferer.batch_size,
        **_summary(timings, (slices - 1) * (factor - 1) * phases),
        "idle_mib": idle,
        "peak_mib": peak_mib(device),
        "weights": source,
    }


def _write_part(path: Path, part: Path, slices: int, phases: int) -> None:
    """The middle slices of a file, and its phases from the first, over again if there are not enough."""
    info, image = inspect_stack(path), nib.load(path)
    first = (info.num_slices - slices) // 2
    values = np.asarray(image.dataobj).reshape((*info.shape[:3], info.num_phases), order="F")
    values = np.take(values, np.arange(first, first + slices), axis=info.axis)[..., np.arange(phases) % info.num_phases]
    nib.save(nib.Nifti1Image(values[..., 0] if phases == 1 else values, image.affine), part)


def _summary(timings: Sequence[float], synthetic: int) -> dict[str, Any]:
    median = statistics.median(timings)
    return {
        "synthetic": synthetic,
        "seconds": median,
        "seconds_min": min(timings),
        "seconds_max": max(timings),
        "seconds_per_slice": median / synthetic,
        "timings": " ".join(f"{seconds:.6g}" for seconds in timings),
    }


def _name(method: str, bundle: str, steps: int) -> str:
    return f"{method} ({TITLES[bundle]}), {steps} step{'s' if steps > 1 else ''}"


def _times(extents: Iterable[int]) -> str:
    return "x".join(str(extent) for extent in extents)
