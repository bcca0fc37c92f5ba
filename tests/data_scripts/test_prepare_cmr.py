# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from custom.data.datalist import load_datalist
from custom.errors import InputError
from custom.scans.stacks import inspect_stack
from data_scripts.prepare_cmr import prepare
from tests.data_scripts.hearts import affine_of, array_of, entries_of, heart, mask, save


def test_default_crop_is_128_pixels_of_1_8_mm_around_the_heart(tmp_path):
    save(tmp_path / "in/p1.nii.gz", heart((200, 220, 6), phases=4, centre=(115, 95)), unit="sec", zoom=0.04)
    prepare(str(tmp_path / "in"), str(tmp_path / "out"))
    image = nib.load(tmp_path / "out/p1.nii.gz")
    assert image.shape == (128, 128, 6, 4) and image.get_data_dtype() == np.int16
    assert image.header.get_zooms() == pytest.approx((1.8, 1.8, 8.0, 40.0), rel=1e-5)
    assert image.header.get_xyzt_units() == ("mm", "msec")
    (entry,) = load_datalist(tmp_path / "out/datalist.json", "training")
    heart_mm = affine_of() @ [115, 95, 3, 1]
    np.testing.assert_allclose(image.affine @ [*entry["centre"], 3, 1], heart_mm, atol=6.0)
    assert inspect_stack(entry["image"]).plane == (128, 128)


def test_phases_share_a_crop_and_listed_patients_go_where_they_are_listed(tmp_path):
    for name in ("SC-1", "SC-2", "SC-3", "SC-4"):
        data = heart()
        for phase in ("08", "20"):
            save(tmp_path / f"in/{name}_phase{phase}_image.nii.gz", data)
            save(tmp_path / f"in/{name}_phase{phase}_lv.nii.gz", mask(data) * (phase == "08"))
    save(tmp_path / "in/SCD01_cine.nii.gz", heart(phases=2))
    listed = {"test_patients": "SC-2,elsewhere", "val_patients": ("SC-3",), "same_patient": "SCD01=SC-2"}
    prepare(str(tmp_path / "in"), str(tmp_path / "out"), spacing=0, size=20, **listed)
    found = entries_of(tmp_path / "out")
    names = [f"SC-2_phase{phase}_image.nii.gz" for phase in ("08", "20")]
    assert sorted(found["test"]) == sorted([*names, "SCD01_cine.nii.gz"])
    assert found["validation"] == ["SC-3_phase08_image.nii.gz", "SC-3_phase20_image.nii.gz"]
    assert len(found["training"]) == 4
    affines = [nib.load(tmp_path / f"out/{name}").affine for name in names]
    np.testing.assert_array_equal(*affines)
    with pytest.raises(InputError, match="keep them apart"):
        prepare(str(tmp_path / "in"), str(tmp_path / "out"), spacing=0, test_patients="SC-2", val_patients="SC-2")


def test_gains_of_slices_are_evened_out(tmp_path):
    data = np.clip(heart(dtype=np.float32) * np.array([0.2, 1, 0.5, 1, 0.8, 0.3]), 0, 255).astype(np.uint8)
    save(tmp_path / "in/p.nii.gz", data)
    prepare(str(tmp_path / "in"), str(tmp_path / "out"), spacing=0, size=0, intensity="slice")
    even = array_of(tmp_path / "out/p.nii.gz")
    assert even.dtype == np.int16
    bright = np.percentile(even, 99.5, axis=(0, 1))
    assert np.ptp(bright) <= 3 < np.ptp(np.percentile(data, 99.5, axis=(0, 1)))
    gains = json.loads((tmp_path / "out/p.json").read_text())["gains"]
    np.testing.assert_allclose(even, data * np.array(gains), atol=0.5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"centre": "guess"},
        {"intensity": "x"},
        {"masks": "3"},
        {"masks": "1=4"},
        {"size": -1},
        {"spacing": "a"},
        {"source": "x"},
        {"frames": "all"},
    ]
    + [
        {"masks": "3"},
        {"masks": "1=4"},
        {"fractions": "1,2"},
        {"same_patient": "A"},
        {"patient_pattern": "("},
        {"patient_pattern": "zzz"},
    ],
)
def test_wrong_options_are_told_in_one_line(tmp_path, wrong):
    save(tmp_path / "in/p.nii.gz", heart())
    with pytest.raises(InputError) as caught:
        prepare(str(tmp_path / "in"), str(tmp_path / "out"), **wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("unit", "scale"), [("micron", 1e3), ("meter", 1e-3)])
def test_lengths_in_other_units_are_converted(tmp_path, unit, scale):
    affine = affine_of()
    affine[:3] *= scale
    image = nib.Nifti1Image(heart(), affine)
    image.header.set_xyzt_units(unit)
    (tmp_path / "in").mkdir()
    nib.save(image, tmp_path / "in/p.nii.gz")
    prepare(str(tmp_path / "in"), str(tmp_path / "out"), spacing=0, size=0)
    made = nib.load(tmp_path / "out/p.nii.gz")
    np.testing.assert_allclose(made.affine, affine_of(), atol=1e-3)
    assert made.header.get_xyzt_units()[0] == "mm"


def test_headers_that_nibabel_refuses_are_mended(tmp_path):
    for name, phases, place, values in (("quaternion", 0, 256, [0.6, 0.8, 1e-3]), ("time", 2, 92, [-40.0])):
        raw = bytearray(save(tmp_path / f"in/{name}.nii", heart(phases=phases)).read_bytes())
        raw[254:256] = np.int16(1).tobytes()  # sform_code
        raw[252:254] = np.int16(1).tobytes()  # qform_code
        raw[place : place + 4 * len(values)] = np.array(values, np.float32).tobytes()
        (tmp_path / f"in/{name}.nii").write_bytes(raw)
    plain = save(tmp_path / "plain.nii", heart(seed=3))
    plain.rename(tmp_path / "in/plain.nii.gz")
    prepare(str(tmp_path / "in"), str(tmp_path / "out"), spacing=0, size=0)
    for name in ("quaternion", "time", "plain"):
        np.testing.assert_allclose(nib.load(tmp_path / f"out/{name}.nii.gz").affine, affine_of(), atol=1e-4)


def test_the_patient_of_a_dicom_folder_is_that_of_its_header(tmp_path):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

    for seed, patient in enumerate(("A", "B")):
        for k in range(4):
            dataset = Dataset()
            dataset.file_meta = FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = MRImageStorage
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = f"1.2.{seed}.{k}"
            dataset.Modality, dataset.PatientID, dataset.StudyInstanceUID = "MR", patient, f"1.{seed}"
            dataset.SeriesInstanceUID, dataset.SeriesNumber, dataset.InstanceNumber = "1.5", 1, k
            dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 20, 24, 1
            dataset.PhotometricInterpretation, dataset.PixelSpacing = "MONOCHROME2", [1.5, 1.5]
            dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 8 * k]
            dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
            pixels = np.random.default_rng([seed, k]).integers(0, 900, (20, 24)).astype("<i2")
            dataset.PixelData = pixels.tobytes()
            path = tmp_path / patient / "DICOM" / f"IM{k}"
            path.parent.mkdir(parents=True, exist_ok=True)
            dataset.save_as(path, enforce_file_format=True)
        prepare(str(tmp_path / patient / "DICOM"), str(tmp_path / "out"), spacing=0, size=0)
    datalist = json.loads((tmp_path / "out/datalist.json").read_text())
    found = {e["image"]: e["patient"] for part in datalist.values() for e in part}
    assert found == {"A_DICOM.nii.gz": "A", "B_DICOM.nii.gz": "B"}
