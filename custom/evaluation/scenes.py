# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What the robustness table is measured on: real frames in several samplings, and phantom patients with dense truth."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from custom.errors import InputError
from custom.evaluation.oct_sampling import SAMPLINGS, read_frames
from custom.metrics.lumen import LumenContours, lumen_contours
from custom.metrics.speckle import despeckled
from custom.phantoms.dataset import patient_seed
from custom.phantoms.oct import Label, OctPhantomConfig, simulate_pullback
from custom.scans.coordinates import cartesian_to_polar
from custom.transforms.augmentation_frames import RandBloodd

DENSE = 6
"""Frames of a phantom per frame pitch: its truth between two acquired frames is known at any factor of it."""

BLOOD = {"level": (3.0, 3.0), "width": (0.6, 0.6), "reach": (0.3, 0.3), "dimming": (0.3, 0.3)}
"""How much, see `RandBloodd`: a haze over half of the lumen, well seen."""


@dataclass(frozen=True, eq=False)
class Scene:
    """Consecutive true frames.

    Attributes:
        label: in tables.
        frames: `(F, H, W)` float32 in [0, 1].
        polar: whether rows are A-lines of whole turns.
        from_axis: whether depths begin at the catheter's axis, so that a lumen can be found.
        border: true depths of the lumen's border in pixels, `(F, A)`; None where they are not known.
        phantom: whether the frames are simulated.
    """

    label: str
    frames: np.ndarray
    polar: bool = True
    from_axis: bool = True
    border: np.ndarray | None = None
    phantom: bool = False

    @cached_property
    def fingerprint(self) -> str:
        """Of all that is measured against."""
        border = b"" if self.border is None else np.ascontiguousarray(self.border).tobytes()
        told = repr((self.polar, self.from_axis)).encode()
        return hashlib.sha256(np.ascontiguousarray(self.frames).tobytes() + border + told).hexdigest()

    @cached_property
    def clean(self) -> np.ndarray:
        """The frames without most of their speckle, see `custom.metrics.speckle.despeckled`."""
        return despeckled(self.frames)

    @cached_property
    def contours(self) -> LumenContours | None:
        """Of the lumen in the true frames; None where it cannot be found."""
        return lumen_contours(self.frames) if self.polar and self.from_axis else None

    def as_polar(self, frames: np.ndarray) -> np.ndarray:
        """Frames of this scene, `(F, H, W)`, as A-lines by depth."""
        return frames if self.polar else cartesian_to_polar(frames.transpose(1, 2, 0)).transpose(2, 0, 1)


def real_scenes(
    path: str | Path, first: int, last: int, samplings: Iterable[str] | None = None, blood: bool = False
) -> dict[str, Scene]:
    """Frames of a pullback, by numbers from 1 on, in each of the samplings, named as in `SAMPLINGS`.

    With `blood` there is some in the lumen, the same `BLOOD` in every polar frame, with speckle of its own; Cartesian
    samplings are left out.

    Raises:
        InputError: no such sampling, file or frames; blood and no polar sampling.
    """
    names = list(SAMPLINGS if samplings is None else samplings)
    if unknown := set(names) - set(SAMPLINGS):
        raise InputError("--samplings", f"names {', '.join(sorted(unknown))}", f"choose from {', '.join(SAMPLINGS)}")
    if blood and names and not any(SAMPLINGS[name].polar for name in names):
        polar = ", ".join(name for name, sampling in SAMPLINGS.items() if sampling.polar)
        raise InputError("--blood", "goes into polar samplings, and --samplings has none", f"add one of {polar}")
    if not names:
        return {}
    frames = read_frames(path, first, last)
    scenes = {}
    for name in names:
        sampling = SAMPLINGS[name]
        if blood and not sampling.polar:
            continue
        sampled = np.ascontiguousarray(sampling(frames).transpose(2, 0, 1).astype(np.float32) / 255)
        if blood:
            item = {"image": torch.from_numpy(sampled), "coordinates": "polar"}
            sampled = RandBloodd("image", **BLOOD, prob=1.0).set_random_state(seed=0)(item)["image"].numpy()
        from_axis = sampling.depths is None or sampling.depths[0] == 0
        label = f"{sampling.label}, blood" if blood else sampling.label
        scenes[name] = Scene(label, sampled, sampling.polar, from_axis)
    return scenes


def phantom_scenes(count: int, num_frames: int = 7) -> dict[str, Scene]:
    """The first test patients of the default phantom, which no default training sees, with `DENSE` frames a pitch.

    Args:
        count: patients.
        num_frames: acquired frames of each.
    """
    scenes = {}
    for patient in range(count):
        pullback = simulate_pullback(OctPhantomConfig(num_frames=num_frames), patient_seed(0, patient, "test"), DENSE)
        frames, labels = (array.transpose(2, 0, 1) for array in (pullback.polar, pullback.labels))
        tissue = ~np.isin(labels, (Label.LUMEN, Label.CATHETER, Label.GUIDEWIRE))
        unit = np.ascontiguousarray(frames, np.float32) / 255
        label = f"phantom, test patient {patient + 1}, 256x256"
        scenes[f"phantom_{patient + 1}"] = Scene(label, unit, border=tissue.argmax(2), phantom=True)
    return scenes


def firsts(num_frames: int, factor: int, most: int | None = None) -> Sequence[int]:
    """First frames of consecutive gaps; at most so many, evenly spread.

    Raises:
        InputError: there are too few frames for one gap.
    """
    starts = np.arange(0, num_frames - factor, factor)
    if not len(starts):
        raise InputError("--range", f"has {num_frames} frames, x{factor} needs {factor + 1}", "widen it")
    if most is not None and most < len(starts):
        starts = starts[np.linspace(0, len(starts) - 1, most).round().astype(int)]
    return starts.tolist()
