# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Simulated short-axis cardiac MR with dense ground truth: a beating heart in a thorax, and a scanner that acquires it.

``python -m custom.phantoms.cmr --output_dir DIR --num_patients 8`` writes a data set split by patient.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from numbers import Integral, Real
from pathlib import Path

import nibabel as nib
import numpy as np

from custom.errors import InputError
from custom.phantoms.cmr_acquisition import acquire
from custom.phantoms.cmr_anatomy import Heart
from custom.phantoms.cmr_scanned import ScannedHeart
from custom.phantoms.cmr_scanner import Scanner
from custom.phantoms.cmr_thorax import Thorax
from custom.phantoms.cmr_views import LANDMARKS, CmrStack, cut_long_axis
from custom.phantoms.dataset import is_written, save_patient, write_split
from custom.scans.labels import CmrLabel

__all__ = ["CmrLabel", "CmrPhantomConfig", "CmrStack", "cut_long_axis", "simulate_heart", "write_cmr_dataset"]

VERSION = 3  # of the simulation: raise it when the same seed gives other images, so that written sets are made anew
BELOW_APEX_MM, ABOVE_BASE_MM = 8.0, 16.0
SLICE_AXIS = 2
"""The datalist says so: slices of dense truth may lie closer together than pixels."""


@dataclass(frozen=True)
class CmrPhantomConfig:
    """How a heart is acquired. Its shape, beat and contrast are drawn from the seed.

    Args:
        num_phases: phases, evenly spread over one heartbeat; phase 0 is end-diastole.
        matrix: pixels of a slice along either axis.
        pixel_mm: in-plane spacing; None draws 1.25 to 1.9 mm.
        pitch_mm: distance between the middles of slices. Below the thickness slices overlap: the dense truth.
        thickness_mm: of a slice; None draws 6 to 9 mm.
        extent_mm: from the middle of the first slice to the last; None reaches from 8 mm below the apex to about
            16 mm above the mitral plane at end-diastole.
        breath_hold_mm: standard deviation, along each axis, of the shift of a slice: in plane and through it.
        noise: standard deviation of the noise relative to blood; None draws 0.01 to 0.045.
        oblique: whether the affine lies in the patient as a short-axis stack does, or along the axes of the world.
        scanned_share: share of patients, 0 to 1, whose heart has the shape of a scanned one (`ScannedHeart`); the
            others' is analytic (`Heart`).
        held_out: draw scanned shapes from those kept for validation and test patients, else from the others.
        shortening: whether the heart shortens along its axis; without, its tissue stays in its slices.
    """

    num_phases: int = 4
    matrix: int = 160
    pixel_mm: float | None = None
    pitch_mm: float = 1.0
    thickness_mm: float | None = None
    extent_mm: float | None = None
    breath_hold_mm: float = 0.0
    noise: float | None = None
    oblique: bool = True
    scanned_share: float = 0.0
    held_out: bool = False
    shortening: bool = True


def simulate_heart(config: CmrPhantomConfig, seed: int) -> CmrStack:
    """Acquire a random heart.

    The heart, the thorax and the scanner depend on the seed alone: another pitch, number of phases or breath-hold shows
    the same heart. The noise and the shift of a slice depend on the seed, its position and its phase.

    Args:
        config: the acquisition.
        seed: of everything that is drawn.

    Raises:
        ValueError: a config whose lengths or counts are not positive.
    """
    _check(config)
    streams = [np.random.default_rng([seed, stream]) for stream in range(3)]
    scanned = np.random.default_rng([seed, 5]).uniform() < config.scanned_share
    heart = ScannedHeart(streams[0], config.held_out) if scanned else Heart(streams[0])
    if not config.shortening:
        heart.cycle = replace(heart.cycle, descent_mm=0.0)
    middle = heart.length / 2
    scanner = Scanner.draw(streams[1], middle)
    chosen = {
        name: getattr(config, name)
        for name in ("pixel_mm", "thickness_mm", "noise")
        if getattr(config, name) is not None
    }
    scanner = replace(scanner, **chosen)
    surface = scanner.anatomy @ np.array([[0, 0], [0, heart.size + heart.epicardial_fat[0]], [-middle - 4, 0]])
    thorax = Thorax(streams[2], surface[:, 0], surface[:, 1])

    extent = config.extent_mm or heart.length + BELOW_APEX_MM + ABOVE_BASE_MM
    slices = np.arange(int(extent / config.pitch_mm + 1e-6) + 1) * config.pitch_mm - BELOW_APEX_MM
    place = np.array(heart.reach_mm()[:2]) @ scanner.plan[:2, :2] + scanner.shift_mm
    across = (np.arange(config.matrix) - (config.matrix - 1) / 2) * scanner.pixel_mm
    axes = across + place[0], across + place[1], slices
    image, labels = acquire(
        (heart, thorax, scanner), axes, config.pitch_mm, config.num_phases, config.breath_hold_mm, seed
    )
    origin = np.array([across[0] + place[0], across[0] + place[1], slices[0]])
    affine = scanner.affine(origin, config.pitch_mm, middle, config.oblique)
    to_world = scanner.affine(np.zeros(3), 1.0, middle, config.oblique)
    to_world[:3, :2] /= scanner.pixel_mm
    landmarks = {
        name: (to_world @ [*(scanner.plan.T @ (point - (0, 0, middle)) + (0, 0, middle)), 1.0])[:3]
        for name, point in zip(LANDMARKS, heart.landmarks(), strict=True)
    }
    return CmrStack(image, labels, affine, landmarks, scanner.interval_ms)


def _check(config: CmrPhantomConfig) -> None:
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(field.default, bool) or (value is None and field.default is None):
            continue
        whole = field.name in ("num_phases", "matrix")
        if not isinstance(value, Integral if whole else Real) or not np.isfinite(value):
            raise ValueError(f"{field.name} must be a {'whole ' if whole else ''}number, got {value!r}.")
        if value < 0 or (value == 0 and field.name not in ("breath_hold_mm", "noise", "scanned_share")):
            raise ValueError(f"{field.name} must be positive, got {value}.")
    if config.scanned_share > 1:
        raise ValueError(f"scanned_share must be at most 1, got {config.scanned_share}.")


def write_cmr_dataset(
    folder: str | Path,
    num_patients: int = 8,
    config: CmrPhantomConfig | None = None,
    seed: int = 0,
    val: int = 1,
    test: int = 2,
) -> Path:
    """Write a data set of phantom patients; what is already there, complete and of the same make, is kept.

    Args:
        folder: receives ``CMR01.nii.gz`` (int16; 3D where there is one phase, else 4D), ``labels/CMR01.nii.gz``,
            ``CMR01.json``, ``datalist.json``.
        num_patients: each of another heart, thorax, contrast and scanner.
        config: the acquisition; `held_out` is set by section, so that no shape is trained and tested on.
        seed: of the set; patient i of a section is drawn from (seed, i, section), whatever the set's size.
        val: patients for validation.
        test: patients for testing; the others are for training.

    Returns:
        The path of ``datalist.json``.

    Raises:
        InputError: no patient is left for training, or the config makes no sense.
    """
    folder, config = Path(folder), config or CmrPhantomConfig()
    try:
        _check(config)
    except ValueError as error:
        raise InputError(folder, str(error).rstrip("."), "mend the phantom's config") from error

    def write_patient(name: str, patient: int, section: str) -> None:
        write_cmr_patient(folder, name, replace(config, held_out=section != "training"), patient)

    return write_split(folder, "CMR", num_patients, val, test, seed, write_patient, {"axis": SLICE_AXIS})


def write_cmr_patient(folder: Path, name: str, config: CmrPhantomConfig, seed: int) -> None:
    """Write one patient, unless it is there, complete and of the same make.

    Args:
        folder: has a folder ``labels``; files as in `write_cmr_dataset`.
        name: of the patient.
        config: the acquisition.
        seed: of the heart, see `simulate_heart`.
    """
    make = {"phantom": "cmr", "version": VERSION, "seed": seed, "config": asdict(config)}
    if is_written(folder, name, make):
        return
    stack = simulate_heart(config, seed)
    images = tuple(_nifti(array, stack) for array in (stack.image, stack.labels))
    facts = {
        "spacing_mm": [float(v) for v in np.linalg.norm(stack.affine[:3, :3], axis=0)],
        "interval_ms": stack.interval_ms,
        "landmarks_mm": {key: value.tolist() for key, value in stack.landmarks.items()},
        "labels": {label.name.lower(): int(label) for label in CmrLabel},
    }
    save_patient(folder, name, make, images, facts)


def _nifti(array: np.ndarray, stack: CmrStack) -> nib.Nifti1Image:
    phases = array.shape[-1]
    nifti = nib.Nifti1Image(array[..., 0] if phases == 1 else array, stack.affine)
    nifti.header.set_xyzt_units("mm", "msec")
    nifti.header["descrip"] = b"CMR phantom"
    if phases > 1:
        nifti.header.set_zooms((*nifti.header.get_zooms()[:3], stack.interval_ms / phases))
    return nifti


def main(output_dir: str, num_patients: int = 8, seed: int = 0, val: int = 1, test: int = 2, **acquisition) -> None:
    """Write a phantom data set to `output_dir`; further flags are fields of `CmrPhantomConfig`."""
    config = replace(CmrPhantomConfig(), **acquisition)
    print(write_cmr_dataset(output_dir, num_patients, config, seed, val, test))


if __name__ == "__main__":
    import fire

    fire.Fire(main)
