# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Real slices and frames that are known, left out and predicted from their neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import fire
import torch

from custom.errors import InputError, report_input_errors
from custom.evaluation.bundle_methods import bundle_method
from custom.interpolators.base import Interpolator
from custom.transforms.intensity import UnitIntensityd
from custom.transforms.layout import slices_first
from custom.transforms.load import LoadScand
from custom.weights import load_model

#: Of the shipped weights of `motion`, see docs/results.md; all other patients of the set were trained on.
VALIDATION_PATIENTS = ("SC-N-40", "SC-HYP-08")
TEST_PATIENTS = ("SC-HF-I-04", "SC-HF-NI-11", "SC-HF-NI-34", "SC-HYP-03", "SC-HYP-38", "SC-N-05")
#: Of the real pullback, from 0: what the shipped weights of `motion_oct` were chosen on, and what they never met.
VALIDATION_FRAMES, TEST_FRAMES = range(90, 100), range(100, 130)
HEART = slice(32, 160)  # of 192 pixels: the crop that the tables of docs/comparison.md are of


class Window(NamedTuple):
    """A frame between two that are known.

    Attributes:
        ends: `(2, 1, H, W)` in [0, 1].
        truth: the frame, `(1, H, W)`.
        position: where between the ends, in (0, 1).
        distance: of the ends, in frames.
    """

    ends: torch.Tensor
    truth: torch.Tensor
    position: float
    distance: int


def slices_of(path: Path, kind: str) -> torch.Tensor:
    """The slices of a scan, `(N, 1, H, W)` in [0, 1], as inference sees them."""
    image = UnitIntensityd("image")(LoadScand(kind=kind)({"image": str(path)}))["image"]
    return slices_first(image.as_tensor()[None], image.meta["slice_axis"], False)[:, 0, 0]


def left_out_stacks(folder: str | Path) -> dict[str, list[torch.Tensor]]:
    """The stacks of patients that the shipped weights were not trained on: "validation" and "test".

    Args:
        folder: of NIfTI named by patient, as the line in docs/uncertainty.md prepares it.

    Raises:
        InputError: a part has no stack.
    """
    parts = {"validation": VALIDATION_PATIENTS, "test": TEST_PATIENTS}
    paths = sorted(Path(folder).glob("*.nii.gz"))
    found = {
        part: [slices_of(path, "stack") for path in paths if path.name.split("_")[0] in patients]
        for part, patients in parts.items()
    }
    for part, kept in found.items():
        if not kept:
            remedy = "prepare it with the line in docs/uncertainty.md"
            raise InputError(folder, f"has no stack of {', '.join(parts[part])}", remedy)
    return found


def left_out_frames(pullback: str | Path) -> dict[str, torch.Tensor]:
    """Frames of the real pullback that the shipped weights were not trained on: "validation" and "test"."""
    frames = slices_of(Path(pullback), "pullback")
    return {"validation": frames[list(VALIDATION_FRAMES)], "test": frames[list(TEST_FRAMES)]}


def windows(slices: torch.Tensor, distance: int, every: int = 1) -> Iterator[Window]:
    """All frames of all gaps of one width."""
    for first in range(0, len(slices) - distance, every):
        for place in range(1, distance):
            yield Window(slices[[first, first + distance]], slices[first + place], place / distance, distance)


def shipped(bundle: str) -> Interpolator:
    """A bundle's network with the weights that ship."""
    method = bundle_method(bundle)
    network = method.build()
    load_model(network, method.checkpoint)
    return network.eval()


@torch.no_grad()
def predicted(network: Interpolator, window: Window, wrap_rows: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The frame and the error expected of it, each `(1, H, W)`."""
    frames, errors = network.predict(window.ends[None], torch.tensor([window.position]), [0], wrap_rows)
    return frames[0, 0], errors[0, 0]


def run(mr: Callable[..., None], oct: Callable[..., None]) -> None:
    """The command line of a benchmark of both modalities, on one thread."""
    report_input_errors()
    torch.set_num_threads(1)
    fire.Fire({"mr": mr, "oct": oct})
