# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Random changes of polar OCT windows that differ from frame to frame, or change their size."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform

from custom.metrics.speckle import amplitudes, displayed
from custom.transforms.augmentation_polar import RandPolard, between_rows, rows_from, sector


class RandTurnFramesd(RandPolard):
    """Turn the frames of a window against each other, evenly, as a catheter or a vessel that rotates on its way.

    Args:
        keys: items `(frames, A-lines, depths)`.
        most: largest angle between the first and the last frame in degrees, either way.
        prob: of a rotation.
        allow_missing_keys: do not complain of an absent key.
    """

    def __init__(
        self, keys: KeysCollection, most: float = 90.0, prob: float = 0.1, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, prob, allow_missing_keys)
        self.most = most

    def _draw(self, rows: int, depths: int) -> float:
        return rows * self.R.uniform(-self.most, self.most) / 360

    def _change(self, frames: torch.Tensor, drawn: float) -> torch.Tensor:
        rows, shares = np.arange(frames.shape[1]), np.linspace(0, 1, len(frames))
        return torch.cat([between_rows(frames[k : k + 1], rows - share * drawn) for k, share in enumerate(shares)])


class RandResamplePolard(RandPolard):
    """Sample frames as another system does: another number of A-lines, another depth pixel.

    Args:
        keys: items `(frames, A-lines, depths)`; all rows of a turn, depths from anywhere.
        alines: least and most number of A-lines.
        depth: least and most size of the new depth pixel in old ones; below 1 there are more of them.
        at_least: so many A-lines and depths are left: a crop's edge.
        prob: of a change.
        allow_missing_keys: do not complain of an absent key.
    """

    def __init__(
        self,
        keys: KeysCollection,
        alines: Sequence[int] = (256, 1024),
        depth: Sequence[float] = (0.5, 2.0),
        at_least: int = 128,
        prob: float = 0.3,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob, allow_missing_keys)
        self.alines, self.depth, self.at_least = tuple(alines), tuple(depth), at_least

    def _draw(self, rows: int, depths: int) -> tuple[int, int]:
        # Even on a logarithmic scale: half as often as twice.
        wanted = np.exp(self.R.uniform(*np.log(self.alines))), depths / np.exp(self.R.uniform(*np.log(self.depth)))
        least = min(self.at_least, rows), min(self.at_least, depths)
        return tuple(max(round(size), few) for size, few in zip(wanted, least, strict=True))

    def _change(self, frames: torch.Tensor, drawn: tuple[int, int]) -> torch.Tensor:
        # Where fewer pixels are asked for, each is the mean of what it covers, as a coarser system sees it.
        return F.interpolate(frames[None], drawn, mode="bilinear", antialias=True)[0]


class RandSideBranchd(RandPolard):
    """Open a side branch: in a sector that widens and closes from frame to frame there is no tissue behind some depth.

    Args:
        keys: items `(frames, A-lines, depths)`.
        width: least and most width where it is widest, as a share of the circle.
        depth: least and most depth at which it begins, as a share of an A-line.
        length: least and most number of frames from its opening to its close, as a share of the window.
        strength: least and most share of the signal that is gone.
        prob: of a branch.
        allow_missing_keys: do not complain of an absent key.
    """

    def __init__(
        self,
        keys: KeysCollection,
        width: Sequence[float] = (0.05, 0.2),
        depth: Sequence[float] = (0.1, 0.5),
        length: Sequence[float] = (0.5, 2.0),
        strength: Sequence[float] = (0.8, 1.0),
        prob: float = 0.1,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob, allow_missing_keys)
        self.width, self.depth, self.length, self.strength = (tuple(x) for x in (width, depth, length, strength))

    def _draw(self, rows: int, depths: int) -> tuple[np.ndarray, float, int, float, float, float]:
        """Distance of each A-line from its middle, half its width, where it begins, its strength; along the window
        its middle and half its length, both as shares."""
        distance = rows_from(rows, self.R.uniform(0, rows))
        half, begins = 0.5 * rows * self.R.uniform(*self.width), int(depths * self.R.uniform(*self.depth))
        along = self.R.uniform(0, 1), 0.5 * self.R.uniform(*self.length)
        return distance, half, begins, self.R.uniform(*self.strength), *along

    def _change(self, frames: torch.Tensor, drawn: tuple[np.ndarray, float, int, float, float, float]) -> torch.Tensor:
        distance, half, begins, strength, middle, reach = drawn
        place = (np.linspace(0, 1, len(frames)) - middle) / reach
        open_by = half * np.sqrt(np.clip(1 - place**2, 0, None))[:, None]  # a tube that is cut across
        shade = np.clip((open_by - distance) / max(0.1 * half, 1), 0, 1)
        kept = torch.as_tensor(1 - strength * shade, dtype=frames.dtype)[:, :, None]
        return torch.cat([frames[:, :, :begins], frames[:, :, begins:] * kept], dim=2)


class RandBloodd(RandPolard):
    """Leave blood in the lumen: a haze at the catheter, on one side or all around, that dims what lies behind it.

    Blood that the flush did not clear scatters: it has speckle of its own, new in every frame, under the logarithm of
    the display (`custom.metrics.speckle`), and less of it the farther from the catheter.

    Args:
        keys: items `(frames, A-lines, depths)`.
        level: least and most strength at the catheter, in amplitudes at which the display begins to bend.
        width: least and most part of the circle that it fills.
        reach: least and most depth at which it is down to a third, as a share of an A-line.
        dimming: least and most share of the light that it takes from what lies behind.
        prob: of blood.
        allow_missing_keys: do not complain of an absent key.
    """

    def __init__(
        self,
        keys: KeysCollection,
        level: Sequence[float] = (0.5, 6.0),
        width: Sequence[float] = (0.2, 1.0),
        reach: Sequence[float] = (0.15, 0.5),
        dimming: Sequence[float] = (0.0, 0.5),
        prob: float = 0.1,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob, allow_missing_keys)
        self.level, self.width, self.reach, self.dimming = (tuple(x) for x in (level, width, reach, dimming))

    def _draw(self, rows: int, depths: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Amplitude of the blood and share of the light that is left, `(rows, depths)`, and the seed of its speckle."""
        centre, half = self.R.uniform(0, rows), 0.5 * rows * self.R.uniform(*self.width)
        there = sector(rows, centre, half)[:, None]
        depth = np.arange(depths) / depths / self.R.uniform(*self.reach)
        haze = self.R.uniform(*self.level) * there * np.exp(-depth)
        left = 1 - self.R.uniform(*self.dimming) * there * (1 - np.exp(-depth))
        return haze, left, int(self.R.randint(2**31))

    def _change(self, frames: torch.Tensor, drawn: tuple[np.ndarray, np.ndarray, int]) -> torch.Tensor:
        haze, left, seed = drawn
        speckle = np.random.default_rng(seed).standard_normal((2, *frames.shape))
        scattered = torch.from_numpy(haze * speckle).to(frames.dtype)
        tissue = amplitudes(frames) * torch.as_tensor(left, dtype=frames.dtype)
        return displayed(torch.hypot(tissue + scattered[0], scattered[1]))


class RandJumpFramesd(RandPolard):
    """Let frames jump, as the beating heart moves a vessel against its catheter: each is turned and displaced in depth.

    Every frame has its own displacement, drawn independently, so what lies between two frames cannot be known from
    them: a network that has seen this learns where to be unsure. The displacement in depth is a shift of the catheter
    across the lumen, one period around the circle.

    Args:
        keys: items `(frames, A-lines, depths)`.
        most: largest displacement in depth, as a share of `reference`; each item draws its own below it.
        most_turn: largest turn in degrees, likewise.
        reference: depths that the share is of; crops differ in how much of an A-line they show.
        prob: of jumps.
        allow_missing_keys: do not complain of an absent key.
    """

    def __init__(
        self,
        keys: KeysCollection,
        most: float = 0.03,
        most_turn: float = 4.0,
        reference: int = 375,
        prob: float = 0.2,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob, allow_missing_keys)
        self.most, self.most_turn, self.reference = most, most_turn, reference

    def _draw(self, rows: int, depths: int) -> tuple[float, float, int]:
        """Deviation of the turn in rows and of the shift in depths, and the seed of the frames' own draws."""
        sizes = self.R.uniform(0, self.most_turn) * rows / 360, self.R.uniform(0, self.most) * self.reference
        return *sizes, int(self.R.randint(2**31))

    def _change(self, frames: torch.Tensor, drawn: tuple[float, float, int]) -> torch.Tensor:
        turn, shift, seed = drawn
        rng = np.random.default_rng(seed)
        rows, depths = frames.shape[1:]
        angle, places, moved = 2 * np.pi * np.arange(rows) / rows, np.arange(depths), []
        for frame in frames.split(1):
            frame = between_rows(frame, np.arange(rows) + rng.uniform(-turn, turn))[0]
            direction, length = rng.uniform(0, 2 * np.pi), rng.uniform(0, shift)
            at = np.clip(places + length * np.cos(angle - direction)[:, None], 0, depths - 1)
            lower = np.minimum(at.astype(int), depths - 2)
            below, above = (torch.gather(frame, 1, torch.from_numpy(k)) for k in (lower, lower + 1))
            moved.append(torch.lerp(below, above, torch.as_tensor(at - lower, dtype=frame.dtype)))
        return torch.stack(moved)


class RandStillFramesd(RandomizableTransform, MapTransform):
    """Let nothing move: all frames of a window become one of them, drawn at random. Polar or not.

    Args:
        keys: items `(frames, H, W)`.
        prob: of standing still.
        allow_missing_keys: do not complain of an absent key.
    """

    def __init__(self, keys: KeysCollection, prob: float = 0.05, allow_missing_keys: bool = False) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return `data` with the frames alike, or as they were."""
        data = dict(data)
        self.randomize(None)
        if self._do_transform:
            share = self.R.uniform()
            for key in self.key_iterator(data):
                frames = data[key]
                data[key] = frames[int(share * len(frames))][None].repeat(len(frames), 1, 1)
        return data
