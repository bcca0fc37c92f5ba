# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Draw `docs/figures/oct_phantom.png`: the OCT phantom beside real frames, on the console's display and along A-lines.

``python docs/scripts/oct_phantom_figure.py --real pullback.npz`` with frames of Danilov et al. (oct_segmentation, MIT):
arrays `frames` (F, N, N) uint8 and `overlay_mask` (N, N) of what the console burnt in. Without `--real` the phantom
stands alone.
"""

from __future__ import annotations

from pathlib import Path

import fire
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from scipy.ndimage import distance_transform_edt

from custom.phantoms.oct import Label, OctPhantomConfig, simulate_pullback
from custom.scans.coordinates import cartesian_to_polar, polar_to_cartesian

FIGURES = Path(__file__).resolve().parents[1] / "figures"
REAL_FRAMES = (5, 40, 80, 82)
# (seed, frame) of vessels that show the same kinds of anatomy.
PHANTOM_FRAMES = ((16, 4), (13, 0), (9, 8), (17, 8))
COLOURS = ["#101018", "#707070", "#e9b44c", "#b5485d", "#7fa7c9", "#f4e04d", "#5fd7d7", "#4caf72", "#ff5a36", "#c05cff"]
# The sampling of the console: 750 x 750 pixels over 5.2 mm, some 500 A-lines.
SAMPLING = OctPhantomConfig(num_frames=16, num_alines=497, num_depths=375, depth_spacing_mm=2.6 / 375)


def real_frames(path: str | Path, chosen: tuple[int, ...]) -> np.ndarray:
    """Real frames (N, N, F) with the burnt-in overlay replaced by the nearest pixels outside it."""
    with np.load(path) as archive:
        frames, overlay = archive["frames"][list(chosen)], archive["overlay_mask"]
    rows, columns = distance_transform_edt(overlay, return_distances=False, return_indices=True)
    return np.moveaxis(frames[:, rows, columns], 0, -1)


def draw(real: str | Path | None = None, output: str | Path = FIGURES / "oct_phantom.png") -> None:
    """Draw the figure.

    Args:
        real: `.npz` of real frames; None draws the phantom alone.
        output: of the picture.
    """
    pullbacks = {seed: simulate_pullback(SAMPLING, seed) for seed, _ in PHANTOM_FRAMES}
    polar = np.stack([pullbacks[seed].polar[..., frame] for seed, frame in PHANTOM_FRAMES], axis=-1)
    labels = np.stack([pullbacks[seed].labels[..., frame] for seed, frame in PHANTOM_FRAMES], axis=-1)
    rows = [("phantom", polar_to_cartesian(polar, 750)), ("phantom, polar", polar), ("its labels", labels)]
    if real is not None:
        cartesian = real_frames(real, REAL_FRAMES)
        real_polar = cartesian_to_polar(cartesian, SAMPLING.num_alines, SAMPLING.num_depths)
        rows = [("real", cartesian), rows[0], ("real, polar", real_polar), *rows[1:]]

    heights = [1.0 if frames.shape[0] == frames.shape[1] else 0.75 for _, frames in rows]
    figure, axes = plt.subplots(
        len(rows),
        len(PHANTOM_FRAMES),
        figsize=(13, 3.25 * sum(heights) + 0.6),
        height_ratios=heights,
        layout="constrained",
    )
    for line, (name, frames) in zip(axes, rows, strict=True):
        line[0].set_ylabel(name, fontsize=12)
        for axis, frame in zip(line, np.moveaxis(frames, -1, 0), strict=True):
            shown = frame if frames.shape[0] == frames.shape[1] else frame.T
            if name == "its labels":
                axis.imshow(shown, ListedColormap(COLOURS), vmin=0, vmax=len(Label) - 1, interpolation="nearest")
            else:
                axis.imshow(shown, "gray", vmin=0, vmax=160)
            axis.set(xticks=[], yticks=[], aspect="auto" if shown is not frame else "equal")
    handles = [Patch(color=colour, label=label.name.lower()) for colour, label in zip(COLOURS, Label, strict=True)]
    figure.legend(handles=handles, ncols=len(Label), loc="outside lower center", fontsize=9, handlelength=1.2)
    if real is not None:
        figure.suptitle(
            "Real: Danilov et al., oct_segmentation (MIT). Phantom: other vessels, same sampling.", fontsize=10
        )
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=100)


if __name__ == "__main__":
    fire.Fire(draw)
