# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Small exports of all kinds. One thread: on a shared machine OpenMP's waiting threads cost more than they bring."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")


import nibabel as nib  # noqa: E402
import numpy as np  # noqa: E402
import pydicom  # noqa: E402
import pytest  # noqa: E402
from PIL import Image  # noqa: E402
from pydicom.dataset import FileMetaDataset  # noqa: E402
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid  # noqa: E402
from scipy.ndimage import gaussian_filter  # noqa: E402

SPACING = (1.5, 1.5, 8.0)


def smooth(shape, seed=0):
    """Values 0 to 1000, int16, that change slowly."""
    noise = gaussian_filter(np.random.default_rng(seed).random(shape), 2, mode="nearest")
    return np.rint(1000 * (noise - noise.min()) / np.ptp(noise)).astype(np.int16)


@pytest.fixture
def write_nifti():
    def write(path, shape=(24, 20, 4), seed=0, descrip="", spacing=SPACING):
        path.parent.mkdir(parents=True, exist_ok=True)
        image = nib.Nifti1Image(smooth(shape, seed), np.diag([*spacing, 1.0]))
        image.header["descrip"] = descrip.encode()
        if len(shape) > 3:
            image.header.set_zooms((*spacing, 40.0))
            image.header.set_xyzt_units("mm", "msec")
        nib.save(image, path)
        return path

    return write


def save_dicom(path: Path, pixels: np.ndarray, **fields) -> None:
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    bits = 8 * pixels.itemsize
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    for name, value in fields.items():
        setattr(dataset, name, value)
    dataset.PixelData = pixels.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


@pytest.fixture
def write_stack_dicom():
    """A short-axis stack as a scanner exports it, one file for each slice."""

    def write(folder, patient="P1", slices=5):
        study, series = generate_uid(), generate_uid()
        values = smooth((slices, 20, 24)).astype(np.uint16)
        for k in range(slices):
            save_dicom(
                folder / f"IM{k:03d}.dcm", values[k], Modality="MR", PatientID=patient, StudyInstanceUID=study,
                SeriesInstanceUID=series, SeriesNumber=3, SeriesDescription="SAX", InstanceNumber=k + 1,
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0], ImagePositionPatient=[0, 0, 8.0 * k],
                PixelSpacing=[1.5, 1.5], SpacingBetweenSlices=8.0,
            )  # fmt: skip
        return folder

    return write


@pytest.fixture
def write_pullback_dicom():
    def write(path, modality="IVOCT", frames=4):
        pixels = np.uint8(smooth((frames, 32, 40)) // 4)
        save_dicom(
            path, pixels, Modality=modality, NumberOfFrames=frames, PatientID="V1", IVUSPullbackRate=20.0,
            FrameTime=10.0, StudyInstanceUID=generate_uid(), SeriesInstanceUID=generate_uid(), SeriesNumber=1,
            FrameOfReferenceUID=generate_uid(),
        )  # fmt: skip
        return path

    return write


@pytest.fixture
def write_frames():
    def write(folder, count=3):
        folder.mkdir(parents=True, exist_ok=True)
        for k, frame in enumerate(np.uint8(smooth((count, 32, 40)) // 4)):
            Image.fromarray(frame).save(folder / f"frame{k:02d}.png")
        return folder

    return write


@pytest.fixture
def stack_file(tmp_path):
    """Writes random content on an oblique grid and gives its path."""

    def write(name, shape=(20, 24, 12), spacing=(1.5, 1.5, 2.0), seed=0):
        data = np.random.default_rng(seed).integers(0, 900, shape).astype(np.int16)
        rotation = nib.eulerangles.euler2mat(0.3, 0.5, -0.2)
        affine = nib.affines.from_matvec(rotation * np.array(spacing), (5, -9, 31))
        nib.save(nib.Nifti1Image(data, affine), tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture(scope="session")
def real_pullback():
    """A published pullback beside the project, which ships no patient data."""
    name = "shared/data/ivoct/pullback_frames_001_130.npz"
    found = next((parent / name for parent in Path(__file__).resolve().parents if (parent / name).is_file()), None)
    return found or pytest.skip(f"needs {name} beside the project")
