# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Small scans as clients have them, and what the bundles' own command makes of them."""

from __future__ import annotations

from pathlib import Path

import monai.bundle
import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from scipy.spatial.transform import Rotation

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"


def write_scan(path, shape=(24, 28, 4), spacing=(1.5, 1.4, 8.5), descrip=b"", seed=0, dtype=np.int16):
    """A smooth oblique scan with noise, as NIfTI."""
    rng = np.random.default_rng(seed)
    grids = np.meshgrid(*(np.linspace(0, 3, n) for n in shape), indexing="ij")
    values = 100 + 60 * np.sin(sum(grids)) + rng.normal(0, 8, shape)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [-15, 40, 25], degrees=True).as_matrix() @ np.diag(spacing)
    affine[:3, 3] = [9, -50, 33]
    image = nib.Nifti1Image(values.clip(0, 255).astype(dtype), affine)
    image.header["descrip"] = descrip
    nib.save(image, path)
    return path


def write_dicom(folder, slices=4, phases=2, series=4):
    """A short-axis cine as a scanner exports it, one file per slice and phase."""
    folder.mkdir(parents=True, exist_ok=True)
    row, column = np.indices((20, 24))
    for k in range(slices):
        for t in range(phases):
            image = pydicom.Dataset()
            image.file_meta = FileMetaDataset()
            image.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
            image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = pydicom.uid.MRImageStorage
            image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = pydicom.uid.generate_uid()
            pixels = 400 + 200 * np.sin(row / 5 + k / 3) + 100 * np.cos(column / 4 + t)
            fields = {
                "Modality": "MR",
                "PatientID": "P1",
                "StudyInstanceUID": "1.2",
                "SeriesInstanceUID": f"1.2.{series}",
                "SeriesNumber": series,
                "SeriesDescription": f"cine {'sax' * series}",
                "ImageType": ["ORIGINAL", "PRIMARY", "M"],
                "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
                "ImagePositionPatient": [5, -30, 8.0 * k],
                "PixelSpacing": [1.5, 1.25],
                "TriggerTime": 30.5 * t,
                "InstanceNumber": 50 * t + k,
                "Rows": 20,
                "Columns": 24,
                "SamplesPerPixel": 1,
                "PhotometricInterpretation": "MONOCHROME2",
                "BitsAllocated": 16,
                "BitsStored": 16,
                "HighBit": 15,
                "PixelRepresentation": 1,
                "PixelData": pixels.astype(np.int16).tobytes(),
            }
            for name, value in fields.items():
                setattr(image, name, value)
            # Positional: pydicom 2, which MONAI Label needs, and 3 have different names for it.
            image.save_as(folder / f"IM{series}{k:02d}{t:02d}", False)
    return folder


def command(bundle, scan, output_dir, **options):
    """What `python -m monai.bundle run` does with a bundle's `inference.json`; returns the volume."""
    config = BUNDLES / bundle / "configs" / "inference.json"
    options = {"device": "cpu", "dataset_dir": str(scan), "output_dir": str(output_dir), **options}
    monai.bundle.run(config_file=str(config), logging_file=False, **options)
    (path,) = [p for p in Path(output_dir).glob("*.nii.gz") if "_std" not in p.name]
    return path


def assert_same(one, other):
    """The same voxels of the same type on the same grid, to the last bit."""
    one, other = nib.load(one), nib.load(other)
    assert one.shape == other.shape and one.get_data_dtype() == other.get_data_dtype()
    np.testing.assert_array_equal(np.asanyarray(one.dataobj), np.asanyarray(other.dataobj))
    np.testing.assert_array_equal(one.affine, other.affine)


@pytest.fixture
def stack(tmp_path):
    return write_scan(tmp_path / "stack.nii.gz")
