# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Sources into a folder: whose they are, what their outputs are called, what stays of earlier runs, what is told."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from custom.errors import InputError
from custom.importers.cmr.dicom_options import DicomOptions
from custom.importers.cmr.preparation import Preparation, report_lines
from custom.importers.cmr.scan import ConversionOptions
from custom.importers.cmr.sources import find_sources
from custom.importers.cmr.volumes import VolumeOptions
from custom.importers.notes import Doubt
from custom.importers.patients import of_dicom, of_file
from custom.importers.sections import grow


def save(path, seed=0, shape=(20, 16, 5), spacing=(1.4, 1.4, 8)):
    data = np.random.default_rng(seed).integers(0, 900, shape).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, np.diag([*spacing, 1])), path)
    return data


def prepare(root, out, size=0, **options):
    out.mkdir(exist_ok=True)
    preparation = Preparation(out, ConversionOptions(0, size), DicomOptions(), VolumeOptions(**options))
    return [preparation.convert(source) for source in find_sources(Path(root))]


@pytest.mark.parametrize(
    ("path", "patient", "told_by"),
    [
        ("training/patient007/patient007_4d.nii.gz", "patient007", "folder that the file is named after"),
        ("Training/Labeled/A0S9V9/A0S9V9_sa.nii.gz", "A0S9V9", "folder that the file is named after"),
        ("imagesTr/patient001_frame01_0000.nii.gz", "patient001", "file name"),
        ("1000001/sa.nii.gz", "1000001", "folder"),
        ("sub-12/ses-1/cmr/sub-12_ses-1_acq-sax_cine.nii.gz", "sub-12", "sub- of BIDS"),
        ("training/P5/sax.nii.gz", "P5", "folder"),
        ("P7.nii.gz", "P7", "file name"),
        ("sa.nii.gz", "root", "folder"),
    ],
)
def test_patients_of_volumes(tmp_path, path, patient, told_by):
    save(tmp_path / "root" / path)
    (source,) = find_sources(tmp_path / "root")
    assert (source.patient, source.patient_from) == (patient, told_by)


def test_patients_of_headers_and_folders():
    assert of_dicom("123", "folder", "auto").name == "123"
    for stated in ("", "ANONYMOUS", "anon_2", "000", "unknown", "xxx", "Patient"):
        patient = of_dicom(stated, "folder", "auto")
        assert patient.name == "folder" and "--patient_from" in patient.doubts[0]
    assert of_dicom("000", "folder", "header").name == "000"
    assert of_dicom("123", "folder", "folder").name == "folder"
    assert of_file(Path("/r/a/b.nii"), Path("/r"), "b", "file").name == "b"


def test_a_folder_of_many_names_is_a_doubt(tmp_path):
    for name in ("x", "y"):
        save(tmp_path / f"in/siteA/{name}.nii.gz")
    found = find_sources(tmp_path / "in")
    assert {source.patient for source in found} == {"siteA"}
    assert sum("--patient_from file" in doubt for source in found for doubt in source.doubts) == 1
    assert [source.patient for source in find_sources(tmp_path / "in", patient_from="file")] == ["x", "y"]


def test_two_sources_of_one_name_get_two(tmp_path):
    data = [save(tmp_path / f"in/{part}/P1/sa.nii.gz", seed) for seed, part in enumerate(("training", "testing"))]
    fates = prepare(tmp_path / "in", tmp_path / "out")
    assert [fate.entries[0]["image"] for fate in fates] == ["P1_sa.nii.gz", "P1_sa-2.nii.gz"]
    # testing comes before training.
    for name, values in zip(("P1_sa", "P1_sa-2"), data[::-1], strict=True):
        np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / f"out/{name}.nii.gz").dataobj), values)
    assert {fate.entries[0]["patient"] for fate in fates} == {"P1"}
    assert any(isinstance(note, Doubt) and "is the name of another source" in note for note in fates[1].notes)
    # Again: each is known by its content, and keeps its name.
    again = prepare(tmp_path / "in", tmp_path / "out")
    assert all(fate.is_old for fate in again)
    assert [fate.entries for fate in again] == [fate.entries for fate in fates]


def test_other_options_are_told_and_the_output_is_made_again(tmp_path):
    save(tmp_path / "in/P1.nii.gz")
    prepare(tmp_path / "in", tmp_path / "out")
    (fate,) = prepare(tmp_path / "in", tmp_path / "out", size=8)
    assert not fate.is_old and any("--size 8 (0)" in note for note in fate.notes)
    assert nib.load(tmp_path / "out/P1.nii.gz").shape == (8, 8, 5)


def test_the_record_tells_guesses_positions_and_whose_it_is(tmp_path):
    save(tmp_path / "in/sa.nii.gz", spacing=(8, 8, 8))
    (fate,) = prepare(tmp_path / "in", tmp_path / "out")
    record = json.loads((tmp_path / "out/in_sa.json").read_text())
    assert record["patient_from"] == "folder" and record["positions_mm"] == [0, 8, 16, 24, 32]
    assert any("--slice_axis" in guess for guess in record["guesses"])
    assert any("--patient_from" in guess for guess in record["guesses"])
    (line,) = report_lines(tmp_path / "out", [fate])
    assert "5 slices x 1 phase, 20 x 16 pixels of 8 x 8 mm, 8 mm apart, at 0.0 to 32.0 mm, in" in line
    assert fate.row()["fate"] == "converted" and str(tmp_path) not in json.dumps(record)


def test_masks_whose_ventricles_are_swapped_are_a_doubt(tmp_path):
    save(tmp_path / "in/P1/P1_sa.nii.gz")
    x, y = np.indices((20, 16))
    label = np.zeros((20, 16), np.uint8)
    label[np.hypot(x - 8, y - 8) < 6] = 2
    label[np.hypot(x - 8, y - 8) < 3] = 3
    label[14:18, 5:11] = 1
    mask = nib.Nifti1Image(label[..., None].repeat(5, axis=2), np.diag([1.4, 1.4, 8, 1]))
    nib.save(mask, tmp_path / "in/P1/P1_sa_gt.nii.gz")
    (fate,) = prepare(tmp_path / "in", tmp_path / "out")
    assert any(isinstance(note, Doubt) and "surrounds number 3" in note and "--masks" in note for note in fate.notes)
    # The remedy works.
    preparation = Preparation(tmp_path / "out", ConversionOptions(0, 0, masks="acdc"), DicomOptions(), VolumeOptions())
    (source,) = find_sources(tmp_path / "in")
    assert not any("--masks)" in note for note in preparation.convert(source).notes)


def test_own_outputs_among_the_inputs_are_left_out(tmp_path):
    save(tmp_path / "in/P1/P1_sa.nii.gz")
    mask = nib.Nifti1Image(np.ones((20, 16, 5), np.uint8), np.diag([1.4, 1.4, 8, 1]))
    nib.save(mask, tmp_path / "in/P1/P1_sa_gt.nii.gz")
    prepare(tmp_path / "in", tmp_path / "made")
    (tmp_path / "made").rename(tmp_path / "in/made")
    left_out = []
    assert [source.patient for source in find_sources(tmp_path / "in", left_out=left_out)] == ["P1"]
    assert sorted(path.name for path, _ in left_out) == ["P1_sa.nii.gz", "P1_sa.nii.gz"]
    with pytest.raises(InputError, match="was made by this project"):
        find_sources(tmp_path / "in/made")
    # A synthetic slice must never pass for an acquired one.
    save(tmp_path / "in/P1/P1_sa_interp.nii.gz")
    (tmp_path / "in/P1/P1_sa_interp.json").write_text('{"synthetic_slices": [1, 3]}')
    (source,) = find_sources(tmp_path / "in")
    assert [path.name for path in source.paths] == ["P1_sa.nii.gz"]


def entry(image, patient):
    return {"image": image, "patient": patient}


def listed(datalist):
    return {name: [e["image"] for e in part] for name, part in datalist.items()}


def test_sections_grow_and_patients_stay(tmp_path):
    names = [f"p{k}" for k in range(12)]
    for name in names:
        (tmp_path / name).touch()
    sections = {}
    for k, name in enumerate(names):
        datalist, _ = grow(tmp_path, [entry(name, name)], {}, "0.8,0.1,0.1")
        (tmp_path / "datalist.json").write_text(json.dumps(datalist))
        found = {e["patient"]: section for section, part in datalist.items() for e in part}
        assert found.keys() == set(names[: k + 1]) and sections.items() <= found.items()
        sections = found
    counts = [list(sections.values()).count(name) for name in ("training", "validation", "test")]
    assert counts[0] >= 8 and min(counts) >= 1
    # Listed patients move, the others of that section are dealt anew.
    datalist, _ = grow(tmp_path, [entry("p0", "p0")], {"test": ["p0", "p3"]}, "0.8,0.1,0.1")
    assert {e["patient"] for e in datalist["test"]} == {"p0", "p3"}
    # What is gone is gone, what is stale goes, and all is dealt anew on demand.
    (tmp_path / "p5").unlink()
    datalist, _ = grow(tmp_path, [entry("p0", "p0")], {}, "0.8,0.1,0.1", stale=["p6"])
    assert not {"p5", "p6"} & {e["image"] for part in datalist.values() for e in part}
    anew, kept = grow(tmp_path, [entry("p0", "p0")], {}, "0,0,1", resplit=True)
    assert kept == 0 and not anew["training"] and len(anew["test"]) == 11


def test_a_patient_of_two_sections_comes_into_one(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).touch()
    mixed = {"training": [entry("a", "P")], "validation": [], "test": [entry("b", "P")]}
    (tmp_path / "datalist.json").write_text(json.dumps(mixed))
    datalist, _ = grow(tmp_path, [], {}, "0.8,0.1,0.1")
    assert listed(datalist) == {"training": ["a", "b"], "validation": [], "test": []}


def test_a_foreign_datalist_is_not_replaced(tmp_path):
    (tmp_path / "datalist.json").write_text('["not ours"]')
    with pytest.raises(InputError, match="is there and is no datalist"):
        grow(tmp_path, [entry("a", "P")], {}, "0.8,0.1,0.1")
    # The remedy works.
    (tmp_path / "datalist.json").rename(tmp_path / "other.json")
    assert listed(grow(tmp_path, [entry("a", "P")], {}, "0.8,0.1,0.1")[0])["training"] == ["a"]


def test_files_of_one_name_in_two_formats_are_two_scans(tmp_path):
    data = [save(tmp_path / f"in/P1{suffix}", seed) for seed, suffix in enumerate((".nii", ".nii.gz"))]
    for _ in range(2):
        fates = prepare(tmp_path / "in", tmp_path / "out")
        images = [fate.entries[0]["image"] for fate in fates]
        assert images == ["P1.nii.gz", "P1-2.nii.gz"]
        for name, values in zip(images, data, strict=True):
            np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "out" / name).dataobj), values)


def test_the_mask_of_bids_goes_with_its_image(tmp_path):
    folder = tmp_path / "in/sub-01/ses-1/anat"
    save(folder / "sub-01_ses-1_cine.nii.gz")
    mask = nib.Nifti1Image(np.ones((20, 16, 5), np.uint8), np.diag([1.4, 1.4, 8, 1]))
    nib.save(mask, folder / "sub-01_ses-1_label-heart_mask.nii.gz")
    (fate,) = prepare(tmp_path / "in", tmp_path / "out")
    assert "label" in fate.entries[0] and fate.entries[0]["patient"] == "sub-01"


@pytest.mark.parametrize(("drawn", "masks"), [([1], "lv_cavity"), ([1, 2], "1=1,2=2")])
def test_masks_that_never_draw_a_structure_are_a_doubt(drawn, masks, tmp_path):
    save(tmp_path / "in/P1/P1_sa.nii.gz")
    label = np.zeros((20, 16, 5), np.uint8)
    for number in drawn:
        label[4 * number : 4 * number + 3, 5:9] = number
    nib.save(nib.Nifti1Image(label, np.diag([1.4, 1.4, 8, 1])), tmp_path / "in/P1/P1_sa_gt.nii.gz")
    (fate,) = prepare(tmp_path / "in", tmp_path / "out")
    (doubt,) = (note for note in fate.notes if "draws no" in note)
    assert isinstance(doubt, Doubt) and "RV cavity" in doubt and doubt.endswith(f"--masks {masks}")
    # The remedy works: the datalist says what the masks know.
    preparation = Preparation(tmp_path / "out", ConversionOptions(0, 0, masks=masks), DicomOptions(), VolumeOptions())
    fate = preparation.convert(*find_sources(tmp_path / "in"))
    assert [entry["label_classes"] for entry in fate.entries] == [drawn]
    assert not any("draws no" in note for note in fate.notes)
