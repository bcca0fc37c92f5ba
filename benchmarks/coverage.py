# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Is the error that the motion networks expect the error that is seen? docs/uncertainty.md is made of what this prints.

    python benchmarks/coverage.py mr --stacks_dir FOLDER
    python benchmarks/coverage.py oct --pullback FILE

FOLDER and FILE are what the lines in docs/uncertainty.md prepare. A factor on the expected error is chosen on
validation data and judged on test data, as the share of pixels within intervals of a Laplace distribution.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from real_windows import HEART, Window, left_out_frames, left_out_stacks, predicted, run, shipped, windows

from custom.interpolators.base import Interpolator

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
FACTORS = np.round(np.arange(0.5, 2.51, 0.02), 2)


def mr(stacks_dir: str, bundle: str = "motion", distance: int = 2) -> None:
    """Slices of real stacks, left out, 128 x 128 pixels around the heart."""
    network = shipped(bundle)
    parts = [
        gather(network, (w for slices in part for w in windows(slices, distance)), HEART, False)
        for part in left_out_stacks(stacks_dir).values()
    ]
    report(*parts)


def oct(pullback: str, bundle: str = "motion_oct", distances: tuple[int, ...] = (2, 4, 6)) -> None:
    """Frames of the real pullback, left out; validation and test are of one patient."""
    network = shipped(bundle)
    parts = [
        gather(network, (w for d in distances for w in windows(frames, d, max(1, d // 2))), None, True)
        for frames in left_out_frames(pullback).values()
    ]
    report(*parts)


def gather(
    network: Interpolator, found: Iterable[Window], crop: slice | None, wrap_rows: bool
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Per window seen and expected errors, flat."""
    pairs = []
    for window in found:
        frame, error = predicted(network, window, wrap_rows)
        seen = (frame - window.truth).abs()
        if crop is not None:
            seen, error = seen[..., crop, crop], error[..., crop, crop]
        pairs.append((seen.flatten().numpy(), error.flatten().numpy()))
    return pairs


def coverage(pairs: list[tuple[np.ndarray, np.ndarray]], factor: float) -> np.ndarray:
    """Share of pixels whose error is within the interval of each level."""
    half = [-np.log(1 - level) * factor for level in LEVELS]  # of a Laplace distribution of scale 1
    return np.array([[np.mean(seen <= width * error) for width in half] for seen, error in pairs]).mean(0)


def report(validation: list[tuple[np.ndarray, np.ndarray]], test: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Choose the factor and print the tables."""
    off = [np.abs(coverage(validation, factor) - LEVELS).max() for factor in FACTORS]
    chosen = float(FACTORS[int(np.argmin(off))])
    print(f"factor chosen on validation data: {chosen:g} (largest miss {100 * min(off):.1f} points)\n")
    print("| Interval (%) | " + " | ".join(f"{100 * level:.0f}" for level in LEVELS) + " |")
    print("| --- |" + " ---: |" * len(LEVELS))
    for name, pairs, factor in (
        ("validation, as it comes", validation, 1.0),
        ("validation, with the factor", validation, chosen),
        ("test, as it comes", test, 1.0),
        ("test, with the factor", test, chosen),
    ):
        print(f"| {name} | " + " | ".join(f"{100 * value:.1f}" for value in coverage(pairs, factor)) + " |")
    for name, pairs in (("validation", validation), ("test", test)):
        seen, expected = (np.array([pair[k].mean() for pair in pairs]) for k in (0, 1))
        told = -10 * np.log10([np.mean(2 * error.astype(float) ** 2) for _, error in pairs])
        true = -10 * np.log10([np.mean(error.astype(float) ** 2) for error, _ in pairs])
        print(
            f"\n{name}: {len(pairs)} frames; mean |error| {seen.mean():.4f}, expected {expected.mean():.4f}; "
            f"correlation from frame to frame {np.corrcoef(seen, expected)[0, 1]:.2f}; "
            f"PSNR {true.mean():.2f} dB, expected {told.mean():.2f} dB"
        )


if __name__ == "__main__":
    run(mr, oct)
