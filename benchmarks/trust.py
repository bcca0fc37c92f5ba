# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Which gaps are too wide, or displaced, for what lies in them? Chooses the limits of `custom.inferers.confidence`.

    python benchmarks/trust.py mr --stacks_dir FOLDER
    python benchmarks/trust.py oct --pullback FILE

The frame in the middle of a gap is bad if it correlates with the truth by less than `BAD`, both averaged over 4 x 4
pixels (2 x 2 in MR), so that speckle and noise do not count. The rules, on validation data alone:

- least likeness: the share of bad frames below it, less that of the others, is the largest (of equal ones the least);
- most shift: what 99 % of neighbouring slices stay below, in mm per mm of their distance, rounded up to a tenth.

Test data are judged with the limits in the code, which are those that validation data gave.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from real_windows import HEART, Window, left_out_frames, left_out_stacks, predicted, run, shipped

from custom.inferers.confidence import LEAST_LIKENESS, MOST_SHIFT
from custom.inferers.likeness import likeness
from custom.interpolators.base import Interpolator

BAD = 0.8
LIMITS = np.round(np.arange(0.40, 0.861, 0.01), 2)
PIXEL_MM, SPACING_MM = 1.37, 8.0  # of the stacks, typical values: the set does not tell
MOVED = (0, 4, 8, 12, 16)  # pixels


def oct(pullback: str, bundle: str = "motion_oct") -> None:
    """Frames of the real pullback: gaps of 2 to 8 frames, true neighbours, and hard cuts within the test frames."""
    network, parts = shipped(bundle), left_out_frames(pullback)
    rows = {
        name: [
            judged(network, middle(frames, first, distance), 4, True)
            for distance in (2, 3, 4, 5, 6, 8)
            for first in range(len(frames) - distance)
        ]
        for name, frames in parts.items()
    }
    tell("pullback", rows)
    for name, frames in parts.items():
        last = len(frames) - 1
        flagged(f"{name}, neighbouring frames", frames, [(k, k + 1) for k in range(last)])
        far = [(first, first + 15) for first in range(len(frames) - 15)] or [(0, last)]
        flagged(f"{name}, frames {far[0][1]} apart", frames, far)


def mr(stacks_dir: str, bundle: str = "motion") -> None:
    """Real stacks, slices 8 mm apart: gaps of 16 to 40 mm, true neighbours, and breath-holds displaced on purpose."""
    network, parts = shipped(bundle), left_out_stacks(stacks_dir)
    rows = {
        name: [
            judged(network, middle(slices, first, distance), 2, False, HEART)
            for slices in stacks
            for distance in (2, 3, 4, 5)
            for first in range(len(slices) - distance)
        ]
        for name, stacks in parts.items()
    }
    tell("stack", rows)
    shifts = np.array([float(a.shift.float().norm()) for a in neighbours(parts["validation"])]) * PIXEL_MM / SPACING_MM
    chosen = math.ceil(10 * np.percentile(shifts, 99)) / 10
    print(f"\nmost shift chosen on validation data: {chosen:g} mm per mm; in the code {MOST_SHIFT['stack']:g}")
    for name, stacks in parts.items():
        print(f"\n{name}, neighbours 8 mm apart, one of them displaced")
        for moved in MOVED:
            doubt, found = displaced(stacks, moved)
            told = ", ".join(f"{np.percentile(found, part):.1f}" for part in (50, 95, 99))
            print(
                f"{moved * PIXEL_MM:4.1f} mm: flagged {100 * doubt.mean():3.0f} % of {len(doubt)}; "
                f"found shift, 50, 95 and 99 %: {told} mm"
            )
    print("\ntest, left-out slice between neighbours 16 mm apart, one of them displaced, truth by half of it")
    for moved in (*MOVED, 24):
        windows = [
            Window(torch.stack([s[k], s[k + 2].roll(moved, -1)]), s[k + 1].roll(moved // 2, -1), 0.5, 2)
            for s in parts["test"]
            for k in range(0, len(s) - 2, 2)
        ]
        seen = [judged(network, window, 2, False, HEART) for window in windows]
        ours, linear = (np.mean([row[place] for row in seen]) for place in (2, 3))
        print(f"{moved * PIXEL_MM:4.1f} mm: mean |error| {ours:.4f}, linear {linear:.4f} ({len(seen)} slices)")


def middle(frames: torch.Tensor, first: int, distance: int) -> Window:
    """The middle frame of one gap."""
    place = distance // 2
    return Window(frames[[first, first + distance]], frames[first + place], place / distance, distance)


def judged(
    network: Interpolator, window: Window, cell: int, wrap_rows: bool, crop: slice = slice(None)
) -> tuple[float, float, float, float]:
    """Likeness of the ends, correlation of the frame with the truth, its mean absolute error and that of linear."""
    frame, _ = predicted(network, window, wrap_rows)
    linear = torch.lerp(*window.ends, window.position)
    pair = [F.avg_pool2d(x[..., crop, crop], cell).flatten() for x in (frame, window.truth)]
    errors = [float((x - window.truth)[..., crop, crop].abs().mean()) for x in (frame, linear)]
    alike = likeness(window.ends[:1], window.ends[1:], wrap_rows).correlation
    return float(alike), float(torch.corrcoef(torch.stack(pair))[0, 1]), *errors


def neighbours(stacks: Iterable[torch.Tensor], rows: int = 0, columns: int = 0) -> list:
    """Likeness of neighbouring slices, the second of which is displaced."""
    return [likeness(s[[k]], s[[k + 1]].roll((rows, columns), (-2, -1))) for s in stacks for k in range(len(s) - 1)]


def displaced(stacks: Iterable[torch.Tensor], moved: int) -> tuple[np.ndarray, np.ndarray]:
    """Of neighbours displaced along either axis: whether each is flagged, and the shift that was found, in mm."""
    alike = [a for turn in {(moved, 0), (0, moved)} for a in neighbours(stacks, *turn)]
    found = np.array([float(a.shift.float().norm()) for a in alike]) * PIXEL_MM
    least = np.array([float(a.correlation) for a in alike])
    return (found > MOST_SHIFT["stack"] * SPACING_MM) | (least < LEAST_LIKENESS["stack"]), found


def tell(kind: str, rows: dict[str, list[tuple[float, float, float, float]]]) -> None:
    """Choose the least likeness, and print what limits around it find and how likeness goes with the frames' errors."""
    tables = {name: np.array(found) for name, found in rows.items()}
    chosen, used = choose(tables["validation"]), LEAST_LIKENESS[kind]
    print(f"least likeness chosen on validation data: {chosen:g}; in the code {used:g}\n")
    print("| Limit | " + " | ".join(f"{name}: bad frames flagged | others flagged" for name in tables) + " |")
    print("| ---: |" + " ---: |" * 2 * len(tables))
    for limit in sorted({*np.round(chosen + np.arange(-0.06, 0.061, 0.02), 2), used}):
        cells = [
            f"{100 * flags.mean():.0f} % of {len(flags)}" if len(flags) else "none"
            for table in tables.values()
            for flags in split(table, limit)
        ]
        print(f"| {limit:g} | " + " | ".join(cells) + " |")
    for name, table in tables.items():
        with_frame, with_error = (np.corrcoef(_ranks(table[:, 0]), _ranks(table[:, k]))[0, 1] for k in (1, 2))
        print(
            f"{name}: likeness goes with the frame's own {with_frame:.2f}, with its error {with_error:.2f} (Spearman)"
        )


def split(table: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Which bad frames, and which others, lie in gaps below a limit."""
    bad, told = table[:, 1] < BAD, table[:, 0] < limit
    return told[bad], told[~bad]


def choose(table: np.ndarray) -> float:
    """The limit with the largest share of bad frames below it, less that of others; of equal ones the least."""
    gains = [np.subtract(*(flags.mean() for flags in split(table, limit))) for limit in LIMITS]
    return float(LIMITS[int(np.argmax(gains))])


def flagged(name: str, frames: torch.Tensor, pairs: list[tuple[int, int]]) -> None:
    """Print how many pairs of frames are flagged."""
    alike = np.array([float(likeness(frames[[a]], frames[[b]], True).correlation) for a, b in pairs])
    doubt = alike < LEAST_LIKENESS["pullback"]
    print(f"{name}: flagged {doubt.sum()} of {len(alike)}; likeness {alike.min():.2f} to {alike.max():.2f}")


def _ranks(values: np.ndarray) -> np.ndarray:
    return values.argsort().argsort()


if __name__ == "__main__":
    run(mr, oct)
