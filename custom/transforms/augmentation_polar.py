# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Random changes of polar OCT frames, whose rows (A-lines) are a circle.

Each acts on whole frames `(frames, A-lines, depths)`, before any crop, and on all frames of an item alike. Frames that
are not known to be polar (`"coordinates": "polar"` in the item) stay as they are: rolled, they would get a seam.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform

NUM_HARMONICS = 3
"""Of the circle in an uneven rotation: what is smoother than a third of a turn."""
LARGEST_STRETCH = 0.5
"""Of A-lines by an uneven rotation, so that none goes past its neighbour."""


class RandPolard(RandomizableTransform, MapTransform):
    """One change, drawn once for all keys.

    Args:
        keys: items `(frames, A-lines, depths)`.
        prob: of a change.
        allow_missing_keys: do not complain of an absent key.
    """

    def __init__(self, keys: KeysCollection, prob: float, allow_missing_keys: bool) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return `data` with the frames changed, or as they were."""
        data = dict(data)
        self.randomize(None)
        if self._do_transform and data.get("coordinates") == "polar":
            drawn = self._draw(*data[self.first_key(data)].shape[1:])
            for key in self.key_iterator(data):
                data[key] = self._change(data[key], drawn)
        return data

    @abstractmethod
    def _draw(self, rows: int, depths: int) -> Any:
        """What is to be done to frames of so many A-lines and depths."""

    @abstractmethod
    def _change(self, frames: torch.Tensor, drawn: Any) -> torch.Tensor:
        """Do it."""


def between_rows(frames: torch.Tensor, places: np.ndarray) -> torch.Tensor:
    """Frames `(frames, A-lines, depths)` read at `places` `(rows,)` along the circle, linearly between A-lines."""
    lower = np.floor(places).astype(int)
    share = torch.as_tensor(places - lower, dtype=frames.dtype)[:, None]
    below, above = (frames[:, torch.from_numpy(at % frames.shape[1])] for at in (lower, lower + 1))
    return torch.lerp(below, above, share)


def rows_from(rows: int, centre: float) -> np.ndarray:
    """Distance of each A-line from a place on the circle, the shorter way, in A-lines, `(rows,)`."""
    return np.abs((np.arange(rows) - centre + rows / 2) % rows - rows / 2)


def sector(rows: int, centre: float, half: float) -> np.ndarray:
    """Share of each A-line in a sector, `(rows,)` in [0, 1]: full in its inner half, and gone at its edge."""
    return np.clip(2 * (1 - rows_from(rows, centre) / half), 0, 1)


class RandRollRowsd(RandPolard):
    """Turn the catheter: any A-line may be the first.

    Args:
        keys: items `(frames, A-lines, depths)`.
        prob: of a turn.
        allow_missing_keys: do not complain of an absent key.
    """

    def __init__(self, keys: KeysCollection, prob: float = 1.0, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, prob, allow_missing_keys)

    def _draw(self, rows: int, depths: int) -> int:
        return int(self.R.randint(rows))

    def _change(self, frames: torch.Tensor, drawn: int) -> torch.Tensor:
        return frames.roll(drawn, 1)


class RandRowShiftd(RandPolard):
    """Turn the catheter unevenly, as friction does (non-uniform rotational distortion): A-lines move along the circle.

    The shift is a random periodic function of few harmonics; values between A-lines are interpolated linearly.

    Args:
        keys: items `(frames, A-lines, depths)`.
        most: largest shift, as a share of the circle; each item draws its own below it.
        prob: of a change.
        allow_missing_keys: do not complain of an absent key.
    """

    def __init__(
        self, keys: KeysCollection, most: float = 0.02, prob: float = 0.2, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, prob, allow_missing_keys)
        self.most = most

    def _draw(self, rows: int, depths: int) -> np.ndarray:
        """Where each row comes from, `(rows,)`."""
        order = np.arange(1, NUM_HARMONICS + 1)
        weights, starts = self.R.uniform(-1, 1, NUM_HARMONICS) / order, self.R.uniform(0, 2 * np.pi, NUM_HARMONICS)
        places = np.arange(rows)
        shifts = np.sin(2 * np.pi * places[:, None] * order / rows + starts) @ weights
        shifts *= self.R.uniform(0, self.most) * rows / np.abs(shifts).max()
        stretch = np.abs(np.diff(shifts, append=shifts[:1])).max()
        return places + shifts * min(1.0, LARGEST_STRETCH / max(stretch, 1e-9))

    def _change(self, frames: torch.Tensor, drawn: np.ndarray) -> torch.Tensor:
        return between_rows(frames, drawn)


class RandGuidewireShadowd(RandPolard):
    """Put a guidewire into the lumen: behind it, a sector of A-lines is dark from some depth on.

    Args:
        keys: items `(frames, A-lines, depths)`.
        width: least and most width of the shadow, as a share of the circle.
        depth: least and most depth at which it begins, as a share of an A-line.
        strength: least and most share of the signal that it takes.
        prob: of a wire.
        allow_missing_keys: do not complain of an absent key.
    """

    def __init__(
        self,
        keys: KeysCollection,
        width: Sequence[float] = (0.02, 0.06),
        depth: Sequence[float] = (0.05, 0.3),
        strength: Sequence[float] = (0.7, 1.0),
        prob: float = 0.1,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob, allow_missing_keys)
        self.width, self.depth, self.strength = tuple(width), tuple(depth), tuple(strength)

    def _draw(self, rows: int, depths: int) -> tuple[np.ndarray, int, float]:
        """How much of the shadow falls on each A-line, `(rows,)` in [0, 1], where it begins, and its strength."""
        centre, half = self.R.uniform(0, rows), 0.5 * rows * self.R.uniform(*self.width)
        return sector(rows, centre, half), int(depths * self.R.uniform(*self.depth)), self.R.uniform(*self.strength)

    def _change(self, frames: torch.Tensor, drawn: tuple[np.ndarray, int, float]) -> torch.Tensor:
        shade, begins, strength = drawn
        kept = torch.as_tensor(1 - strength * shade, dtype=frames.dtype)[:, None]
        return torch.cat([frames[:, :, :begins], frames[:, :, begins:] * kept], dim=2)
