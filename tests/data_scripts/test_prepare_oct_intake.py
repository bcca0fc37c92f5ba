# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What exports of pullbacks bring: headers that lack something, values in odd words, folders that are used again."""

from __future__ import annotations

import csv
import json
import logging
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MultiFrameTrueColorSecondaryCaptureImageStorage

SCRIPTS = Path(__file__).parents[2] / "data_scripts"
sys.path.insert(0, str(SCRIPTS.parent))

from custom.errors import InputError  # noqa: E402
from custom.importers.oct.display import static_overlay  # noqa: E402
from data_scripts.prepare_oct import prepare  # noqa: E402


def discs(count=4, size=48, seed=0):
    """Gray `(F, N, N)` discs of noise with dark corners."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    noise = np.random.default_rng(seed).integers(30, 200, (count, size, size))
    return (noise * (np.hypot(y, x) < size / 2)).astype(np.uint8)


def dicom(path, frames, **fields):
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MultiFrameTrueColorSecondaryCaptureImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    for name, value in fields.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset.PixelData = frames.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def run(*arguments):
    command = [sys.executable, str(SCRIPTS / "prepare_oct.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("count", [None, ""])
def test_frames_are_counted_where_the_header_does_not_say(tmp_path, count):
    dicom(tmp_path / "in" / "a.dcm", discs(5), NumberOfFrames=count)
    dicom(tmp_path / "in" / "b.dcm", discs(3))
    prepare(str(tmp_path / "in"), str(tmp_path / "out"), to="keep")
    assert [nib.load(tmp_path / "out" / f"{name}.nii.gz").shape[2] for name in "ab"] == [5, 3]


def test_a_palette_of_small_values_in_wide_words_is_read(tmp_path):
    table = np.arange(256, dtype="<u2")
    palette = {
        f"{colour}PaletteColorLookupTable{part}": value
        for colour in ("Red", "Green", "Blue")
        for part, value in (("Descriptor", [256, 0, 16]), ("Data", table.tobytes()))
    }
    frames = discs()
    dicom(tmp_path / "in" / "a.dcm", frames, PhotometricInterpretation="PALETTE COLOR", **palette)
    prepare(str(tmp_path / "in"), str(tmp_path / "out"), to="keep")
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "out/a.nii.gz").dataobj), frames.transpose(1, 2, 0))


def test_the_pitch_comes_from_a_vector_of_times_and_a_guess_is_told(tmp_path, caplog):
    timed = {"PixelSpacing": [0.02, 0.02], "IVUSPullbackRate": 20.0, "FrameTimeVector": [0, 5, 5, 5]}
    dicom(tmp_path / "in" / "timed.dcm", discs(), **timed)
    dicom(tmp_path / "in" / "unknown.dcm", discs(), PixelSpacing=[0.02, 0.02])
    with caplog.at_level(logging.WARNING):
        prepare(str(tmp_path / "in"), str(tmp_path / "out"), to="keep")
    pitches = [nib.load(tmp_path / "out" / f"{name}.nii.gz").header.get_zooms()[2] for name in ("timed", "unknown")]
    assert pitches == pytest.approx([0.1, 0.2])
    assert "unknown.dcm: no frame pitch is stated, 0.2 mm is assumed; --frame_pitch_mm" in caplog.text
    assert "timed.dcm: no frame pitch" not in caplog.text


@pytest.mark.parametrize("scale", [257, 16, 1 / 255])
def test_standing_marks_are_the_same_in_any_depth(scale):
    frames = np.ascontiguousarray(discs(40, 64).transpose(1, 2, 0)).astype(np.float64)
    frames[30:34, 8:20] = 250
    frames[0, 0, 0] = 255
    scaled = frames * scale
    scaled = scaled if scale < 1 else scaled.round().astype(np.uint16)
    marks = static_overlay(frames.astype(np.uint8))
    assert marks[31:33, 10:18].all() and marks.mean() < 0.05
    np.testing.assert_array_equal(static_overlay(scaled), marks)


def test_pullbacks_prepared_one_by_one_stay_in_the_datalist(tmp_path):
    for name in ("first", "second"):
        dicom(tmp_path / name / f"{name}.dcm", discs(seed=len(name)))
        prepare(str(tmp_path / name), str(tmp_path / "out"), to="keep")
    listed = json.loads((tmp_path / "out" / "datalist.json").read_text())
    images = {entry["image"] for section in ("training", "validation", "test") for entry in listed[section]}
    assert images == {"first.nii.gz", "second.nii.gz"}


def test_another_source_of_the_same_name_does_not_replace_the_first(tmp_path):
    dicom(tmp_path / "one" / "a.dcm", discs(seed=1))
    dicom(tmp_path / "two" / "a.dcm", discs(seed=2))
    prepare(str(tmp_path / "one"), str(tmp_path / "out"), to="keep")
    before = (tmp_path / "out" / "a.nii.gz").read_bytes()
    prepare(str(tmp_path / "two"), str(tmp_path / "out"), to="keep")
    assert (tmp_path / "out" / "a.nii.gz").read_bytes() == before
    assert (tmp_path / "out" / "a-2.nii.gz").read_bytes() != before
    with open(tmp_path / "out" / "sources.csv", newline="") as file:
        fates = [(row["source"], row["fate"]) for row in csv.DictReader(file)]
    assert fates == [("a.dcm", "done"), ("a.dcm", "done")]


@pytest.mark.parametrize("where", ["in", "in/out", "."])
def test_outputs_and_inputs_do_not_mix(tmp_path, where):
    dicom(tmp_path / "in" / "a.dcm", discs())
    with pytest.raises(InputError, match="outputs and inputs would mix"):
        prepare(str(tmp_path / "in"), str(tmp_path / where))
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.dcm"]


def test_an_unknown_option_is_refused_before_anything_is_written(tmp_path):
    dicom(tmp_path / "in" / "a.dcm", discs())
    done = run("--input", tmp_path / "in", "--output_dir", tmp_path / "out", "--geometri", "vivolight")
    assert done.returncode == 2 and "--geometri: no such option; did you mean --geometry?" in done.stderr
    assert not (tmp_path / "out").exists()


def test_guesses_and_options_are_in_the_sidecar(tmp_path, caplog):
    dicom(tmp_path / "in" / "a.dcm", discs())
    with caplog.at_level(logging.INFO):
        prepare(str(tmp_path / "in"), str(tmp_path / "out"), to="keep")
    note = json.loads((tmp_path / "out/a.json").read_text())
    assert {"layout", "crop", "gaps", "frame_names", "patient_from", "label_like"} <= note["options"].keys()
    assert note["patient"] == "a" and note["patient_from"] == "folder"
    assert all(guess in note["notes"] and guess in caplog.text for guess in note["guesses"])
    told = " ".join(note["guesses"])
    assert all(option in told for option in ("--patient_from", "--depth_spacing_mm", "--frame_pitch_mm"))
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == len(note["guesses"])


def test_a_file_of_the_user_is_not_replaced(tmp_path):
    dicom(tmp_path / "in" / "a.dcm", discs())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.nii.gz").write_bytes(b"mine")
    prepare(str(tmp_path / "in"), str(tmp_path / "out"), to="keep")
    assert (tmp_path / "out" / "a.nii.gz").read_bytes() == b"mine"
    assert (tmp_path / "out" / "a-2.nii.gz").is_file()


def test_a_source_that_has_changed_in_its_place_is_made_again(tmp_path):
    for count in (4, 6):
        dicom(tmp_path / "in" / "a.dcm", discs(count))
        prepare(str(tmp_path / "in"), str(tmp_path / "out"), to="keep")
    assert nib.load(tmp_path / "out/a.nii.gz").shape[2] == 6


def sections(folder):
    listed = json.loads((folder / "datalist.json").read_text())
    return {entry["patient"]: name for name in ("training", "validation", "test") for entry in listed[name]}


def test_patients_stay_in_their_sections_when_a_folder_grows(tmp_path):
    for k in range(4):
        dicom(tmp_path / "first" / f"{k}.dcm", discs(seed=k), PatientID=f"P{k}")
        dicom(tmp_path / "second" / f"x{k}.dcm", discs(seed=k + 9), PatientID=f"P{k + 2}")
    prepare(str(tmp_path / "first"), str(tmp_path / "out"), to="keep", split=(0.5, 0.25, 0.25))
    before = sections(tmp_path / "out")
    prepare(str(tmp_path / "second"), str(tmp_path / "out"), to="keep", split=(0.5, 0.25, 0.25), seed=5)
    after = sections(tmp_path / "out")
    assert len(after) == 6 and {name: after[name] for name in before} == before
    listed = json.loads((tmp_path / "out" / "datalist.json").read_text())
    homes = [(entry["patient"], name) for name in listed for entry in listed[name]]
    assert len(homes) == 8 and len(set(homes)) == 6


def test_ranges_of_one_pullback_leave_the_others_in_the_datalist(tmp_path):
    dicom(tmp_path / "first" / "a.dcm", discs())
    dicom(tmp_path / "second" / "b.dcm", discs(6))
    prepare(str(tmp_path / "first"), str(tmp_path / "out"), to="keep")
    prepare(str(tmp_path / "second"), str(tmp_path / "out"), to="keep", ranges="training=0:3,test=3:6")
    listed = json.loads((tmp_path / "out" / "datalist.json").read_text())
    assert [entry["image"] for entry in listed["training"]] == ["a.nii.gz", "b.nii.gz"] and len(listed["test"]) == 1


def test_every_file_has_its_fate_in_the_list(tmp_path):
    dicom(tmp_path / "in" / "a.dcm", discs())
    (tmp_path / "in" / "b.npz").write_bytes(b"PK no")
    (tmp_path / "in" / "film.avi").write_bytes(b"RIFF")
    with pytest.raises(SystemExit):
        prepare(str(tmp_path / "in"), str(tmp_path / "out"), to="keep")
    with open(tmp_path / "out" / "sources.csv", newline="") as file:
        fates = {row["source"]: (row["fate"], bool(row["reason"])) for row in csv.DictReader(file)}
    assert fates == {"a.dcm": ("done", True), "b.npz": ("failed", True), "film.avi": ("left out", True)}


def test_outputs_of_a_source_that_has_another_patient_now_leave_the_datalist(tmp_path, caplog):
    for k in range(3):
        dicom(tmp_path / "in" / f"{k}.dcm", discs(seed=k), PatientID="P")
    prepare(str(tmp_path / "in"), str(tmp_path / "out"), to="keep", patient_from="file")
    with caplog.at_level(logging.INFO):
        prepare(str(tmp_path / "in"), str(tmp_path / "out"), to="keep")
    assert sections(tmp_path / "out").keys() == {"P"} and "no longer in the datalist" in caplog.text
    assert (tmp_path / "out/0.nii.gz").is_file()
