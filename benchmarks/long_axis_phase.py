# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Has a neighbour at another phase seen what a missing slice shows?

    python benchmarks/long_axis_phase.py                      # phantom: with and without long-axis shortening
    python benchmarks/long_axis_phase.py --cines sax_cine     # and every cine of a folder

The base of the heart moves towards its apex by about one slice spacing a beat, through slices that stay. Each inner
slice is left out and predicted, phase by phase, by the mean of two images: of the slices below and above

    same      at the phase itself, as the bundles do it;
    other     at phases of their own, the pair that serves the *other* slices of this scan best at this phase;
    both      the mean of the two, weighted as serves the other slices best;
    oracle    at the pair of phases that is best for this very slice: a bound, for it sees the truth. Part of its gain
              is freedom of choice: the phantom without shortening, where there is nothing to find, tells how much.

`other` and `both` use nothing that a user does not have: the slices that were acquired. PSNR in dB, of 128 mm around
the heart, and the mean gain over `same` with its standard error over slices. Images are averaged as they are: whether a
neighbour of another phase helps once its contraction is undone is not measured here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import fire
import nibabel as nib
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from custom.phantoms.cmr import CmrPhantomConfig, simulate_heart
from custom.scans.stacks import stack_intensity_range

FIELD_MM = 128.0
WEIGHTS = np.linspace(0, 1, 11)
METHODS = ("same", "other", "both", "oracle")


def heart_cine(image: np.ndarray, pixel_mm: float) -> np.ndarray:
    """`(Z, T, n, n)` in [0, 1]: `FIELD_MM` around what moves, of a cine (X, Y, Z, T)."""
    low, high = stack_intensity_range(image)
    cine = np.moveaxis(((image - low) / (high - low)).clip(0, 1).astype(np.float32), (2, 3), (0, 1))
    motion = cine.std(axis=1).mean(axis=0) ** 2
    half = round(FIELD_MM / pixel_mm / 2)
    places = []
    for axis in (0, 1):
        profile = motion.sum(axis=1 - axis)
        centre = round(float(profile @ np.arange(len(profile)) / profile.sum()))
        start = min(max(centre - half, 0), max(len(profile) - 2 * half, 0))
        places.append(slice(start, start + 2 * half))
    return cine[:, :, places[0], places[1]]


def pair_errors(below: np.ndarray, truth: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Mean squared error of the mean of `below` at phase a and `above` at phase b, `(T, T, T)`: truth's phase, a, b."""
    below, truth, above = (x.reshape(len(x), -1).astype(np.float64) for x in (below, truth, above))
    square = [np.sum(x * x, axis=1) for x in (below, truth, above)]
    error = (square[0][None, :, None] + square[2][None, None, :] + 2 * (below @ above.T)[None]) / 4
    error = error + square[1][:, None, None] - (truth @ below.T)[:, :, None] - (truth @ above.T)[:, None, :]
    return error / truth.shape[1]


def measure(cine: np.ndarray) -> dict[str, np.ndarray]:
    """PSNR of each method, `(slices, T)`, of a cine `(Z, T, n, n)` with at least four slices."""
    inner = range(1, len(cine) - 1)
    num_phases = cine.shape[1]
    errors = np.stack([pair_errors(cine[k - 1], cine[k], cine[k + 1]) for k in inner])
    found = {method: np.zeros((len(inner), num_phases)) for method in METHODS}
    for n in range(len(inner)):
        others = np.delete(errors, n, axis=0)
        for t in range(num_phases):
            a, b = np.unravel_index(others[:, t].mean(axis=0).argmin(), (num_phases, num_phases))
            blends = [_blend_errors(cine, m, t, int(a), int(b)) for m in inner]
            weight = np.mean(np.delete(blends, n, axis=0), axis=0).argmin()
            found["same"][n, t], found["other"][n, t] = errors[n, t, t, t], errors[n, t, a, b]
            found["both"][n, t], found["oracle"][n, t] = blends[n][weight], errors[n, t].min()
    return {method: -10 * np.log10(np.maximum(error, 1e-10)) for method, error in found.items()}


def _blend_errors(cine: np.ndarray, k: int, t: int, a: int, b: int) -> np.ndarray:
    """Mean squared error at `WEIGHTS` of the pair (a, b) beside that of phase t."""
    same = (cine[k - 1, t] + cine[k + 1, t]) / 2 - cine[k, t]
    other = (cine[k - 1, a] + cine[k + 1, b]) / 2 - cine[k, t]
    terms = np.mean(same * same), np.mean(same * other), np.mean(other * other)
    return (1 - WEIGHTS) ** 2 * terms[0] + 2 * WEIGHTS * (1 - WEIGHTS) * terms[1] + WEIGHTS**2 * terms[2]


def phantom_cines(num_hearts: int, num_phases: int, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """The same hearts with and without shortening, scanned and analytic in turn."""
    for shortening in (True, False):
        for n in range(num_hearts):
            config = CmrPhantomConfig(num_phases=num_phases, matrix=80, pixel_mm=2.0, pitch_mm=8.0, thickness_mm=6.0)
            share = {"scanned_share": float(n % 2 == 0), "extent_mm": 88.0, "shortening": shortening}
            stack = simulate_heart(CmrPhantomConfig(**{**vars(config), **share}), seed + n)
            kind = "scanned" if n % 2 == 0 else "analytic"
            name = f"phantom {n} ({kind}), shortening {'on' if shortening else 'off'}"
            yield name, heart_cine(stack.image, 2.0)


def main(cines: str | None = None, num_hearts: int = 2, num_phases: int = 10, seed: int = 20_261_129) -> None:
    """Print one line per cine.

    Args:
        cines: folder of 4D NIfTI files (X, Y, Z, T); none for the phantom alone.
        num_hearts: of the phantom.
        num_phases: of the phantom.
        seed: of the phantom.
    """
    print(
        "PSNR (dB) of a left-out slice, neighbours two spacings apart; in brackets gain over `same`, +- standard error"
    )
    for name, cine in phantom_cines(num_hearts, num_phases, seed):
        _report(name, measure(cine))
    for path in sorted(Path(cines).glob("*.nii*")) if cines else ():
        image = nib.load(path)
        if image.ndim == 4:
            _report(
                path.name.split(".")[0], measure(heart_cine(np.asarray(image.dataobj), image.header.get_zooms()[0]))
            )


def _report(name: str, found: dict[str, np.ndarray]) -> None:
    text = [f"same {found['same'].mean():5.2f}"]
    for method in METHODS[1:]:
        gain = (found[method] - found["same"]).mean(axis=1)
        text.append(f"{method} {gain.mean():+.2f} +- {gain.std(ddof=1) / np.sqrt(len(gain)):.2f}")
    print(f"{name:45s} " + "   ".join(text), flush=True)


if __name__ == "__main__":
    fire.Fire(main)
