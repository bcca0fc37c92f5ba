# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.pixels import convert_color_space
from pydicom.uid import ExplicitVRLittleEndian, MultiFrameTrueColorSecondaryCaptureImageStorage
from scipy.ndimage import gaussian_filter
from skimage.io import imsave
from tifffile import imwrite

SCRIPT = Path(__file__).resolve().parents[2] / "data_scripts/prepare_oct.py"
sys.path.insert(0, str(SCRIPT.parent))

from prepare_oct import prepare  # noqa: E402

from custom.data.datalist import SECTIONS, load_datalist  # noqa: E402
from custom.errors import InputError  # noqa: E402
from custom.scans.coordinates import cartesian_to_polar, polar_to_cartesian  # noqa: E402
from custom.scans.pullbacks import inspect_pullback  # noqa: E402

GOLD_KNOTS = ([0, 134, 227, 255], [0, 59, 172, 255], [0, 2, 51, 255])
GOLD = np.rint(np.stack([np.interp(np.arange(256), [0, 64, 150, 255], k) for k in GOLD_KNOTS], axis=1)).astype(np.uint8)


def cartesian_frames(count=5, size=64, seed=0):
    """Gray `(F, N, N)` discs, dark corners; each frame is brighter than the one before."""
    noise = gaussian_filter(np.random.default_rng(seed).random((size, size // 2, 1)), (3, 3, 0), mode="wrap")
    polar = (120 * noise / noise.max() + 10 * np.arange(1, count + 1)).astype(np.uint8)
    return np.ascontiguousarray(polar_to_cartesian(polar).transpose(2, 0, 1))


def save_dicom(path, frames, interpretation, bits=8, **fields):
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = MultiFrameTrueColorSecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = pydicom.uid.generate_uid()
    dataset.SOPClassUID = MultiFrameTrueColorSecondaryCaptureImageStorage
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape[:3]
    dataset.SamplesPerPixel = 3 if frames.ndim == 4 else 1
    if frames.ndim == 4:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = interpretation
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 * frames.itemsize, bits, bits - 1
    dataset.PixelRepresentation = 0
    for name, value in fields.items():
        setattr(dataset, name, value)
    dataset.PixelData = frames.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def array_of(path):
    return np.asarray(nib.load(path).dataobj)


def test_gray_dicom_keeps_16_bits_and_takes_spacing_from_the_header(tmp_path):
    frames = cartesian_frames().astype(np.uint16) * 16
    fields = {"PixelSpacing": [0.02, 0.02], "IVUSPullbackRate": 36.0, "FrameTime": 1000 / 180}
    save_dicom(tmp_path / "in/a.dcm", frames, "MONOCHROME2", 12, **fields)
    prepare(str(tmp_path / "in"), str(tmp_path / "out"), to="keep")
    image = nib.load(tmp_path / "out/a.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj), frames.transpose(1, 2, 0))
    assert image.get_data_dtype() == np.uint16
    assert image.header.get_zooms() == pytest.approx((0.02, 0.02, 0.2))
    assert inspect_pullback(tmp_path / "out/a.nii.gz").coordinates == "cartesian"


def test_monochrome1_is_inverted(tmp_path):
    frames = cartesian_frames()
    path = save_dicom(tmp_path / "a.dcm", 255 - frames, "MONOCHROME1")
    prepare(str(path), str(tmp_path / "out"), to="keep")
    np.testing.assert_array_equal(array_of(tmp_path / "out/a.nii.gz"), frames.transpose(1, 2, 0))


def test_rgb_dicom_becomes_gray_and_loses_its_caliper(tmp_path):
    frames = cartesian_frames(count=8, size=128)
    rgb = GOLD[frames]
    rgb[:, 20:100, 40:42] = (0, 200, 200)
    path = save_dicom(tmp_path / "a.dcm", rgb, "RGB")
    prepare(str(path), str(tmp_path / "out"), to="keep")
    expected = GOLD[frames].mean(axis=-1).transpose(1, 2, 0)
    assert np.abs(array_of(tmp_path / "out/a.nii.gz") - expected).max() < 12
    note = json.loads((tmp_path / "out/a.json").read_text())
    assert note["from_colour"] and 160 <= note["overlay_pixels_filled"] <= 400 and note["source"] == "a.dcm"
    assert str(tmp_path) not in json.dumps(note)


def test_ybr_dicom_is_read_as_rgb(tmp_path):
    frames = cartesian_frames()
    path = save_dicom(tmp_path / "a.dcm", convert_color_space(GOLD[frames], "RGB", "YBR_FULL"), "YBR_FULL")
    prepare(str(path), str(tmp_path / "out"), to="keep", fill_overlay=False)
    expected = GOLD[frames].mean(axis=-1).transpose(1, 2, 0)
    assert np.abs(array_of(tmp_path / "out/a.nii.gz") - expected).max() < 3


def test_palette_dicom_is_read_through_its_palette(tmp_path):
    frames = cartesian_frames()
    fields = {}
    for colour, table in zip(("Red", "Green", "Blue"), GOLD.T, strict=True):
        fields[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        fields[f"{colour}PaletteColorLookupTableData"] = (table.astype(np.uint16) * 257).tobytes()
    path = save_dicom(tmp_path / "a.dcm", frames, "PALETTE COLOR", **fields)
    prepare(str(path), str(tmp_path / "out"), to="keep", fill_overlay=False)
    expected = np.rint(GOLD[frames].mean(axis=-1)).transpose(1, 2, 0)
    np.testing.assert_array_equal(array_of(tmp_path / "out/a.nii.gz"), expected)


def test_png_folders_are_patients_in_natural_order(tmp_path):
    frames = cartesian_frames(count=11)
    for patient in ("P1", "P2", "P3"):
        (tmp_path / "in" / patient).mkdir(parents=True)
        for k, frame in enumerate(frames):
            imsave(tmp_path / "in" / patient / f"frame_{k + 1}.png", frame, check_contrast=False)
    prepare(str(tmp_path / "in"), str(tmp_path / "out"), geometry="vivolight", compress=False)
    expected = cartesian_to_polar(frames.transpose(1, 2, 0))
    np.testing.assert_array_equal(array_of(tmp_path / "out/P1.nii"), expected)
    info = inspect_pullback(tmp_path / "out/P1.nii")
    assert info.coordinates == "polar" and info.shape == (497, 32, 11)
    assert info.header.get_zooms() == pytest.approx((1.0, 1025 * 0.00747 / 32, 0.2))
    sections = [load_datalist(tmp_path / "out/datalist.json", section) for section in SECTIONS]
    assert [len(section) for section in sections] == [1, 1, 1]
    assert {section[0]["patient"] for section in sections} == {"P1", "P2", "P3"}


def test_npz_with_its_mask_and_ranges_for_one_patient(tmp_path):
    frames = cartesian_frames(count=6)
    mask = np.zeros(frames.shape[1:], bool)
    mask[30, 10:50] = True
    spoiled = np.where(mask, 255, frames).astype(np.uint8)
    np.savez(tmp_path / "a.npz", frames=spoiled, overlay_mask=mask)
    prepare(str(tmp_path / "a.npz"), str(tmp_path / "out"), frames="1:6", ranges="training=0:3,test=3:5", to="keep")
    written = array_of(tmp_path / "out/a.nii.gz")
    assert written.shape[2] == 5 and written[30, 20].max() < 200
    np.testing.assert_array_equal(written[:28], spoiled[1:].transpose(1, 2, 0)[:28])
    datalist = json.loads((tmp_path / "out/datalist.json").read_text())
    assert datalist["training"] == [{"image": "a.nii.gz", "patient": "a", "frames": [0, 3]}]
    assert datalist["validation"] == [] and datalist["test"][0]["frames"] == [3, 5]


def test_polar_tiff_becomes_cartesian(tmp_path):
    polar = np.random.default_rng(0).integers(0, 255, (4, 40, 30), dtype=np.uint8)
    imwrite(tmp_path / "scan-07.tif", polar.swapaxes(1, 2), photometric="minisblack")
    options = {"to": "cartesian", "transpose": True, "depth_spacing_mm": 0.01, "patient_regex": r"scan-(\d+)"}
    prepare(str(tmp_path / "scan-07.tif"), str(tmp_path / "out"), **options)
    image = nib.load(tmp_path / "out/07_scan-07.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj), polar_to_cartesian(polar.transpose(1, 2, 0)))
    assert image.header.get_zooms() == pytest.approx((0.01, 0.01, 0.2))


def test_one_bad_case_does_not_stop_the_others(tmp_path, caplog):
    folder = tmp_path / "in"
    good = cartesian_frames()
    save_dicom(folder / "good/a.dcm", good, "MONOCHROME2")
    for name, content in {
        "nan": np.where(good > 30, np.nan, good),
        "single": good[:1],
        "five": np.zeros((2, 2, 2, 2, 2)),
        "constant": np.zeros((3, 8, 8)),
        "rainbow": np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8),
    }.items():
        np.save(folder / f"{name}.npy", content)
    (folder / "torn.npz").write_bytes(b"PK not really")
    (folder / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 50)
    (folder / "mixed").mkdir()
    imsave(folder / "mixed/1.png", good[0], check_contrast=False)
    imsave(folder / "mixed/2.png", good[1, :-4], check_contrast=False)
    (folder / "notes.txt").write_text("not a pullback")
    with pytest.raises(SystemExit, match="8 of 9"):
        prepare(str(folder), str(tmp_path / "out"))
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 8 and not any("\n" in message for message in errors)
    for name in ("nan.npy", "single.npy", "five.npy", "constant.npy", "rainbow.npy", "torn.npz", "broken.dcm", "2.png"):
        assert sum(name in message for message in errors) == 1, name
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "datalist.json",
        "good_a.json",
        "good_a.nii.gz",
        "sources.csv",
    ]


@pytest.mark.parametrize(
    "options, told",
    [
        ({"geometry": "philips"}, "choose from vivolight, abbott, none"),
        ({"frames": "9"}, "start:stop"),
        ({"split": "0.8,0.2"}, "three fractions"),
        ({"ranges": "training=0:4,test=3:5"}, "share frames"),
        ({"ranges": "training=0:4,test=4:9"}, "has 5 frames"),
        ({"ranges": "teaching=0:4"}, "choose from training"),
        ({"overlay_mask": "absent.png"}, "overlay mask"),
    ],
)
def test_bad_options_are_told(tmp_path, options, told):
    np.save(tmp_path / "a.npy", cartesian_frames())
    with pytest.raises(InputError, match=told):
        prepare(str(tmp_path / "a.npy"), str(tmp_path / "out"), **options)


def test_script_runs_from_another_folder(tmp_path):
    np.save(tmp_path / "a.npy", cartesian_frames())
    command = [sys.executable, str(SCRIPT), "--input", "a.npy", "--output_dir", "out", "--num_alines", "50"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert nib.load(tmp_path / "out/a.nii.gz").shape == (50, 32, 5)
    run = subprocess.run([*command[:3], "absent", *command[4:]], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 1 and run.stderr.splitlines()[-1].startswith("ERROR") and "Traceback" not in run.stderr
