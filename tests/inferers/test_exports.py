# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""An export is a data set: its studies are prepared on the scanner's grid when their turn comes."""

from __future__ import annotations

import logging

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, UltrasoundMultiFrameImageStorage

from custom.inferers.failures import read_failures
from custom.inferers.folder import ScanFolder
from custom.inferers.gaps import GapInferer
from custom.inferers.scans import ScanInterpolator, scan_transforms
from custom.interpolators.named import classical

pytest.importorskip("pydicom.pixels", reason="exports are written and pullbacks read with pydicom 3; MONAI Label has 2")
SHAPE = (14, 12)
"""Rows and columns."""


def save(path, values, **fields):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = pydicom.uid.generate_uid()
    dataset.file_meta.MediaStorageSOPClassUID = fields["SOPClassUID"]
    bits = 8 * values.itemsize
    common = {
        "Rows": SHAPE[0], "Columns": SHAPE[1], "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": bits, "BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": 0,
        "PixelData": values.tobytes(),
    }  # fmt: skip
    for name, value in {**common, **fields}.items():
        setattr(dataset, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def stack(folder, patient, slices=5, seed=0):
    for k in range(slices):
        values = np.random.default_rng([seed, k]).integers(0, 900, SHAPE).astype(np.uint16)
        save(
            folder / f"im{k}.dcm", values, SOPClassUID=MRImageStorage, Modality="MR", PatientID=patient,
            StudyInstanceUID=f"1.2.{seed}", SeriesInstanceUID=f"1.2.{seed}.1", SeriesNumber=1, InstanceNumber=k + 1,
            ImageType=["ORIGINAL", "PRIMARY"], PixelSpacing=[1.5, 1.5], ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ImagePositionPatient=[0, 0, 8.0 * k],
        )  # fmt: skip


def pullback(path, frames=4):
    values = np.random.default_rng(1).integers(0, 255, (frames, *SHAPE)).astype(np.uint8)
    save(
        path, values, SOPClassUID=UltrasoundMultiFrameImageStorage, Modality="IVOCT", PatientID="p",
        NumberOfFrames=frames, PixelSpacing=[0.01, 0.01], FrameTime="10", IVUSPullbackRate="20",
        StudyInstanceUID="1.3", SeriesInstanceUID="1.3.1",
    )  # fmt: skip
    return values


def evaluator(tmp_path, kind="stack", source="in", out="out"):
    before, after = scan_transforms(tmp_path / out, kind)
    dataset = ScanFolder(tmp_path / source, kind)
    return ScanInterpolator("cpu", dataset, classical("linear"), before, GapInferer(factor=2), after)


def test_studies_are_prepared_and_interpolated_on_the_scanners_grid(tmp_path, caplog):
    stack(tmp_path / "in" / "a" / "series", "A", seed=1)
    stack(tmp_path / "in" / "b", "B", seed=2)
    with caplog.at_level(logging.INFO):
        evaluator(tmp_path).run()
    told = [record.getMessage() for record in caplog.records if "an export of" in record.getMessage()]
    where = tmp_path / "out" / "prepared"
    assert told == [
        f"{tmp_path / 'in'}: an export of 2 studies, first written as NIfTI on the scanner's grid, not cropped, into "
        f"{where}"
    ]
    for name in "ab":
        dense = nib.load(tmp_path / "out" / f"{name}_interp.nii.gz")
        assert dense.shape == (SHAPE[1], SHAPE[0], 9) and dense.header.get_zooms() == (1.5, 1.5, 4.0)
        image = pydicom.dcmread(next((tmp_path / "in" / name).rglob("im3.dcm")))
        np.testing.assert_array_equal(dense.dataobj[..., 6].T, image.pixel_array)
        np.testing.assert_allclose(dense.affine[:3, 3], [0, 0, 0])
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.nii.gz")}
    evaluator(tmp_path).run()
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.nii.gz")}


def test_a_dry_run_of_an_export_writes_nothing(tmp_path, caplog):
    stack(tmp_path / "in" / "a", "A", seed=1)
    dry = evaluator(tmp_path)
    dry.dry_run = True
    with caplog.at_level(logging.INFO):
        dry.run()
    assert any("5 slices 8 mm apart would become 9" in record.getMessage() for record in caplog.records)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_study_that_cannot_be_prepared_costs_one_line_and_the_others_are_done(tmp_path, caplog):
    stack(tmp_path / "in" / "a", "A", seed=1)
    stack(tmp_path / "in" / "b", "B", seed=2)
    (tmp_path / "in" / "b" / "im2.dcm").unlink()
    with pytest.raises(SystemExit, match="1 of 2 scans failed: b"), caplog.at_level(logging.ERROR):
        evaluator(tmp_path).run()
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert "slices are missing between" in line
    assert list(read_failures(tmp_path / "out" / "failures.csv")) == ["b"]
    assert (tmp_path / "out" / "a_interp.nii.gz").is_file()


def test_a_pullback_keeps_its_frames(tmp_path):
    values = pullback(tmp_path / "in" / "run.dcm")
    evaluator(tmp_path, "pullback").run()
    (path,) = (tmp_path / "out").glob("*_interp.nii.gz")
    dense = nib.load(path)
    np.testing.assert_array_equal(np.moveaxis(dense.dataobj, 2, 0)[::2], values)
    np.testing.assert_allclose(dense.header.get_zooms()[1:], (0.01, 0.1), rtol=1e-5)


def test_the_other_modality_and_an_output_in_the_export_are_told(tmp_path):
    pullback(tmp_path / "in" / "run.dcm")
    with pytest.raises(SystemExit, match="holds pullbacks, and this bundle takes stacks"):
        evaluator(tmp_path).run()
    with pytest.raises(SystemExit, match="lies inside --dataset_dir"):
        evaluator(tmp_path, "pullback", out="in/out").run()
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="holds no .nii or .nii.gz; convert the stacks with"):
        evaluator(tmp_path, source="empty").run()


def test_what_another_process_prepared_since_is_taken_over_under_its_name(tmp_path):
    stack(tmp_path / "in" / "a", "A", seed=1)
    stack(tmp_path / "in" / "b", "B", seed=2)
    processes = [ScanFolder(tmp_path / "in") for _ in range(2)]
    for process in processes:
        process.write_into(tmp_path / "out")
    killed, other = processes
    a, b = (str(path) for path in killed.paths)
    assert other.paths == killed.paths
    other.volumes(b)
    prepared, _ = killed.volumes(a)
    written = prepared[0].stat().st_mtime_ns
    assert other.volumes(a) == (prepared, []) and prepared[0].stat().st_mtime_ns == written
    assert sorted(path.name for path in prepared[0].parent.glob("*.nii.gz")) == ["a.nii.gz", "b.nii.gz"]
