# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""DICOM files, folders and zips read into scans."""

from __future__ import annotations

import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless

from custom.errors import InputError
from custom.importers.cmr.series import DicomOptions
from custom.importers.cmr.sources import find_sources
from custom.importers.cmr.study import read_source
from custom.importers.cmr.zips import unpacked
from custom.scans.stacks import write_stack
from tests.importers.cmr.dicoms import COLUMNS, FRAME, ROWS, mr_dataset, position_of, write

REAL = next(
    (p for p in (p / "shared/data" for p in Path(__file__).resolve().parents) if p.is_dir()), Path("shared/data")
)


def value_of(row, column, k, t):
    return 1000 + 7 * row + 3 * column + 100 * k + 20 * t


def save(path, k, t, depth=None, **changes):
    """One image of slice `k` and phase `t` of an oblique cine; pixel values tell where they belong."""
    fields = {
        "PatientID": "secret",
        "ImagePositionPatient": position_of(8.0 * k if depth is None else depth),
        "TriggerTime": 30.5 * t,
        "InstanceNumber": 50 * t + k,
    }
    pixels = value_of(*np.indices((ROWS, COLUMNS)), k, t)
    return write(path, mr_dataset(pixels, **{**fields, **changes}))


def save_cine(folder, slices=5, phases=3, **changes):
    order = np.random.default_rng(0).permutation(slices * phases)
    for n, item in enumerate(order):
        save(folder / f"IM{n:03d}", item // phases, item % phases, **changes)
    return folder


def read(root, **options):
    (source,) = find_sources(Path(root))
    return read_source(source, DicomOptions(**options))


def refusal(root, **options):
    with pytest.raises(InputError) as caught:
        read(root, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_oblique_cine_comes_out_in_order_and_in_place(tmp_path):
    scans, notes, faults = read(save_cine(tmp_path / "p1"))
    (volume,) = scans[0].volumes
    info = volume.info
    assert (info.shape, volume.name, notes, faults) == ((COLUMNS, ROWS, 5, 3), "p1", [], [])
    k, t, column, row = np.indices(volume.slices.shape)
    np.testing.assert_array_equal(volume.slices, value_of(row, column, k, t))
    assert volume.slices.dtype == np.int16 and info.axis == 2 and info.spacing_mm == pytest.approx(8, abs=1e-3)
    lps = np.array([5, -30, 60]) + 9 * 1.25 * FRAME[0] + 11 * 1.5 * FRAME[1] + 4 * 8 * FRAME[2]
    np.testing.assert_allclose((info.affine @ [9, 11, 4, 1])[:3], lps * [-1, -1, 1], atol=1e-3)
    write_stack(tmp_path / "out.nii.gz", info, volume.slices, info.affine)
    image = nib.load(tmp_path / "out.nii.gz")
    assert image.header.get_xyzt_units() == ("mm", "msec") and image.header.get_zooms()[3] == 30.5
    np.testing.assert_allclose(image.get_qform(), info.affine, atol=1e-4)


def test_one_rescaling_goes_into_the_header_and_several_into_the_values(tmp_path):
    scans, _, _ = read(save_cine(tmp_path / "a", RescaleSlope="2.5", RescaleIntercept="-10"))
    volume = scans[0].volumes[0]
    assert (volume.info.slope, volume.info.inter, volume.slices.dtype) == (2.5, -10, np.int16)
    for k in range(5):
        save(tmp_path / f"b/{k}", k, 0, RescaleSlope=str(1 + k), RescaleIntercept="0")
        save(tmp_path / f"c/{k}", k, 0, RescaleSlope=str(1 + 0.3 * k), RescaleIntercept="0")
    whole, real = (read(tmp_path / name)[0][0].volumes[0] for name in "bc")
    assert whole.slices.dtype == np.int16 and whole.slices[3, 0, 0, 0] == 4 * value_of(0, 0, 3, 0)
    assert real.slices.dtype == np.float32
    assert real.slices[3, 0, 0, 0] == pytest.approx(1.9 * value_of(0, 0, 3, 0)) and whole.info.shape[2:] == (5,)


def test_what_is_no_image_of_a_stack_is_left_out_and_told(tmp_path):
    folder = save_cine(tmp_path / "p")
    (folder / "notes.txt").write_text("hello")
    save(folder / "ct", 1, 1, Modality="CT", SeriesNumber=7)
    save(folder / "scout", 1, 1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesNumber=8)
    save(folder / "report", 1, 1, ImageOrientationPatient=None, SeriesNumber=9)
    rgb = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0, "BitsAllocated": 8}
    pixels = bytes(3 * ROWS * COLUMNS)
    save(folder / "rgb", 1, 1, **rgb, BitsStored=8, HighBit=7, PixelRepresentation=0, PixelData=pixels)
    _, notes, _ = read(folder)
    for words in ("modality CT, not MR", "localiser", "without ImageOrientationPatient", "in colour"):
        assert sum(words in note and "left out 1 images" in note for note in notes) == 1
    for path in folder.glob("IM*"):
        path.unlink()
    assert "holds no MR images of a stack" in refusal(folder)


def test_two_patients_two_studies_and_two_series(tmp_path):
    save_cine(tmp_path / "two/a", SeriesInstanceUID="1.5", SeriesNumber=11, SeriesDescription="late / enh.")
    save_cine(tmp_path / "two/b")
    scans, notes, _ = read(tmp_path / "two")
    assert [scan.volumes[0].name for scan in scans] == ["two_004-cine-sax", "two_011-late-enh."]
    assert any("2 stacks" in note for note in notes)
    # Patients and studies are told by their headers, names come from the folders.
    save_cine(tmp_path / "mixed", SeriesInstanceUID="1.6")
    save_cine(tmp_path / "mixed/other", PatientID="another", StudyInstanceUID="1.3")
    save_cine(tmp_path / "mixed/other/visit", PatientID="another", StudyInstanceUID="1.4")
    found = find_sources(tmp_path / "mixed")
    assert sorted((source.name, source.patient) for source in found) == [
        ("mixed", "secret"),
        ("mixed_other", "another"),
        ("mixed_other_visit", "another"),
    ]
    assert all(len(read_source(source, DicomOptions())[0]) == 1 for source in found)


def test_one_series_of_two_patients_in_a_folder_is_a_contradiction(tmp_path):
    folder = save_cine(tmp_path / "p")
    save(folder / "IM000", 0, 0, PatientID="another")
    for source in find_sources(folder):
        with pytest.raises(InputError, match=r"are of one series \(4\) but name 2 patients"):
            read_source(source, DicomOptions())


def test_headers_name_patients_unless_they_are_anonymous_or_the_user_says_otherwise(tmp_path):
    for k in range(5):
        save(tmp_path / f"one/series{k}/im", k, 0, SeriesInstanceUID=f"1.2.{k}")
        save(tmp_path / f"cohort/p1/im{k}", k, 0)
        save(tmp_path / f"cohort/p2/im{k}", k, 0, StudyInstanceUID="1.9")
        save(tmp_path / f"anonymous/a/im{k}", k, 0, PatientID="ANONYMOUS")
        save(tmp_path / f"anonymous/b/im{k}", k, 0, PatientID="ANONYMOUS", StudyInstanceUID="1.9")
    assert [(source.patient, source.name) for source in find_sources(tmp_path / "one")] == [("secret", "one")]
    assert len(read(tmp_path / "one")[0][0].volumes[0].slices) == 5
    visits = find_sources(tmp_path / "cohort")
    assert [(source.patient, source.name) for source in visits] == [("secret", "p1"), ("secret", "p2")]
    assert sum("--patient_from folder" in doubt for source in visits for doubt in source.doubts) == 1
    by_folder = find_sources(tmp_path / "cohort", patient_from="folder")
    assert [(source.patient, source.patient_from) for source in by_folder] == [("p1", "folder"), ("p2", "folder")]
    anonymous = find_sources(tmp_path / "anonymous")
    assert [source.patient for source in anonymous] == ["a", "b"]
    assert all("PatientID is ANONYMOUS" in source.doubts[0] for source in anonymous)
    with pytest.raises(InputError, match="--patient_from"):
        find_sources(tmp_path / "one", patient_from="name")


def test_damaged_and_undecodable_files_are_named(tmp_path):
    folder = save_cine(tmp_path / "p")
    data = (folder / "IM003").read_bytes()
    (folder / "IM003").write_bytes(data[:-40])
    assert "IM003: cannot be read" in refusal(folder)
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51" + bytes(60)])
        dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
        dataset["PixelData"].VR = "OB"
        dataset.save_as(path, enforce_file_format=True)
    line = refusal(folder)
    assert "JPEG 2000" in line or "cannot be read" in line


def test_zip_of_uk_biobank(tmp_path):
    """One series per slice, folders that try to leave, a manifest: as field 20209, and worse."""
    path = tmp_path / "1234567_20209_2_0.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for k in range(5):
            series = {"SeriesInstanceUID": f"1.2.{k}", "SeriesNumber": 10 + k}
            for t in range(4):
                file = save(tmp_path / "im", k, t, SeriesDescription=f"CINE_segmented_SAX_b{k + 1}", **series)
                archive.write(file, f"../../escaped_{k}_{t}.dcm")
        archive.writestr("manifest.csv", "filename,patientid")
    (tmp_path / "im").unlink()
    (source,) = find_sources(tmp_path)
    assert (source.kind, source.patient, source.name) == ("zip", "1234567", "1234567_20209_2_0")
    scans, _, _ = read_source(source, DicomOptions())
    assert scans[0].volumes[0].info.shape == (COLUMNS, ROWS, 5, 4)
    assert list(tmp_path.iterdir()) == [path] and not list(tmp_path.parent.glob("escaped*"))
    with pytest.raises(InputError, match="unpacks to more than 0 MiB"), unpacked(path, max_bytes=1000):
        pass
    with pytest.raises(InputError, match="holds 21 files"), unpacked(path, max_files=20):
        pass


def test_damaged_zip_and_faults_inside_name_the_zip(tmp_path):
    whole = tmp_path / "a.zip"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(4):
            file = save(tmp_path / "im", k, 0)
            content = file.read_bytes()
            archive.writestr(f"{k}.dcm", content[:-30] if k == 2 else content)
    (tmp_path / "im").unlink()
    line = refusal(tmp_path)
    assert line.startswith(f"{whole}: 2.dcm in it cannot be read") and "cmr_zip_" not in line
    data = bytearray(whole.read_bytes())
    data[300:340] = bytes(40)
    whole.write_bytes(data)
    assert "is a zip that cannot be unpacked" in refusal(tmp_path)


@pytest.mark.parametrize("bare", [[4], [0, 1, 2, 3, 4]])
def test_data_sets_without_preamble_are_read(tmp_path, bare):
    for k in range(5):
        path = save(tmp_path / f"p/{k}", k, 0)
        if k in bare:
            raw = path.read_bytes()
            path.write_bytes(raw[144 + int.from_bytes(raw[140:144], "little") :])
    values = read(tmp_path / "p")[0][0].volumes[0].slices
    assert values.shape[0] == 5 and values[4, 0, 0, 0] == value_of(0, 0, 4, 0)


def test_a_pixel_spacing_of_zero_is_told(tmp_path):
    save_cine(tmp_path / "p", PixelSpacing=[0, 0])
    assert "cannot be read (PixelSpacing is 0, 0 mm)" in refusal(tmp_path / "p")


@pytest.mark.skipif(not (REAL / "sax_dicom").is_dir(), reason="no ../shared/data/sax_dicom")
def test_real_export_is_the_cine_of_the_same_patient():
    scans, notes, faults = read(REAL / "sax_dicom/SCD0000301")
    assert len(scans) == 1 and not notes and not faults
    (volume,) = scans[0].volumes
    image = nib.load(REAL / "sax_cine/SCD0000301_cine.nii.gz")
    # From our voxels to theirs by way of the world: the same order or not, each voxel has its value.
    change = np.linalg.inv(image.affine) @ volume.info.affine
    permutation = np.rint(change)
    corner = [*np.subtract(volume.info.shape[:3], 1), 1]
    np.testing.assert_allclose(change @ corner, permutation @ corner, atol=1e-3)
    index = np.indices(volume.info.shape[:3]).reshape(3, -1)
    theirs = (permutation[:3, :3] @ index + permutation[:3, 3:]).astype(int)
    ours = np.moveaxis(volume.slices, (0, 1), (2, 3)).reshape(-1, 20)
    np.testing.assert_array_equal(ours, np.asarray(image.dataobj)[tuple(theirs)])
    assert volume.info.header.get_zooms()[3] == 46.0


def padded(path, k, t, value=-32768, **changes):
    """An image with padding in its first three rows."""
    row, column = np.indices((ROWS, COLUMNS))
    pixels = np.where(row < 3, value, value_of(row, column, k, t))
    return save(path, k, t, PixelData=pixels.astype(np.int16).tobytes(), **changes)


@pytest.mark.parametrize(
    "padding", [{"PixelPaddingValue": 900}, {"PixelPaddingValue": 895, "PixelPaddingRangeLimit": 905}]
)
def test_padding_is_no_tissue(tmp_path, padding):
    for k in range(5):
        for t in range(2):
            path = padded(tmp_path / f"p/{k}_{t}", k, t, value=900)
            dataset = pydicom.dcmread(path)
            for name, value in padding.items():
                dataset.add_new(name, "SS", value)
            dataset.save_as(path, enforce_file_format=True)
    (volume,) = read(tmp_path / "p")[0][0].volumes
    row = np.indices(volume.slices.shape)[3]
    np.testing.assert_array_equal(volume.outside, row < 3)
    assert volume.info.intensity_range[0] > 1000 and volume.slices.min() == 900


def test_a_negative_padding_that_was_written_unsigned_is_found(tmp_path):
    for k in range(5):
        path = padded(tmp_path / f"p/{k}", k, 0)
        dataset = pydicom.dcmread(path)
        dataset.add_new("PixelPaddingValue", "US", 32768)
        dataset.save_as(path, enforce_file_format=True)
    (volume,) = read(tmp_path / "p")[0][0].volumes
    assert volume.outside.sum() == 5 * 3 * COLUMNS


def test_a_wrong_header_costs_its_series_and_no_other(tmp_path):
    save_cine(tmp_path / "p")
    save_cine(
        tmp_path / "p/other", SeriesInstanceUID="1.5", SeriesNumber=11, SeriesDescription="late", PixelSpacing=[0, 0]
    )
    scans, _, faults = read(tmp_path / "p")
    assert [scan.volumes[0].info.shape for scan in scans] == [(COLUMNS, ROWS, 5, 3)]
    (fault,) = faults
    assert "PixelSpacing is 0, 0 mm" in str(fault) and "as in 14 more files of series 11 (late)" in str(fault)
    # Of the stack's own series it costs the stack: nobody knows where the image belongs.
    save(tmp_path / "p/IM000", 4, 2, ImagePositionPatient=["1", "2", "nan"])
    assert "ImagePositionPatient is [1, 2, nan]" in refusal(tmp_path / "p")


@pytest.mark.parametrize("fields", [{"NumberOfFrames": None}, {"NumberOfFrames": "1"}, {"EchoTime": None}])
def test_empty_elements_are_as_good_as_none(tmp_path, fields):
    for k in range(5):
        dataset = pydicom.dcmread(save(tmp_path / f"p/{k}", k, 0))
        for name, value in fields.items():
            setattr(dataset, name, value if value is not None else "")
        dataset.save_as(tmp_path / f"p/{k}", enforce_file_format=True)
    assert len(read(tmp_path / "p")[0][0].volumes[0].slices) == 5


def test_pixels_that_do_not_fit_their_header_are_told(tmp_path):
    for k in range(5):
        save(tmp_path / f"few/{k}", k, 0, **({"Rows": ROWS - 1} if k == 4 else {}))
        save(tmp_path / f"all/{k}", k, 0, Rows=ROWS - 1)
    assert "are of this series" in refusal(tmp_path / "few")
    assert "it has 240 bytes of pixels, 220 are expected" in refusal(tmp_path / "all")


def test_files_that_only_look_like_dicom_are_told(tmp_path):
    save_cine(tmp_path / "p")
    (tmp_path / "p/broken.dcm").write_bytes(b"not DICOM")
    assert "broken.dcm: is no DICOM file, whatever its name says; export it again, or take it away" in refusal(
        tmp_path / "p"
    )
    # The remedy works.
    (tmp_path / "p/broken.dcm").unlink()
    assert len(read(tmp_path / "p")[0]) == 1


@pytest.mark.parametrize(
    ("name", "syntax"),
    [
        ("MR_small_RLE", "RLELossless"),
        ("MR_small_jp2klossless", "JPEG2000Lossless"),
        ("MR_small_jpeg_ls_lossless", "JPEGLSLossless"),
    ],
)
def test_compressed_files_are_read_or_the_missing_decoder_is_named(tmp_path, name, syntax):
    """pydicom's sample, as stored plainly and compressed."""
    truth = pydicom.dcmread(pydicom.data.get_testdata_file("MR_small.dcm", download=False)).pixel_array
    for k in range(5):
        dataset = pydicom.dcmread(pydicom.data.get_testdata_file(f"{name}.dcm", download=False))
        dataset.ImagePositionPatient = [0, 0, 8 * k]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.save_as(tmp_path / f"{k}")
    if pydicom.pixels.get_decoder(getattr(pydicom.uid, syntax)).is_available:
        np.testing.assert_array_equal(read(tmp_path)[0][0].volumes[0].slices[2, 0].T, truth)
    else:
        line = refusal(tmp_path)
        assert "cannot be decoded (no decoder is installed); pip install python-gdcm" in line


def test_a_file_that_is_damaged_beyond_recognition_is_told(tmp_path):
    folder = save_cine(tmp_path / "p", phases=1)
    last = save(folder / "IM005", 5, 0)
    for content, words in (
        (b"", "IM005: is empty"),
        (b"\0" * 300, "IM005: is no DICOM file, though it is named like one"),
    ):
        last.write_bytes(content)
        assert words in refusal(folder)
    last.unlink()
    (folder / "readme").write_text("hello")
    assert len(read(folder)[0][0].volumes[0].slices) == 5


def test_a_volume_beside_dicom_files_is_of_their_patient(tmp_path):
    for name in ("p1", "p2"):
        save_cine(tmp_path / f"{name}/dicom", PatientID=f"secret{name}", StudyInstanceUID=f"1.2.{name[1]}")
        nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.int16), np.eye(4)), tmp_path / f"{name}/{name}.nii.gz")
    found = [(source.kind, source.patient) for source in find_sources(tmp_path)]
    assert sorted(found) == [(kind, f"secret{p}") for kind in ("dicom", "nifti") for p in ("p1", "p2")]
