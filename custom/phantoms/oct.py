# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Simulated intracoronary OCT pullbacks with dense ground truth.

``python -m custom.phantoms.oct --output_dir DIR --num_patients 8`` writes a data set split by patient.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np

from custom.phantoms.dataset import is_written, save_patient, write_split
from custom.phantoms.oct_anatomy import SHEATH_RADIUS_MM, Label, Vessel
from custom.phantoms.oct_fields import SmoothNoise
from custom.phantoms.oct_physics import Optics, detect, rings, scatterers

__all__ = ["Label", "OctPhantomConfig", "OctPullback", "simulate_pullback", "write_phantom_dataset"]

VERSION = 1  # of the simulation: raise it when the same seed gives other images, so that written sets are made anew


@dataclass(frozen=True)
class OctPhantomConfig:
    """How a pullback is acquired. The vessel, its disease and the console's contrast are drawn from the seed.

    Args:
        num_frames: frames of the pullback.
        num_alines: A-lines of one rotation.
        num_depths: samples along the beam.
        frame_pitch_mm: distance between frames.
        depth_spacing_mm: distance between samples.
        stent: whether a stent is in the vessel; None lets the seed decide.
        looks: detections averaged in power before the display; 1 gives raw, fully developed speckle.
        speckle_length_mm: distance along the pullback over which speckle is renewed.
        nurd_deg: standard deviation of the angle error of the rotation.
        heart_motion_mm: amplitude of the heart's motion.
    """

    num_frames: int = 60
    num_alines: int = 256
    num_depths: int = 256
    frame_pitch_mm: float = 0.2
    depth_spacing_mm: float = 0.0102
    stent: bool | None = None
    looks: int = 2
    speckle_length_mm: float = 0.025
    nurd_deg: float = 1.3
    heart_motion_mm: float = 0.12


@dataclass(frozen=True)
class OctPullback:
    """A pullback and its truth.

    Args:
        polar: uint8 (A-lines, depths, frames).
        labels: uint8 of the same shape, ids of `Label`.
        spacing_mm: (1.0, depth, frame) spacing; the angle has none and carries 1.0.
    """

    polar: np.ndarray
    labels: np.ndarray
    spacing_mm: tuple[float, float, float]

    def cartesian(self, size: int | None = None) -> np.ndarray:
        """The frames as the console shows them, uint8 (size, size, frames)."""
        from custom.scans.coordinates import polar_to_cartesian

        return polar_to_cartesian(self.polar, size)


def simulate_pullback(config: OctPhantomConfig, seed: int, pitch_divisor: int = 1) -> OctPullback:
    """Pull the catheter through a random vessel.

    Args:
        config: the acquisition.
        seed: of the vessel, the contrast and the speckle.
        pitch_divisor: d gives the same vessel at 1/d of the pitch, ``(num_frames - 1) * d + 1`` frames, of which every
            d-th is bit for bit the frame of the plain pullback.

    Returns:
        Frames, labels and spacing.
    """
    rng = np.random.default_rng(seed)
    vessel = Vessel(rng, config.num_frames, config.frame_pitch_mm, config.stent, config.heart_motion_mm)
    optics = Optics(
        looks=config.looks,
        gain=rng.uniform(14, 25),
        noise=rng.uniform(0.07, 0.14),
        compression=rng.uniform(32, 40),
        focus_mm=rng.uniform(0.8, 1.6),
    )
    rotation = SmoothNoise(rng, 8.0), SmoothNoise(rng, 1.5, (1, 5), roll_off=2.0)
    times = np.arange((config.num_frames - 1) * pitch_divisor + 1) / pitch_divisor
    shape = (config.num_alines, config.num_depths, len(times))
    polar, labels = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
    for i, time in enumerate(times):
        polar[..., i], labels[..., i] = _acquire(config, vessel, optics, rotation, seed, float(time))
    spacing = (1.0, config.depth_spacing_mm, config.frame_pitch_mm / pitch_divisor)
    return OctPullback(polar, labels, spacing)


def _acquire(
    config: OctPhantomConfig,
    vessel: Vessel,
    optics: Optics,
    rotation: tuple[SmoothNoise, SmoothNoise],
    seed: int,
    time: float,
) -> tuple[np.ndarray, np.ndarray]:
    """One rotation that starts at `time` (in frames of the plain pullback): gray frame and labels, both (A, D)."""
    turn = np.arange(config.num_alines) / config.num_alines
    drift, ripple = rotation
    error = np.deg2rad(config.nurd_deg) * (2 * drift(time + turn) + ripple(time + 0 * turn, 2 * np.pi * turn))
    radii = (np.arange(config.num_depths) + 0.5) * config.depth_spacing_mm
    tissue = vessel.cut(2 * np.pi * turn + error, time + turn, radii)

    mean = optics.collect(tissue.amplitude, tissue.attenuation, radii)
    mirror, sheath = rings(2 * np.pi * turn, radii, SHEATH_RADIUS_MM, optics.compression)
    stack = (2 * config.looks, config.num_alines, config.num_depths)
    phasors = scatterers(seed, time * config.frame_pitch_mm / config.speckle_length_mm, stack)
    sigma = (
        optics.angular_sigma_rad * config.num_alines / (2 * np.pi),
        optics.axial_sigma_mm / config.depth_spacing_mm,
    )
    floor = optics.noise * phasors[config.looks :]
    amplitude = detect(mean + sheath, phasors[: config.looks], sigma, floor, mirror)
    return optics.display(amplitude), tissue.labels


def write_phantom_dataset(
    folder: str | Path,
    num_patients: int = 8,
    config: OctPhantomConfig | None = None,
    seed: int = 0,
    val: int = 1,
    test: int = 2,
) -> Path:
    """Write a data set of phantom patients; what is already there, complete and of the same make, is kept.

    Args:
        folder: receives ``OCT01.nii.gz`` (frames), ``labels/OCT01.nii.gz`` (truth), ``OCT01.json``, ``datalist.json``.
        num_patients: pullbacks, each of another vessel and contrast.
        config: the acquisition.
        seed: of the set; patient i of a section is drawn from (seed, i, section), whatever the set's size.
        val: patients for validation.
        test: patients for testing; the others are for training.

    Returns:
        The path of ``datalist.json``.

    Raises:
        InputError: no patient is left for training.
    """
    folder, config = Path(folder), config or OctPhantomConfig()

    def write_patient(name: str, patient: int, section: str) -> None:
        make = {"phantom": "oct", "version": VERSION, "seed": patient, "config": asdict(config)}
        if is_written(folder, name, make):
            return
        pullback = simulate_pullback(config, patient)
        images = tuple(_nifti(array, pullback.spacing_mm) for array in (pullback.polar, pullback.labels))
        labels = {label.name.lower(): int(label) for label in Label}
        facts = {"coordinates": "polar", "spacing_mm": pullback.spacing_mm, "labels": labels}
        save_patient(folder, name, make, images, facts)

    return write_split(folder, "OCT", num_patients, val, test, seed, write_patient)


def _nifti(array: np.ndarray, spacing_mm: tuple[float, float, float]) -> nib.Nifti1Image:
    nifti = nib.Nifti1Image(array, np.diag([*spacing_mm, 1.0]))
    nifti.header["descrip"] = b"OCT polar"
    nifti.header.set_xyzt_units("mm")
    return nifti


def main(output_dir: str, num_patients: int = 8, seed: int = 0, val: int = 1, test: int = 2, **acquisition) -> None:
    """Write a phantom data set to `output_dir`; further flags are fields of `OctPhantomConfig`."""
    config = replace(OctPhantomConfig(), **acquisition)
    print(write_phantom_dataset(output_dir, num_patients, config, seed, val, test))


if __name__ == "__main__":
    import fire

    fire.Fire(main)
