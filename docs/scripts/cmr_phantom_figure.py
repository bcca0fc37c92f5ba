# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Draw `docs/figures/cmr_phantom.png`: the cardiac phantom beside a real stack, its truth and its long-axis views.

``python docs/scripts/cmr_phantom_figure.py --real cine.nii.gz`` with a short-axis cine `(X, Y, Z, T)`, slices from
the apex to the base and end-diastole first, as the Sunnybrook Cardiac Data (CC0). Without `--real` the phantom stands
alone. ``--scanned_share 1 --output docs/figures/cmr_phantom_scanned.png`` draws hearts of scanned shapes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import fire
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from scipy.ndimage import gaussian_filter

from custom.phantoms.cmr import CmrLabel, CmrPhantomConfig, CmrStack, cut_long_axis, simulate_heart

FIGURES = Path(__file__).resolve().parents[1] / "figures"
SEEDS = (6, 4)
COLUMNS = 7
CROP_MM = 190.0
COLOURS = ["#101018", "#d1495b", "#7fc97f", "#5b9bd5"]
# One phase in three is near end-systole.
ACQUISITION = CmrPhantomConfig(num_phases=3, pitch_mm=2.0)


def window(image: np.ndarray) -> np.ndarray:
    """Values (X, Y, Z, T) in [0, 1]: the 0.5 and 99.5 percentiles of the whole, clipped."""
    low, high = np.percentile(image, [0.5, 99.5])
    return np.clip((image.astype(np.float32) - low) / (high - low), 0, 1)


def real_row(path: str | Path) -> list[np.ndarray]:
    """Slices of a real cine around what beats, from the apex to the base, at its first phase."""
    nifti = nib.load(path)
    image = window(np.asarray(nifti.dataobj))
    motion = gaussian_filter(image.std(axis=-1).mean(axis=2), 8)
    margin = [n // 4 for n in motion.shape]
    motion[: margin[0]] = motion[-margin[0] :] = motion[:, : margin[1]] = motion[:, -margin[1] :] = 0
    centre = np.unravel_index(motion.argmax(), motion.shape)
    return _slices(image[..., 0], centre, nifti.header.get_zooms()[0])


def phantom_rows(stack: CmrStack) -> dict[str, list[np.ndarray]]:
    """Slices of a phantom at end-diastole and near end-systole, and its labels."""
    image, spacing = window(stack.image), float(np.linalg.norm(stack.affine[:3, 0]))
    centre = [n // 2 for n in image.shape[:2]]
    rows = {"end-diastole": image[..., 0], "systole": image[..., 1], "labels": stack.labels[..., 0]}
    return {name: _slices(volume, centre, spacing) for name, volume in rows.items()}


def _slices(volume: np.ndarray, centre: tuple[int, int], spacing: float) -> list[np.ndarray]:
    half = int(CROP_MM / 2 / spacing)
    x, y = (slice(max(0, c - half), c + half) for c in centre)
    chosen = np.linspace(0, volume.shape[2] - 1, COLUMNS).round().astype(int)
    return [volume[x, y, z].T for z in chosen]


def long_axis_row(stack: CmrStack) -> tuple[list[np.ndarray], list[str]]:
    """The three long-axis views at end-diastole and near end-systole, and the labels of the last."""
    pictures, names = [], []
    high = np.percentile(stack.image, 99.5)
    for view, cut in stack.long_axis_views(size=130, spacing=1.0).items():
        for t, phase in enumerate(("end-diastole", "systole")):
            pictures.append(np.clip(cut[..., t] / high, 0, 1))
            names.append(f"{view}, {phase}")
    return [*pictures, cut_long_axis(stack, "4ch", 130, 1.0, stack.labels)[..., 0]], [*names, "4ch, labels"]


def draw(
    real: str | Path | None = None, output: str | Path = FIGURES / "cmr_phantom.png", scanned_share: float = 0.0
) -> None:
    """Draw the figure.

    Args:
        real: a real cine; None draws the phantom alone.
        output: of the picture.
        scanned_share: see `CmrPhantomConfig`.
    """
    rows: list[tuple[str, list[np.ndarray]]] = [] if real is None else [("real", real_row(real))]
    stacks = [simulate_heart(replace(ACQUISITION, scanned_share=scanned_share), seed) for seed in SEEDS]
    for stack, name in zip(stacks, "AB", strict=True):
        rows += [(f"phantom {name}, {kind}", pictures) for kind, pictures in phantom_rows(stack).items()]
    pictures, titles = long_axis_row(stacks[0])
    rows.append(("phantom A, long axis", pictures))

    figure, axes = plt.subplots(len(rows), COLUMNS, figsize=(13, 1.86 * len(rows) + 0.7), layout="constrained")
    for line, (name, pictures) in zip(axes, rows, strict=True):
        line[0].set_ylabel(name, fontsize=8)
        for axis, picture in zip(line, pictures, strict=True):
            if picture.dtype == np.uint8:
                axis.imshow(picture, ListedColormap(COLOURS), vmin=0, vmax=len(CmrLabel) - 1, interpolation="nearest")
            else:
                axis.imshow(picture, "gray", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
    for axis, title in zip(axes[-1], titles, strict=True):
        axis.set_title(title, fontsize=7)
    names = [label.name.replace("_", " ").lower() for label in CmrLabel]
    handles = [Patch(color=colour, label=name) for colour, name in zip(COLOURS, names, strict=True)]
    figure.legend(handles=handles, ncols=len(handles), loc="outside lower center", fontsize=8)
    source = "" if real is None else "Real: Sunnybrook Cardiac Data (CC0). "
    figure.suptitle(f"{source}Slices from the apex (left) to the base.", fontsize=9)
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=90)


if __name__ == "__main__":
    fire.Fire(draw)
