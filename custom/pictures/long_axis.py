# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Densified stacks cut along the long axis, beside the truth (CaLID, Figure 5).

python -m custom.pictures.long_axis --acquired A.nii.gz --methods "{'CaLID': 'A_interp.nii.gz'}"
    --picture cuts.png [--truth dense.nii.gz] [--labels labels.nii.gz] [--phases 0,7] [--axis 2]
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import fire
import numpy as np
from matplotlib.figure import Figure

from custom.errors import InputError
from custom.files import atomic
from custom.pictures.planes import Plane, Volume, cut, end_systole, long_axis_planes, read_labels, read_volume
from custom.pictures.plotting import label_row, panels, save, show_frame

BLOCKS, LINEAR, TRUTH = "acquired", "linear", "truth"


def long_axis_cuts(
    acquired: Volume,
    methods: Mapping[str, Volume],
    planes: Mapping[str, Plane],
    phase: int,
    truth: Volume | None = None,
    width_mm: float = 140.0,
) -> dict[str, dict[str, np.ndarray]]:
    """Cut what was acquired (as blocks and interpolated linearly), each method's dense stack and the truth.

    Args:
        acquired: the sparse stack.
        methods: name -> dense stack, of any factor, in the same world.
        planes: view -> where to cut.
        phase: of the heart cycle.
        truth: the true dense stack, if there is one.
        width_mm: of the pictures.

    Returns:
        view -> name -> `(h, w)` at 1 mm, NaN outside; names in the order "acquired", "linear", methods, "truth".
    """
    cuts = {}
    for view, plane in planes.items():
        stacks = {LINEAR: acquired, **methods} | ({} if truth is None else {TRUTH: truth})
        here = {BLOCKS: cut(acquired, plane, phase, "nearest", width_mm)}
        here |= {name: cut(volume, plane, phase, "linear", width_mm) for name, volume in stacks.items()}
        cuts[view] = here
    return cuts


def cut_psnr(picture: np.ndarray, truth: np.ndarray, value_range: tuple[float, float]) -> float:
    """PSNR in dB of a cut where both it and the truth lie inside their volumes; the data range is `value_range`'s."""
    low, high = value_range
    inside = np.isfinite(picture) & np.isfinite(truth)
    a, b = (((x[inside] - low) / (high - low)).clip(0, 1) for x in (picture, truth))
    return float(-10 * np.log10(max(np.square(a - b).mean(), 1e-10)))


def long_axis_figure(
    cuts: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]], value_range: tuple[float, float]
) -> Figure:
    """A row per view and phase, a column per stack, millimetres in both directions alike.

    Args:
        cuts: name of a phase -> what `long_axis_cuts` gives.
        value_range: black and white; also the range of the PSNR noted where there is a truth.
    """
    views = list(next(iter(cuts.values())))
    names = list(next(iter(cuts.values()))[views[0]])
    low, high = value_range
    h, w = cuts[next(iter(cuts))][views[0]][names[0]].shape
    rows, width = len(views) * len(cuts), 1.9
    figure, axes = panels(rows, len(names), width * len(names) + 0.8, width * h / w * rows + 0.5)
    for row, (view, phase) in enumerate((view, phase) for view in views for phase in cuts):
        here = cuts[phase][view]
        for column, name in enumerate(names):
            note = ""
            if TRUTH in here and name != TRUTH:
                note = f"{cut_psnr(here[name], here[TRUTH], value_range):.1f} dB"
            shown = np.nan_to_num((here[name] - low) / (high - low), nan=0.0)
            synthetic = None if name in (BLOCKS, TRUTH) else True
            show_frame(axes[row, column], shown, synthetic, note)
            if row == 0:
                axes[0, column].set_title(name, fontsize=9)
        label_row(axes[row, 0], f"{view}, {phase}", right_of=-0.03)
    figure.supxlabel("1 mm pixels; dashed: synthetic", fontsize=8)
    return figure


def picture_of(
    acquired: str,
    picture: str,
    methods: Mapping[str, str] | None = None,
    truth: str | None = None,
    labels: str | None = None,
    phases: Sequence[int] | int | None = None,
    axis: int | None = None,
    width_mm: float = 140.0,
) -> None:
    """Draw long-axis cuts of stacks on disk; with a truth also write the PSNR of every cut to `<picture>.csv`.

    Args:
        acquired: the sparse stack or cine.
        picture: PNG, PDF or SVG file to write.
        methods: name -> dense stack made from it.
        truth: the true dense stack.
        labels: of the same heart on any grid, left ventricle 1, right ventricle 3 (optional).
        phases: to show; by default the first (end-diastole) and end-systole.
        axis: the through-plane array axis of all the stacks; by default that of largest spacing in `acquired`.
        width_mm: of the pictures.

    Raises:
        InputError: a stack that cannot be read, phases that it does not have, or stacks of different lengths in time.
    """
    stack = read_volume(acquired, axis)
    others = {name: read_volume(path, stack.axis) for name, path in (methods or {}).items()}
    dense = None if truth is None else read_volume(truth, stack.axis)
    marks = None if labels is None else read_labels(labels, stack.axis)
    count = stack.values.shape[3]
    for path, volume in zip([*(methods or {}).values(), truth], [*others.values(), dense], strict=True):
        if volume is not None and volume.values.shape[3] != count:
            fault = f"has {volume.values.shape[3]} phases, the acquired stack {count}"
            raise InputError(path, fault, "give stacks of the same heart cycle")
    chosen = _phases(stack, marks, phases, acquired)
    planes = long_axis_planes(stack, marks)
    cuts = {name: long_axis_cuts(stack, others, planes, phase, dense, width_mm) for name, phase in chosen.items()}
    value_range = tuple(float(v) for v in np.percentile(stack.values, (0.5, 99.5)))
    save(long_axis_figure(cuts, value_range), Path(picture))
    if dense is not None:
        _write_psnr(Path(picture).with_suffix(".csv"), cuts, value_range)
    print(f"wrote {picture}")


def _phases(stack: Volume, labels: Volume | None, phases: Sequence[int] | int | None, path: str) -> dict[str, int]:
    count = stack.values.shape[3]
    if phases is None:
        if count == 1:
            return {"the phase": 0}
        return {"ED": 0, "ES": end_systole(stack, labels)}
    wanted = [phases] if isinstance(phases, int) else list(phases)
    for phase in wanted:
        if not 0 <= phase < count:
            raise InputError(path, f"has no phase {phase}", f"choose --phases from 0 to {count - 1}")
    return {f"phase {phase}": phase for phase in wanted}


def _write_psnr(
    path: Path, cuts: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]], value_range: tuple[float, float]
) -> None:
    with atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["phase", "view", "stack", "psnr"])
        for phase, views in cuts.items():
            for view, here in views.items():
                for name, picture in here.items():
                    if name != TRUTH:
                        psnr = cut_psnr(picture, here[TRUTH], value_range)
                        writer.writerow([phase, view, name, f"{psnr:.4f}"])


def main() -> None:
    """Command line."""
    try:
        fire.Fire(picture_of)
    except InputError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
