# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Augmentation of an item: MONAI transforms whose draws depend on where a training is, and the crop after them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from monai.data import MetaTensor
from monai.transforms import Randomizable

Transform = Callable[[dict], dict]


def augmented(transform: Transform | None, item: dict[str, Any], seed: int, index: int) -> dict[str, Any]:
    """An item after its random transforms.

    The random state of the transform is set from `(seed, index)` before each item, and the indices of an epoch follow
    those of the one before (`custom.data.windows.EpochWindowSampler`). So an item depends neither on the items drawn
    before it nor on the worker that draws it, and a training that goes on after a kill sees what it would have seen.

    Args:
        transform: MONAI dictionary transforms, as a `Compose` or one by itself; None leaves the item as it is. What it
            draws must come from the random state of a MONAI `Randomizable`.
        item: "image" `(C, H, W)` in [0, 1] and whatever else the transform may look at.
        seed: of the data set.
        index: of the item.

    Returns:
        What the transform made of it, without the records that MONAI keeps for an inverse; "image" is float32 and
        clipped to [0, 1].
    """
    if transform is not None:
        if isinstance(transform, Randomizable):
            # Not the seed of the data set's own draws: the two must not go together.
            words = np.random.SeedSequence([seed, index, 1]).generate_state(1)
            transform.set_random_state(seed=int(words[0]))
        item = transform(item)
    item = {key: value.as_tensor() if isinstance(value, MetaTensor) else value for key, value in item.items()}
    return {**item, "image": torch.as_tensor(item["image"]).float().clamp(0, 1)}


def cropped(image: torch.Tensor, crop_size: Sequence[int] | None, places: Sequence[float]) -> torch.Tensor:
    """A crop of planes.

    Args:
        image: `(..., H, W)`.
        crop_size: (height, width) in pixels; None for whole planes. A smaller plane is centred in it, its edges
            replicated.
        places: of the crop among all that fit, in [0, 1) along either axis.
    """
    if crop_size is None:
        return image
    for axis, edge, place in zip((-2, -1), crop_size, places, strict=True):
        spare = image.shape[axis] - edge
        if spare >= 0:
            image = image.narrow(axis, int(place * (spare + 1)), edge)
    pads = []
    for edge, length in zip(reversed(crop_size), reversed(image.shape[-2:]), strict=True):
        # The middle pixel of the plane becomes that of the crop, as in the fixed crops of `custom.data.triplets`.
        before = edge // 2 - length // 2
        pads += [before, edge - length - before]
    if any(pads):
        image = F.pad(image, pads, mode="replicate")
    return image.contiguous()
