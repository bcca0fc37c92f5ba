# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Segmentation from disk to disk: short-axis stacks and cines in, label images and clinical measures out."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.inferers import Inferer
from monai.transforms import Compose
from monai.utils import CommonKeys as Keys
from monai.utils import convert_to_tensor

from custom.inferers.folder import FolderEvaluator
from custom.inferers.settings import settings_of
from custom.scans.provenance import sha256_of
from custom.transforms.layout import check_axis, slice_axis, slices_first
from custom.transforms.save import PROVENANCE
from custom.transforms.save_labels import SaveLabelsd

logger = logging.getLogger(__name__)


class PlaneInferer(Inferer):
    """Runs a network of slices on every slice, and every phase, of a volume.

    Args:
        axis: the through-plane axis of the volume, 0, 1 or 2; None for that of its affine.
        batch_size: slices at a time.
    """

    def __init__(self, axis: int | None = None, batch_size: int = 16) -> None:
        super().__init__()
        self.axis, self.batch_size = axis, batch_size

    def validate(self) -> None:
        """Raise ValueError if an option is unusable."""
        check_axis(self.axis)
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be positive, got {self.batch_size}")

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """Class scores `(B, C, X, Y, Z[, T])` of `inputs` `(B, 1, X, Y, Z[, T])`."""
        axis = slice_axis(inputs, self.axis)
        planes = slices_first(convert_to_tensor(inputs), axis, takes_phases=False)  # (N, B, T, 1, H, W)
        count = planes.shape[:3]
        parts = [network(part, *args, **kwargs) for part in planes.flatten(0, 2).split(self.batch_size)]
        scores = torch.cat(parts).unflatten(0, count).movedim(2, -1).movedim(0, 2 + axis)
        return scores if inputs.ndim == 6 else scores.squeeze(-1)


@torch.no_grad()
def segment_slices(
    network: Callable[[torch.Tensor], torch.Tensor],
    slices: torch.Tensor,
    batch_size: int = 16,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """Classes of slices.

    Args:
        network: a segmenter in evaluation mode, `(B, 1, H, W)` to class scores `(B, C, H, W)`.
        slices: `(N, 1, H, W)` in [0, 1].
        batch_size: slices at a time.
        device: where the network is.

    Returns:
        `(N, H, W)` uint8.
    """
    parts = [network(part.to(device)).argmax(1).to(torch.uint8).cpu() for part in slices.split(batch_size)]
    return torch.cat(parts).numpy()


class StackSegmenter(FolderEvaluator):
    """One iteration is one stack or cine: `preprocessing`, `inferer`, `postprocessing`, which ends with `SaveLabelsd`.

    An output whose sidecar names the same input, weights and settings is left as it is.

    Args:
        device: see `FolderEvaluator`, as are `dataset`, `checkpoint`, `bundle_root`, `val_handlers`.
        dataset: items `{"image": path}`.
        network: a segmenter, `(B, 1, H, W)` to class scores.
        preprocessing: from `{"image": path}` to slices in [0, 1].
        inferer: a :class:`PlaneInferer`.
        postprocessing: from class scores to files.
        kwargs: the others of `FolderEvaluator`.
    """

    def __init__(
        self,
        device: torch.device | str,
        dataset: torch.utils.data.Dataset,
        network: torch.nn.Module,
        preprocessing: Compose,
        inferer: Inferer,
        postprocessing: Compose,
        **kwargs: Any,
    ) -> None:
        self.preprocessing, self.postprocessing = preprocessing, postprocessing
        self.saver = next(t for t in postprocessing.transforms if isinstance(t, SaveLabelsd))
        super().__init__(device, dataset, network, inferer, self.saver.output_dir, **kwargs)

    def do_scan(self, path: Path) -> Path:
        """Segment and measure one stack or cine from disk to disk."""
        transforms = (*self.preprocessing.transforms, *self.postprocessing.transforms)
        settings = settings_of(self.network, self.inferer, transforms)
        record = json.loads(json.dumps({**self.made_by, "input_sha256": sha256_of(path), "settings": settings}))
        output, _ = self.saver.outputs(path)
        if self.saver.is_done(path, record):
            self.summary = "already done with these options, kept"
            return output
        data = self.preprocessing({Keys.IMAGE: str(path)})
        with torch.no_grad():
            scores = self.inferer(data[Keys.IMAGE][None].to(self.state.device), self.network)
        self.postprocessing(data | {Keys.PRED: scores[0], PROVENANCE: record})
        self.summary = "labelled and measured"
        return output
