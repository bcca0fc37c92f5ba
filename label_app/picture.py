# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A served stack beside the command line's: long-axis cuts, and how far the two are apart.

python label_app/picture.py --acquired scan.nii.gz --served a.nii.gz --command_line b.nii.gz --picture out.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import fire
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from custom.pictures.planes import cut, read_volume
from custom.pictures.plotting import outlined, panels, save, show_error, show_frame
from custom.pictures.stack_views import upright_planes


def compare(acquired: str, served: str, command_line: str, picture: str) -> None:
    """Draw the first phase of three volumes, cut along the heart, and the difference of the last two.

    Args:
        acquired: what was sent.
        served: what the server gave back.
        command_line: what the bundle's command wrote.
        picture: PNG to write.
    """
    first = read_volume(acquired)
    volumes = [first, *(read_volume(path, first.axis) for path in (served, command_line))]
    difference = float(np.abs(volumes[1].values.astype(float) - volumes[2].values.astype(float)).max())
    apart = float(np.abs(volumes[1].affine - volumes[2].affine).max())
    plane = next(iter(upright_planes(first).values()))
    cuts = [cut(volume, plane, 0, "nearest") for volume in volumes]
    low, high = np.nanpercentile(cuts[0], (0.5, 99))
    shown = [np.nan_to_num((image - low) / (high - low)) for image in cuts]
    figure, ((*axes, last),) = panels(1, 4, 11, 3.2)
    names = ("acquired", "served by MONAI Label", "command line")
    for one, image, name in zip(axes, shown, names, strict=True):
        show_frame(one, image, synthetic=name != names[0], note=name)
    show_error(last, np.abs(shown[1] - shown[2]), 0.1)
    outlined(last, 0.04, 0.95, f"difference of voxels: {difference:g}\nof affines: {apart:g} mm", va="top")
    save(figure, Path(picture))
    print(f"largest difference of voxels {difference:g}, of affines {apart:g}; {picture}")


if __name__ == "__main__":
    fire.Fire(compare)
