# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Which gaps are too wide, or displaced, for what lies in them? The thresholds of `custom.inferers.confidence`.

    python benchmarks/trust.py mr --stacks_dir FOLDER
    python benchmarks/trust.py oct --pullback FILE

A frame in the middle of a gap is bad if it correlates with the truth by less than `BAD`, both averaged over 4 x 4
pixels (2 x 2 in MR), so that speckle and noise do not count. A threshold on the likeness of the gap's ends is judged by
how many bad frames it flags, and how many others.
"""

from __future__ import annotations

from pathlib import Path

import fire
import numpy as np
import torch
import torch.nn.functional as F
from real_windows import (
    HEART,
    TEST_FRAMES,
    TEST_PATIENTS,
    VALIDATION_FRAMES,
    VALIDATION_PATIENTS,
    Window,
    predicted,
    shipped,
    slices_of,
    stacks,
)

from custom.inferers.confidence import LEAST_LIKENESS, MOST_SHIFT
from custom.inferers.likeness import likeness
from custom.interpolators.base import Interpolator

BAD = 0.8
THRESHOLDS = np.round(np.arange(0.5, 0.8, 0.02), 3)
PIXEL_MM, SPACING_MM = 1.37, 8.0  # of the stacks, typical values: the set does not tell


def oct(pullback: str, bundle: str = "motion_oct") -> None:
    """Frames of the real pullback: gaps of 2 to 12 frames, true neighbours, and hard cuts."""
    network, frames = shipped(bundle), slices_of(Path(pullback), "pullback")
    rows = {}
    for name, part in (("chosen on 91-100", VALIDATION_FRAMES), ("reported on 101-130", TEST_FRAMES)):
        rows[name] = [
            judged(network, middle(frames[list(part)], first, distance), 4, True)
            for distance in (2, 3, 4, 5, 6, 8, 12)
            for first in range(0, len(part) - distance)
        ]
    roc(rows)
    flagged("neighbouring frames 91-130", frames, [(k, k + 1) for k in range(90, 129)], "pullback")
    draw = np.random.default_rng(0)
    cuts = list(zip(draw.integers(0, 60, 60).tolist(), draw.integers(75, 130, 60).tolist(), strict=True))
    flagged("hard cuts: frames 15 to 129 apart", frames, cuts, "pullback")


def mr(stacks_dir: str, bundle: str = "motion") -> None:
    """Real stacks, slices 8 mm apart: gaps of 16 to 40 mm, true neighbours, and breath-holds displaced on purpose."""
    network, folder = shipped(bundle), Path(stacks_dir)
    groups = {"chosen on the other patients": None, "reported on the test patients": TEST_PATIENTS}
    rows, known = {}, {}
    for name, patients in groups.items():
        found = [s for p in ((patients,) if patients else (None, VALIDATION_PATIENTS)) for s in stacks(folder, p)]
        known[name] = found
        rows[name] = [
            judged(network, middle(slices, first, distance), 2, False, HEART)
            for slices in found
            for distance in (2, 3, 4, 5)
            for first in range(0, len(slices) - distance, 1 if patients else 3)
        ]
    roc(rows)
    for name, found in known.items():
        print(f"\n{name}, neighbours 8 mm apart")
        for moved in (0, 4, 8, 12, 16):  # pixels
            alike = [
                likeness(s[[k]], s[[k + 1]].roll(turn, (-2, -1))) for s in found for k in range(len(s) - 1)
                for turn in (((moved, 0), (0, moved)) if moved else ((0, 0),))
            ]  # fmt: skip
            shift = np.array([float(a.shift.float().norm()) * PIXEL_MM for a in alike])
            least = np.array([float(a.correlation) for a in alike])
            doubt = (shift > MOST_SHIFT["stack"] * SPACING_MM) | (least < LEAST_LIKENESS["stack"])
            found_mm = ", ".join(f"{np.percentile(shift, part):.1f}" for part in (50, 95, 99))
            print(
                f"displaced by {moved * PIXEL_MM:4.1f} mm: flagged {100 * doubt.mean():3.0f} % of {len(doubt)}; "
                f"found shift, 50, 95 and 99 %: {found_mm} mm"
            )
    print("\ntest patients, left-out slice between neighbours 16 mm apart, one of them displaced, truth by half of it")
    for moved in (0, 4, 8, 12, 16, 24):
        seen = []
        for slices in known["reported on the test patients"]:
            for first in range(0, len(slices) - 2, 2):
                ends, truth = slices[[first, first + 2]].clone(), slices[first + 1].roll(moved // 2, -1)
                ends[1] = ends[1].roll(moved, -1)
                seen.append(judged(network, Window(ends, truth, 0.5, 2), 2, False, HEART))
        ours, linear = (np.mean([row[place] for row in seen]) for place in (2, 3))
        print(f"{moved * PIXEL_MM:4.1f} mm: mean |error| {ours:.4f}, linear {linear:.4f}")


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


def roc(rows: dict[str, list[tuple[float, float, float, float]]]) -> None:
    """Print what each threshold finds, and how likeness goes with the error."""
    print("| Threshold | " + " | ".join(f"{name}: bad frames flagged | others flagged" for name in rows) + " |")
    print("| ---: |" + " ---: |" * 2 * len(rows))
    tables = {name: np.array(found) for name, found in rows.items()}
    for threshold in THRESHOLDS:
        cells = []
        for table in tables.values():
            bad, told = table[:, 1] < BAD, table[:, 0] < threshold
            cells += [f"{100 * told[kind].mean():.0f} % of {kind.sum()}" for kind in (bad, ~bad) if kind.any()]
        print(f"| {threshold:g} | " + " | ".join(cells) + " |")
    for name, table in tables.items():
        print(f"{name}: correlation of likeness with the frame's own {np.corrcoef(table[:, 0], table[:, 1])[0, 1]:.2f}")


def flagged(name: str, frames: torch.Tensor, pairs: list[tuple[int, int]], kind: str) -> None:
    """Print how many pairs of frames are flagged."""
    alike = np.array([float(likeness(frames[[a]], frames[[b]], True).correlation) for a, b in pairs])
    doubt = alike < LEAST_LIKENESS[kind]
    print(f"{name}: flagged {doubt.sum()} of {len(alike)}; likeness {alike.min():.2f} to {alike.max():.2f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    fire.Fire({"mr": mr, "oct": oct})
