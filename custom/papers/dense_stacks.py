# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A sparse stack densified by each method: long-axis cuts and segmented surfaces (CaLID, Figures 5 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch

from custom.errors import InputError
from custom.evaluation.bundle_methods import bundle_method
from custom.evaluation.method_grammar import parse_methods
from custom.evaluation.methods import Networks
from custom.evaluation.protocol_windows import protocol_windows
from custom.files import atomic
from custom.inferers.gaps import GapInferer
from custom.inferers.scans import interpolate_scan
from custom.inferers.segmentation import segment_slices
from custom.pictures.anatomy import anatomy_figure
from custom.pictures.long_axis import picture_of
from custom.pictures.planes import end_systole, read_volume
from custom.scans.scan import Scan
from custom.scans.stacks import inspect_stack, read_slices, to_unit


def acquire(path: str | Path, folder: Path, known_mm: float, axis: int | None) -> tuple[Path, Path | None, int]:
    """End-diastole and end-systole of a stack as a scanner would acquire them: every n-th slice.

    Args:
        path: a stack or cine; one that is dense enough is its own truth.
        folder: receives `acquired.nii.gz` and, of a dense stack, `truth.nii.gz`.
        known_mm: distance of the slices kept; a stack that is no denser keeps all.
        axis: the through-plane array axis.

    Returns:
        The two files, the second None for a stack that is not dense, and the number of its slices per slice kept.
    """
    info = inspect_stack(path, axis)
    image = nib.load(path)
    values = np.asarray(image.dataobj).reshape(*info.shape[:3], info.num_phases)
    phases = [0]
    if info.num_phases > 1:
        phases.append(end_systole(read_volume(path, info.axis)) or 1)
    stride = max(1, round(known_mm / info.spacing_mm))
    count = (info.num_slices - 1) // stride * stride + 1
    if count < 2 * stride:
        raise InputError(path, f"has {info.num_slices} slices", f"{2 * stride + 1} are needed at {known_mm:g} mm")

    def write(name: str, step: int) -> Path:
        kept = values[..., phases].take(range(0, count, step), axis=info.axis)
        affine = info.affine.copy()
        affine[:3, info.axis] *= step
        with atomic(folder / name) as temporary:
            staged = temporary.with_name(f".{name}")  # nibabel asks for a suffix it knows
            nib.save(nib.Nifti1Image(kept, affine, image.header), staged)
            staged.replace(temporary)
        return folder / name

    return write("acquired.nii.gz", stride), write("truth.nii.gz", 1) if stride > 1 else None, stride


def dense_stacks(
    output_dir: str,
    methods: str | Sequence[str] = "linear,diffae,dmcvr,calid,CaLID+=calid?refine=true",
    data: str | None = None,
    known_mm: float = 8.0,
    factor: int = 8,
    segmenter: str | None = None,
    scan: int = 0,
    seed: int = 0,
    section: str = "test",
    **options: Any,
) -> None:
    """Densify one test stack with every method; write `long_axis.png` (and `.csv`), with a segmenter `surfaces.png`.

    Args:
        output_dir: folder of the results; dense stacks in a folder per method.
        methods: see `custom.evaluation.method_grammar`.
        data: prepared folder; the phantom, whose stacks are dense, if None.
        known_mm: distance of the slices that the methods are given, where the stack is denser.
        factor: dense slices per slice, for stacks without a dense truth; else the truth's.
        segmenter: bundle whose labels are drawn as surfaces at end-diastole.
        scan: which entry of the section.
        seed: of stochastic methods.
        section: of the datalist.
        options: further ids of CaLID's `evaluate.json`, such as `phantom_dir`.

    Raises:
        InputError: as `custom.papers.compare.compare`.
    """
    specs, _ = parse_methods(methods, "cmr")
    described = {spec.label: spec.method() for spec in specs}
    _, entries = protocol_windows("cmr", data, section, 1, seed=seed, options=options)
    if not 0 <= scan < len(entries):
        raise InputError("--scan", f"is {scan}", f"choose from 0 to {len(entries) - 1}")
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    acquired, truth, stride = acquire(entries[scan]["image"], folder, known_mm, entries[scan].get("axis"))
    axis = inspect_stack(entries[scan]["image"], entries[scan].get("axis")).axis
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    networks = Networks(device)
    inferer = GapInferer(factor=stride if truth is not None else factor, seed=seed)
    dense = {}
    for label, method in described.items():
        place = folder / "".join(c if c.isalnum() else "_" for c in label)
        place.mkdir(exist_ok=True)
        dense[label] = str(interpolate_scan(acquired, place, networks(method), inferer, device=device, axis=axis))
    cuts = {label: path for label, path in dense.items() if label != "Linear"}  # the picture has its own
    picture_of(str(acquired), str(folder / "long_axis.png"), cuts, None if truth is None else str(truth), axis=axis)
    if segmenter is not None:
        network = networks(bundle_method(segmenter))
        stacks = {"Original": str(acquired), **dense} | ({} if truth is None else {"truth": str(truth)})
        volumes = {name: _segmented(inspect_stack(path, axis), network, device) for name, path in stacks.items()}
        print(f"wrote {anatomy_figure(volumes, folder / 'surfaces.png')}")


def _segmented(
    info: Scan, network: torch.nn.Module, device: torch.device
) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Labels `(N, H, W)` at the first phase, and the spacing along these axes in mm."""
    slices = torch.from_numpy(to_unit(info, read_slices(info)[:, :1]))
    in_plane = [float(np.linalg.norm(info.affine[:3, axis])) for axis in range(3) if axis != info.axis]
    labels = segment_slices(network, slices, device=device)
    return labels.reshape(len(slices), *info.plane), (info.spacing_mm, *in_plane)
