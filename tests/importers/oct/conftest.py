# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Small pullbacks as exports bring them."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import fire
import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MultiFrameTrueColorSecondaryCaptureImageStorage
from skimage.io import imsave

from custom.errors import InputError
from custom.importers.intake import as_typed, check_arguments
from data_scripts.prepare_oct import prepare


@pytest.fixture
def discs():
    """Function of (count, size, seed): gray `(F, N, N)` discs of noise, black outside."""

    def make(count=4, size=48, seed=0):
        y, x = np.mgrid[:size, :size] - (size - 1) / 2
        noise = np.random.default_rng(seed).integers(30, 150, (count, size, size))
        return (noise * (np.hypot(y, x) < size / 2)).astype(np.uint8)

    return make


@pytest.fixture
def save_dicom():
    """Function of (path, frames, elements); None as a value leaves the element out."""

    def save(path, frames, **fields):
        dataset = pydicom.Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        capture = MultiFrameTrueColorSecondaryCaptureImageStorage
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = capture
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
        dataset.PixelData = frames.tobytes()
        for name, value in fields.items():
            if value is None:
                delattr(dataset, name)
            else:
                setattr(dataset, name, value)
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
        return dataset

    return save


@pytest.fixture
def save_images():
    """Function of (folder, names, frames)."""

    def save(folder, names, frames):
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in zip(names, frames, strict=True):
            imsave(folder / name, frame, check_contrast=False)

    return save


@dataclass
class Told:
    """What a run has said, one line each."""

    errors: list[str]
    warnings: list[str]
    infos: list[str]


@pytest.fixture
def run_command(tmp_path, caplog):
    """Function of options as they are typed: `prepare_oct.py` of `tmp_path/in` into a folder, and what it says."""

    def run(*typed, source="in", out="out"):
        caplog.clear()
        caplog.set_level(logging.INFO)
        words = ["--input", str(tmp_path / source), "--output_dir", str(tmp_path / out), *map(str, typed)]
        check_arguments(prepare, words)
        refused = []
        try:
            fire.Fire(as_typed(prepare), command=words)
        except InputError as error:
            refused = [str(error)]
        except SystemExit as ended:
            assert "pullbacks failed" in str(ended.code)
        said = {
            level: [record.getMessage() for record in caplog.records if record.levelname == level]
            for level in ("ERROR", "WARNING", "INFO")
        }
        lines = [*refused, *sum(said.values(), [])]
        assert not any("\n" in line for line in lines), lines
        return Told([*refused, *said["ERROR"]], said["WARNING"], said["INFO"])

    return run


@pytest.fixture
def prepared(tmp_path):
    """Function of a name, or none where there is one: its voxels and their size."""

    def load(name=None, out="out"):
        (path,) = (tmp_path / out).glob(f"{name or '*'}.nii.gz")
        image = nib.load(path)
        return np.asarray(image.dataobj), tuple(round(float(zoom), 5) for zoom in image.header.get_zooms())

    return load
