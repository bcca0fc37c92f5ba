# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Whole frames, sampled in several ways, filled by every method at every factor: fidelity, speckle, wall.

One cell is a method at a factor on a scene. A finished cell is a file named by a hash of all that decides its numbers,
so a killed run goes on where it was, and new weights are measured anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from custom.data.outer import with_outer
from custom.evaluation.batches import gather_neighbours, interpolate, window_seed
from custom.evaluation.methods import Method, Networks
from custom.evaluation.scenes import Scene, firsts
from custom.files import atomic
from custom.interpolators.base import Interpolator
from custom.metrics.fidelity import psnr, ssim
from custom.metrics.lumen import LumenContours, contour_error, contour_jumps, lumen_contours
from custom.metrics.speckle import speckle_statistics

logger = logging.getLogger(__name__)

VERSION = 1  # of what a cell holds: raise it when the same frames would give other numbers


def measure_cells(
    scenes: Mapping[str, Scene],
    methods: Mapping[str, Method],
    output_dir: str | Path,
    factors: Sequence[int] = (2, 4, 6),
    max_windows: int | None = None,
    seed: int = 0,
) -> dict[tuple[str, int, str], dict[str, Any]]:
    """Every cell, from its file where that is there.

    Args:
        scenes: name -> true frames.
        methods: label -> method.
        output_dir: gets `cells/`.
        factors: steps per gap.
        max_windows: gaps of a scene at most, evenly spread; the wall is then not followed across all frames.
        seed: of stochastic methods.

    Returns:
        (scene, factor, method) -> what `measure` gives.
    """
    folder = Path(output_dir) / "cells"
    folder.mkdir(parents=True, exist_ok=True)
    networks = Networks("cuda" if torch.cuda.is_available() else "cpu")
    cells = {}
    places = [(name, factor, label) for label in methods for name in scenes for factor in factors]
    for name, factor, label in tqdm(places, desc="cells", unit="cell"):
        scene, method = scenes[name], methods[label]
        content = (VERSION, method.fingerprint, scene.fingerprint, factor, max_windows, seed)
        key = hashlib.sha256(repr(content).encode()).hexdigest()[:16]
        path = folder / f"{name}_x{factor}_{re.sub(r'[^A-Za-z0-9_]+', '_', label)}_{key}.json"
        if not path.exists():
            network = networks(method)
            cell = measure(network, scene, factor, firsts(len(scene.frames), factor, max_windows), seed)
            with atomic(path) as temporary:
                temporary.write_text(json.dumps(cell, indent=1) + "\n")
            logger.info("%s x%d %s: %.2f dB", name, factor, label, cell["psnr"])
        cells[name, factor, label] = json.loads(path.read_text())
    return cells


def measure(network: Interpolator, scene: Scene, factor: int, starts: Sequence[int], seed: int = 0) -> dict[str, Any]:
    """One cell.

    Args:
        network: the method, in memory.
        scene: true frames.
        factor: steps per gap.
        starts: first frame of each gap.
        seed: of a stochastic method.

    Returns:
        Means over the synthetic frames: "psnr", "ssim", and, against the truth without its speckle, "psnr_clean" and
        "ssim_clean"; "seconds" of processor time per frame; "speckle": contrast, axial and lateral length over those
        of the key frames; "wall" (None where no lumen can be found), in pixels: "error" of the lumen's contour,
        "jump" from frame to frame, mean and "largest_jump", each also of the "true" frames. "frames": the first four
        of each.
    """
    filled: dict[int, np.ndarray] = {}
    busy = time.process_time()
    for first in starts:
        for step, frame in enumerate(fill_gap(network, scene, factor, first, seed), start=1):
            filled[first + step] = frame
    busy = time.process_time() - busy
    made, places = np.stack(list(filled.values())), list(filled)
    rows = _fidelity(made, scene.frames[places]) | {
        f"{name}_clean": values for name, values in _fidelity(made, scene.clean[places]).items()
    }
    keys = sorted({place for first in starts for place in (first, first + factor)})
    cell: dict[str, Any] = {name: float(np.mean(values)) for name, values in rows.items()}
    cell |= {"seconds": busy / len(made), "speckle": _speckle(scene, made, keys), "wall": _wall(scene, filled, keys)}
    return cell | {"frames": {"place": places, **rows}}


@torch.no_grad()
def fill_gap(network: Interpolator, scene: Scene, factor: int, first: int, seed: int) -> np.ndarray:
    """The frames of one gap, `(factor - 1, H, W)` in [0, 1], from the frames `first` and `first + factor`."""
    places = with_outer(first, factor, 1, range(len(scene.frames)))
    frames = torch.from_numpy(scene.frames[places])[:, None]
    item = {"image": frames[1:-1], "outer": frames[[0, -1]]}
    item |= {"patient": scene.label, "scan": scene.label, "first": first, "crop": None}
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    neighbours = gather_neighbours([item], network.num_neighbours).to(device)
    positions = torch.arange(1, factor) / factor
    seeds = [window_seed(item, seed, 0)]
    return interpolate(network, neighbours, positions, seeds, wrap_rows=scene.polar)[0, :, 0].clamp(0, 1).cpu().numpy()


def _fidelity(made: np.ndarray, truth: np.ndarray) -> dict[str, list[float]]:
    scores: dict[str, list[float]] = {"psnr": [], "ssim": []}
    for pair in zip(made, truth, strict=True):
        images = [torch.from_numpy(image)[None, None] for image in pair]
        scores["psnr"].append(float(psnr(*images)))
        scores["ssim"].append(float(ssim(*images)))
    return scores


def _speckle(scene: Scene, made: np.ndarray, keys: Sequence[int]) -> dict[str, float | None]:
    synthetic, acquired = (
        vars(speckle_statistics(scene.as_polar(frames))) for frames in (made, scene.frames[list(keys)])
    )
    ratios = {name: synthetic[name] / acquired[name] for name in acquired}
    return {name: float(ratio) if np.isfinite(ratio) else None for name, ratio in ratios.items()}


def _wall(scene: Scene, filled: Mapping[int, np.ndarray], keys: Sequence[int]) -> dict[str, float] | None:
    true = scene.contours
    if true is None:
        return None
    places = sorted([*filled, *keys])
    found = lumen_contours(np.stack([filled[place] for place in filled]), true.catheter)
    depths, seen = true.depths.copy(), true.seen.copy()
    depths[list(filled)], seen[list(filled)] = found.depths, found.seen
    border = true.depths if scene.border is None else scene.border
    # Where the truth sees tissue: a method that loses the wall is not let off.
    error = contour_error(found, border[list(filled)], true.seen[list(filled)])
    of_truth = contour_error(LumenContours(true.depths, true.seen, true.catheter), border)[list(filled)]
    dense, acquired = (
        contour_jumps(LumenContours(d[places], s[places], true.catheter))
        for d, s in ((depths, seen), (true.depths, true.seen))
    )
    next_to = np.diff(places) == 1  # gaps that were left out are no jumps
    result = {"error": error, "true_error": of_truth, "jump": dense[next_to], "true_jump": acquired[next_to]}
    means = {name: float(np.nanmean(values)) for name, values in result.items()}
    means["largest_jump"], means["true_largest_jump"] = (
        float(np.nanmax(jumps[next_to])) for jumps in (dense, acquired)
    )
    return means
