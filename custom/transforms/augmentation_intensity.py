# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Random display of OCT frames: systems and exports cut their logarithmic scale at different levels."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform

from custom.metrics.speckle import amplitudes, displayed


class RandDynamicRanged(RandomizableTransform, MapTransform):
    """Show another dynamic range: a drawn floor becomes 0, a drawn ceiling 1, what lies outside is clipped.

    Frames are shown on a logarithmic scale, so floor and ceiling are levels in dB: a floor of 0.1 in frames of 50 dB
    leaves 45 dB. All frames of an item get the same.

    Args:
        keys: items `(frames, H, W)` in [0, 1].
        floor: least and most value that becomes 0.
        ceiling: least and most value that becomes 1; above 1 the brightest pixel gets darker.
        prob: of a change.
        allow_missing_keys: do not complain of an absent key.

    Raises:
        ValueError: a floor that may reach a ceiling.
    """

    def __init__(
        self,
        keys: KeysCollection,
        floor: Sequence[float] = (0.0, 0.1),
        ceiling: Sequence[float] = (0.85, 1.15),
        prob: float = 0.3,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        if max(floor) >= min(ceiling):
            raise ValueError(f"floor must stay below ceiling, got {list(floor)} and {list(ceiling)}.")
        self.floor, self.ceiling = tuple(floor), tuple(ceiling)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return `data` with the range changed, or as it was."""
        data = dict(data)
        self.randomize(None)
        if self._do_transform:
            low, high = self.R.uniform(*self.floor), self.R.uniform(*self.ceiling)
            for key in self.key_iterator(data):
                data[key] = ((data[key] - low) / (high - low)).clip(0, 1)
        return data


class RandNoiseFloord(RandomizableTransform, MapTransform):
    """Raise the noise of the detector: seen in the dark, drowned in bright tissue.

    It interferes with the light's amplitude under the logarithm of the display (`custom.metrics.speckle`) and is drawn
    anew for every pixel and frame.

    Args:
        keys: items `(frames, H, W)` in [0, 1].
        level: least and most deviation of the noise, in amplitudes at which the display begins to bend.
        prob: of a change.
        allow_missing_keys: do not complain of an absent key.
    """

    def __init__(
        self,
        keys: KeysCollection,
        level: Sequence[float] = (0.05, 0.5),
        prob: float = 0.2,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.level = tuple(level)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return `data` with noise, or as it was."""
        data = dict(data)
        self.randomize(None)
        if self._do_transform:
            level = self.R.uniform(*self.level)
            for key in self.key_iterator(data):
                frames = data[key]
                noise = torch.from_numpy(level * self.R.standard_normal((2, *frames.shape))).to(frames.dtype)
                data[key] = displayed(torch.hypot(amplitudes(frames) + noise[0], noise[1]))
        return data
