# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "data_scripts"
sys.path.insert(0, str(SCRIPTS))

from prepare_cmr import prepare  # noqa: E402

from custom.data.datalist import SECTIONS, load_datalist  # noqa: E402
from custom.errors import InputError  # noqa: E402
from custom.scans.stacks import inspect_stack  # noqa: E402

ROTATION = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
HEART = (30, 22)


def affine_of(spacing=(1.3, 1.3, 8.0)):
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = ROTATION * spacing, [5, -40, 20]
    return affine


def heart(shape=(48, 44, 6), phases=0, seed=0, dtype=np.int16, centre=HEART):
    """A bright beating disc on noise, `(X, Y, Z)` or `(X, Y, Z, T)`."""
    rng = np.random.default_rng(seed)
    x, y = np.indices(shape[:2])
    cine = rng.integers(0, 60, (*shape, max(phases, 1))).astype(dtype)
    for t in range(max(phases, 1)):
        cine[np.hypot(x - centre[0], y - centre[1]) < 7 + 3 * np.sin(t), :, t] += 180
    return cine if phases else cine[..., 0]


def save(path, data, affine=None, unit=None, zoom=None):
    image = nib.Nifti1Image(data, affine_of() if affine is None else affine)
    if data.ndim == 4:
        image.header.set_zooms((*image.header.get_zooms()[:3], zoom or 1.0))
        image.header.set_xyzt_units("mm", unit)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def mask(data):
    return (
        (np.hypot(*(np.indices(data.shape[:2]) - np.array(HEART)[:, None, None])) < 5)[..., None]
        .repeat(data.shape[2], axis=2)
        .astype(np.uint8)
    )


def entries_of(folder):
    datalist = json.loads((folder / "datalist.json").read_text())
    return {name: [entry["image"] for entry in datalist[name]] for name in SECTIONS}


def array_of(path):
    return np.asarray(nib.load(path).dataobj)


def run(*args):
    command = [sys.executable, str(SCRIPTS / "prepare_cmr.py"), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


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


def test_acdc_tree(tmp_path):
    folder = tmp_path / "in/training/patient007"
    data = heart(phases=5)
    save(folder / "patient007_4d.nii.gz", data)
    for t in (0, 3):
        save(folder / f"patient007_frame{t + 1:02d}.nii.gz", data[..., t])
        save(folder / f"patient007_frame{t + 1:02d}_gt.nii.gz", mask(data))
    (folder / "Info.cfg").write_text("ED: 1\nES: 4\n")
    options = {"spacing": 0, "size": 20}
    prepare(str(tmp_path / "in"), str(tmp_path / "cine"), **options)
    assert entries_of(tmp_path / "cine")["training"] == ["patient007_4d.nii.gz"]
    record = json.loads((tmp_path / "cine/patient007_4d.json").read_text())
    assert record["centre_method"] == "label" and record["heart_centre"] == list(HEART)
    start = [int(s) for s in record["crop"]["start"]]
    np.testing.assert_array_equal(
        array_of(tmp_path / "cine/patient007_4d.nii.gz"), data[start[0] :, start[1] :][:20, :20]
    )
    prepare(str(tmp_path / "in"), str(tmp_path / "single"), frames="single", **options)
    entries = load_datalist(tmp_path / "single/datalist.json", "training")
    assert [Path(e["image"]).name for e in entries] == ["patient007_frame01.nii.gz", "patient007_frame04.nii.gz"]
    assert array_of(entries[0]["label"]).sum() == mask(data).sum() and {e["patient"] for e in entries} == {"patient007"}
    assert "label_classes" not in entries[0], "all structures are drawn"


@pytest.mark.parametrize(
    ("masks", "number", "known"), [("acdc", 3, None), ("lv_cavity", 1, [1]), ("7=3,200=1", 1, [1, 3])]
)
def test_masks_are_renumbered_and_what_is_not_drawn_is_noted(tmp_path, masks, number, known):
    theirs = {"acdc": 1, "lv_cavity": 1, "7=3,200=1": 200}[masks]
    save(tmp_path / "in/p.nii.gz", heart())
    save(tmp_path / "in/p_gt.nii.gz", mask(heart()) * theirs)
    prepare(str(tmp_path / "in"), str(tmp_path / "out"), spacing=0, size=0, fractions="1,0,0", masks=masks)
    (entry,) = load_datalist(tmp_path / "out/datalist.json", "training")
    np.testing.assert_array_equal(array_of(entry["label"]), mask(heart()) * number)
    assert entry.get("label_classes") == known


def test_masks_of_unknown_numbers_are_refused(tmp_path):
    save(tmp_path / "in/p.nii.gz", heart())
    save(tmp_path / "in/p_gt.nii.gz", mask(heart()) * 255)
    with pytest.raises(SystemExit):
        prepare(str(tmp_path / "in"), str(tmp_path / "out"), spacing=0, size=0)
    assert not list((tmp_path / "out").rglob("*.nii.gz"))


def test_mnms_tree_leaves_long_axes_out(tmp_path):
    data = heart(phases=3)
    label = np.zeros_like(data)
    label[..., 1] = mask(data)
    for name in ("A0S9V9", "B3F5M1"):
        save(tmp_path / f"in/Labeled/{name}/{name}_sa.nii.gz", data)
        save(tmp_path / f"in/Labeled/{name}/{name}_sa_gt.nii.gz", label)
        save(tmp_path / f"in/Labeled/{name}/{name}_LA_CINE.nii.gz", data)
    prepare(str(tmp_path / "in"), str(tmp_path / "out"), spacing=0, size=24, fractions="1,0,0")
    entries = load_datalist(tmp_path / "out/datalist.json", "training")
    assert [(Path(e["image"]).name, e["patient"]) for e in entries] == [
        ("A0S9V9_sa.nii.gz", "A0S9V9"),
        ("B3F5M1_sa.nii.gz", "B3F5M1"),
    ]
    assert array_of(entries[0]["label"]).shape == (24, 24, 6, 3)


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


def test_one_line_for_each_fault_and_the_rest_is_done(tmp_path):
    save(tmp_path / "in/good.nii.gz", heart())
    save(tmp_path / "in/flat.nii.gz", np.zeros((20, 20, 5), np.int16))
    (tmp_path / "in/text.nii.gz").write_text("no image")
    save(tmp_path / "in/other_phase01.nii.gz", heart())
    save(tmp_path / "in/other_phase02.nii.gz", heart(), affine=affine_of((1.3, 1.3, 9.0)))
    (tmp_path / "in/broken.zip").write_bytes(b"PK\x03\x04 no")
    done = run("--input", tmp_path / "in", "--output_dir", tmp_path / "out")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if "ERROR" in line]
    assert len(errors) == 4 and "4 of 5 scans failed" in done.stderr
    for words in ("flat.nii.gz: is constant", "text.nii.gz: is not a NIfTI", "broken.zip: is a zip that cannot be"):
        assert any(words in line for line in errors)
    assert any("other_phase02.nii.gz: has another spacing, orientation or position" in line for line in errors)
    names = ["datalist.json", "good.json", "good.nii.gz", "sources.csv"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == names
    fates = (tmp_path / "out/sources.csv").read_text()
    assert fates.count(",failed,") == 4 and fates.count(",converted,good.nii.gz,") == 1
    assert str(tmp_path) not in (tmp_path / "out/good.json").read_text()


def test_a_second_run_does_only_what_is_not_done(tmp_path):
    for name in "abc":
        save(tmp_path / f"in/{name}.nii.gz", heart(seed=ord(name)))
    out = tmp_path / "out"
    prepare(str(tmp_path / "in"), str(out), spacing=0, size=20)
    first = {path.name: path.stat().st_mtime_ns for path in out.glob("*.nii.gz")}
    datalist = (out / "datalist.json").read_text()
    (out / "b.nii.gz").unlink()
    save(tmp_path / "in/c.nii.gz", heart((48, 44, 7)))
    prepare(str(tmp_path / "in"), str(out), spacing=0, size=20)
    kept = {path.name for path in out.glob("*.nii.gz") if path.stat().st_mtime_ns == first[path.name]}
    assert kept == {"a.nii.gz"} and (out / "datalist.json").read_text() == datalist
    assert nib.load(out / "c.nii.gz").shape[2] == 7
    prepare(str(tmp_path / "in"), str(out), spacing=0, size=16)
    assert nib.load(out / "a.nii.gz").shape[0] == 16


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


def test_empty_and_missing_folders_are_told(tmp_path):
    (tmp_path / "in").mkdir()
    for root in (tmp_path / "in", tmp_path / "nowhere"):
        with pytest.raises(InputError, match="holds no NIfTI, DICOM or zip|no such file"):
            prepare(str(root), str(tmp_path / "out"))
    with zipfile.ZipFile(tmp_path / "in/x.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    done = run("--input", tmp_path / "in", "--output_dir", tmp_path / "out")
    assert done.returncode == 1 and "x.zip: holds no MR images" in done.stderr


def test_an_output_folder_that_is_or_touches_the_input_is_refused(tmp_path):
    path = save(tmp_path / "in/p.nii.gz", heart())
    before = path.read_bytes()
    for output in ("in", "in/prepared", "."):
        with pytest.raises(InputError, match="outputs and inputs would mix"):
            prepare(str(tmp_path / "in"), str(tmp_path / output))
    assert path.read_bytes() == before and [p.name for p in (tmp_path / "in").iterdir()] == ["p.nii.gz"]


def test_patients_prepared_one_by_one_are_all_kept(tmp_path):
    data = {name: heart(seed=k) for k, name in enumerate("ABC")}
    for name in data:
        save(tmp_path / name / "scan.nii", data[name])
        prepare(str(tmp_path / name), str(tmp_path / "out"), spacing=0, size=0)
    for name in data:
        np.testing.assert_array_equal(array_of(tmp_path / f"out/{name}_scan.nii.gz"), data[name])
    # One patient each, and each section has one before any has a second.
    assert entries_of(tmp_path / "out") == {
        "training": ["A_scan.nii.gz"],
        "validation": ["B_scan.nii.gz"],
        "test": ["C_scan.nii.gz"],
    }
    # Again: nothing new. A header mended in place: read again.
    prepare(str(tmp_path / "B"), str(tmp_path / "out"), spacing=0, size=0)
    save(tmp_path / "B/scan.nii", data["B"], affine=affine_of((1.3, 1.3, 5.0)))
    prepare(str(tmp_path / "B"), str(tmp_path / "out"), spacing=0, size=0)
    assert len(list((tmp_path / "out").glob("*.nii.gz"))) == 3
    assert nib.load(tmp_path / "out/B_scan.nii.gz").header.get_zooms()[2] == pytest.approx(5)


def test_files_of_the_user_are_not_replaced(tmp_path):
    save(tmp_path / "in/p.nii.gz", heart())
    mine = save(tmp_path / "out/p.nii.gz", heart(seed=1))
    prepare(str(tmp_path / "in"), str(tmp_path / "out"), spacing=0, size=0)
    np.testing.assert_array_equal(array_of(mine), heart(seed=1))
    np.testing.assert_array_equal(array_of(tmp_path / "out/p-2.nii.gz"), heart())


def test_nnunet_tree(tmp_path):
    for k, frame in ((1, 1), (1, 12), (2, 1)):
        case = f"patient{k:03d}_frame{frame:02d}"
        save(tmp_path / f"in/imagesTr/{case}_0000.nii.gz", heart(seed=20 * k + frame))
        save(tmp_path / f"in/labelsTr/{case}.nii.gz", mask(heart()))
    for root, labels in (("in", 3), ("in/imagesTr", 0)):
        out = tmp_path / f"out{labels}"
        prepare(str(tmp_path / root), str(out), spacing=0, size=0)
        entries = [e for part in json.loads((out / "datalist.json").read_text()).values() for e in part]
        assert sorted(e["patient"] for e in entries) == ["patient001", "patient001", "patient002"]
        assert sum("label" in e for e in entries) == labels and all("_frame" in e["image"] for e in entries)


def test_ukbb_cardiac_and_bids_trees(tmp_path, caplog):
    caplog.set_level("INFO")
    cine = heart(phases=3)
    for subject in ("1000001", "1000002"):
        folder = tmp_path / "ukb" / subject
        save(folder / "sa.nii.gz", cine)
        save(folder / "seg_sa.nii.gz", mask(cine)[..., None].repeat(3, axis=3).astype(np.float64))
        save(folder / "sa_ED.nii.gz", cine[..., 0])
        save(folder / "label_sa_ED.nii.gz", mask(cine))
        name = f"sub-{subject}_acq-sax"
        save(tmp_path / f"bids/sub-{subject}/cmr/{name}_cine.nii.gz", cine)
        save(tmp_path / f"bids/derivatives/sub-{subject}/{name}_dseg.nii.gz", mask(cine))
    save(tmp_path / "bids/derivatives/other_dseg.nii.gz", mask(cine))
    for tree in ("ukb", "bids"):
        prepare(str(tmp_path / tree), str(tmp_path / f"out_{tree}"), spacing=0, size=0, fractions="1,0,0")
        entries = load_datalist(tmp_path / f"out_{tree}/datalist.json", "training")
        assert len(entries) == 2 and {"1000001" in e["patient"] for e in entries} == {True, False}
        if tree == "ukb":
            assert all(array_of(e["label"]).max() == 1 for e in entries)
        else:  # masks of one phase, nobody knows which
            assert not any("label" in e for e in entries) and "does not say which phase it is of" in caplog.text
            record = json.loads((tmp_path / "out_bids/sub-1000001_acq-sax_cine.json").read_text())
            assert record["centre_method"] == "label"
    assert "left out derivatives/other_dseg.nii.gz: is a label map by its name" in caplog.text


def test_a_label_map_by_its_values_is_asked_about(tmp_path):
    save(tmp_path / "in/p.nii.gz", heart())
    save(tmp_path / "in/q.nii.gz", mask(heart()).astype(np.float32))
    done = run("--input", tmp_path / "in", "--output_dir", tmp_path / "out")
    assert done.returncode == 1 and "q.nii.gz: holds the values 0, 1 and no others, as a label map does" in done.stderr
    # The remedy works.
    (tmp_path / "in/q.nii.gz").rename(tmp_path / "in/q_seg.nii.gz")
    assert run("--input", tmp_path / "in", "--output_dir", tmp_path / "out").returncode == 0


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
