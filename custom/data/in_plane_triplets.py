# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Triplets of planes perpendicular to the slices: what a scan teaches about interpolation without a slice in between.

Along either in-plane axis a scan is dense, so three neighbouring planes across the slices are a pair of neighbours and
the truth between them (TSCNet's first stage, arXiv:2106.15395; notes 6.2). Only acquired slices are read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import Dataset

from custom.data.augmented import Transform, augmented, cropped
from custom.data.pullback_set import PullbackSet
from custom.data.sizes import plane_size, whole_numbers
from custom.data.stack_set import StackSet
from custom.scans.nifti import stem


class _AcquiredStacks:
    """Short-axis stacks at the slice distances of acquired ones: every k-th slice of a dense stack."""

    def __init__(self, data: Sequence[dict], half_gaps_mm: Sequence[float], width: int, cache_gib: float) -> None:
        self.stacks = StackSet(data, 0, cache_gib)
        self.patients = self.stacks.patients
        self.strides = self.stacks.fitting_strides(half_gaps_mm, 1, "a plane across the slices")

    def slices(self, scan: int, rng: np.random.Generator) -> range:
        stride = int(rng.choice(self.strides[scan]))
        usable = self.stacks.ranges[scan]
        # No offset leaves fewer than two slices.
        return usable[int(rng.integers(min(stride, len(usable) - stride))) :: stride]

    def plane(self, scan: int) -> tuple[int, ...]:
        return tuple(self.stacks.infos[scan].plane)

    def cut(self, scan: int, slices: range, rows: np.ndarray, columns: np.ndarray, rng: np.random.Generator) -> tuple:
        phase = int(rng.integers(self.stacks.infos[scan].num_phases))
        values = self.stacks.cut(scan, slices, [phase], rows, columns)[:, 0]
        return values, self.stacks.name(scan, phase)


class _AcquiredPullbacks:
    """OCT pullbacks, all of whose usable frames are acquired ones."""

    def __init__(self, data: Sequence[dict], half_gaps_mm: object, width: int, cache_gib: float) -> None:
        self.pullbacks = PullbackSet(data, (width, width), cache_gib)
        self.pullbacks.require_frames(2, "a plane across the frames")
        self.patients = self.pullbacks.patients

    def slices(self, scan: int, rng: np.random.Generator) -> range:
        return self.pullbacks.ranges[scan]

    def plane(self, scan: int) -> tuple[int, ...]:
        return tuple(self.pullbacks.cache.info(self.pullbacks.paths[scan]).shape[:2])

    def cut(self, scan: int, slices: range, rows: np.ndarray, columns: np.ndarray, rng: np.random.Generator) -> tuple:
        path = self.pullbacks.paths[scan]
        # Held whole: a plane across the frames needs a line of each of them.
        values = self.pullbacks.cache.whole(path)[np.ix_(slices, rows, columns)].astype(np.float32)
        low, high = self.pullbacks.cache.info(path).intensity_range
        return ((values - low) / (high - low)).clip(0, 1), stem(path)


_KINDS = {"cmr": _AcquiredStacks, "oct": _AcquiredPullbacks}


class InPlaneTripletDataset(Dataset):
    """Random triplets of parallel planes across the slices of a stack, or across the frames of a pullback.

    A plane across n slices of width w is `(n, w)`: a short-axis stack has some ten slices 8 to 10 mm apart, and no
    patch of such a plane is as high as a network for slices wants it. So planes are stretched along the slice axis to
    the height of the patch, linearly; where there are more slices than that, as in pullbacks, so many consecutive ones
    are taken as they are.

    What index `i` gives depends on `(seed, i)` alone, as in `custom.data.triplets.RandomTripletDataset`, and any index
    from 0 up is valid. Each patient is drawn equally often.

    Args:
        data: dictionaries with "image" (path), "patient" and optionally "slices" and "axis" (stacks) or "frames"
            (pullbacks).
        num_draws: triplets in an epoch.
        modality: "cmr" for stacks, "oct" for pullbacks.
        steps: distances in pixels between neighbouring planes of a triplet, to choose from.
        half_gaps_mm: least and most distance of acquired slices. Of a denser stack (the phantom's) every k-th slice
            counts as acquired, and the others are not looked at; one where none fits is read slice by slice. Pullbacks
            have one distance.
        crop_size: (height, width) of a patch; the height lies along the slice axis before the transform. What the
            transform changed in size is cropped to it at random, or its edges replicated.
        transform: MONAI dictionary transforms of "image" `(3, H, W)`, the patches in [0, 1]. What MONAI draws once for
            all channels treats the three alike. The rows of a patch lie along the slices or frames; depth lies along
            its columns where "axis" is 0, and nowhere where it is 1.
        seed: of all draws.
        cache_gib: see `custom.data.frame_cache.ScanCache`.

    Raises:
        InputError: a scan is unusable, or has fewer than two usable slices; a pullback's frames are smaller than a
            patch is wide; steps that are none, or distances that no
            stack has.
        ValueError: unknown modality.
    """

    def __init__(
        self,
        data: Sequence[dict],
        num_draws: int,
        modality: str = "cmr",
        steps: Sequence[int] = (1, 2, 3, 4),
        half_gaps_mm: Sequence[float] = (6.0, 10.5),
        crop_size: Sequence[int] = (128, 128),
        transform: Transform | None = None,
        seed: int = 0,
        cache_gib: float = 4.0,
    ) -> None:
        if modality not in _KINDS:
            raise ValueError(f"modality is 'cmr' or 'oct', got {modality!r}.")
        self.data, self.num_draws, self.seed, self.transform, self.cache_gib = (
            data,
            num_draws,
            seed,
            transform,
            cache_gib,
        )
        self.modality, self.steps, self.half_gaps_mm = modality, whole_numbers("--steps", steps), half_gaps_mm
        self.crop_size = plane_size("--crop_size", crop_size)
        self.scans = _KINDS[modality](data, half_gaps_mm, max(crop_size), cache_gib)
        patients = dict.fromkeys(self.scans.patients)
        self._scans_of = [[k for k, p in enumerate(self.scans.patients) if p == patient] for patient in patients]

    def __len__(self) -> int:
        return self.num_draws

    def __getitem__(self, index: int) -> dict:
        """Triplet `index`.

        Returns:
            "image" `(3, 1, h, w)` in [0, 1]; "axis", the in-plane axis along which the planes follow each other (0 for
            rows, 1 for columns), "first" and "step" on it in pixels; "slices" `(3,)`, the acquired slices in the planes
            as start, stop and stride; "patient" and "scan".
        """
        rng = np.random.default_rng([self.seed, index])
        of_patient = self._scans_of[rng.integers(len(self._scans_of))]
        scan = of_patient[rng.integers(len(of_patient))]
        axis = int(rng.integers(2))
        height, width = self.crop_size

        slices = self.scans.slices(scan, rng)
        start = int(rng.integers(max(0, len(slices) - height) + 1))
        slices = slices[start : start + height]
        plane = self.scans.plane(scan)
        length, across = plane[axis], plane[1 - axis]
        step = int(rng.choice([s for s in self.steps if 2 * s < length] or [1]))
        first = int(rng.integers(max(1, length - 2 * step)))
        along = np.arange(first, first + 2 * step + 1, step).clip(0, length - 1)
        corner = int(rng.integers(across - width + 1)) if across >= width else (across - width) // 2
        span = np.arange(corner, corner + width).clip(0, across - 1)  # narrower planes: their edges replicated
        rows, columns = (along, span) if axis == 0 else (span, along)
        values, name = self.scans.cut(scan, slices, rows, columns, rng)
        places = rng.random(2)

        planes = torch.from_numpy(np.moveaxis(values, 1 + axis, 0).copy())[:, None]
        if len(slices) != height:
            planes = F.interpolate(planes, size=(height, width), mode="bilinear", align_corners=True)
        item = augmented(self.transform, {"image": planes[:, 0], "axis": axis}, self.seed, index)
        return {
            "image": cropped(item["image"], self.crop_size, places)[:, None],
            "axis": axis,
            "first": first,
            "step": step,
            "slices": torch.tensor([slices.start, slices.stop, slices.step]),
            "patient": self.scans.patients[scan],
            "scan": name,
        }
