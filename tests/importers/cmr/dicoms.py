# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Small MR images as DICOM data sets; each test says where they lie and when."""

from __future__ import annotations

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

FRAME = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
"""Oblique: along a row, along a column, normal."""
FRAME[2] = np.cross(FRAME[0], FRAME[1])
ORIENTATION = [round(float(cosine), 6) for cosine in FRAME[:2].ravel()]
ROWS, COLUMNS = 12, 10


def position_of(depth):
    """ImagePositionPatient at `depth` mm along the normal."""
    return [round(float(place), 4) for place in FRAME[2] * depth + [5, -30, 60]]


def mr_dataset(pixels, kind=MRImageStorage, syntax=ExplicitVRLittleEndian, **fields):
    """A data set of series 4 with `pixels` `([F,] H, W)` of 16 bits; `fields` overrule, None leaves out."""
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = kind
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = pydicom.uid.generate_uid()
    usual = {
        "Modality": "MR", "PatientID": "P", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3", "SeriesNumber": 4,
        "SeriesDescription": "cine sax", "ImageType": ["ORIGINAL", "PRIMARY", "M"], "PixelSpacing": [1.5, 1.25],
        "ImageOrientationPatient": ORIENTATION, "Rows": pixels.shape[-2], "Columns": pixels.shape[-1],
        "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16,
        "HighBit": 15, "PixelRepresentation": 1, "PixelData": pixels.astype(np.int16).tobytes(),
    }  # fmt: skip
    for name, value in {**usual, **fields}.items():
        if value is not None:
            setattr(dataset, name, value)
    return dataset


def write(path, dataset):
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path
