# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What is said of options, of names of frames and of patients: each advice is followed, as it is typed."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from skimage.io import imsave

COMMON = ("--to", "keep", "--geometry", "vivolight", "--nofill_overlay", "--layout", "polar")


@pytest.fixture
def patients(tmp_path):
    """Of a run: image to patient."""

    def read(out="out"):
        listed = json.loads((tmp_path / out / "datalist.json").read_text())
        return {entry["image"].removesuffix(".nii.gz"): entry["patient"] for part in listed.values() for entry in part}

    return read


@pytest.mark.parametrize(
    ("option", "count"),
    [("layout", 3), ("to", 3), ("geometry", 3), ("gaps", 2), ("label_like", 2), ("patient_from", 4)],
)
def test_every_choice_that_a_refusal_names_is_taken(tmp_path, discs, save_dicom, run_command, option, count):
    save_dicom(tmp_path / "in/a.dcm", discs(), PatientID="P")
    (fault,) = run_command(f"--{option}", "nothing").errors
    start, _, choices = fault.partition("choose from ")
    assert start == f"--{option}: is nothing; " and len(choices.split(", ")) == count
    assert not (tmp_path / "out").exists()
    for choice in choices.split(", "):
        assert run_command(f"--{option}", choice, out=choice).errors == []
        note = json.loads(next((tmp_path / choice).glob("*a.json")).read_text())
        assert note["options"][option] == choice


RANGE = "give start:stop with start below stop, for instance 0:100"
VALUES = {
    "crop": ("5:2,0:4", "give top:bottom,left:right in pixels", "0:20,4:24", lambda f: f[:20, 4:24]),
    "frames": ("9", RANGE, "0:100", lambda f: f[..., :100]),
    "frames, one": ("3:4", "give at least two frames", "3:5", lambda f: f[..., 3:5]),
    "frames, more": ("0:121", "shorten the range", "0:120", lambda f: f),
    "num_alines": ("0", "give a whole number above 0", "24", lambda f: f),
    "num_depths": ("2.5", "give a whole number above 0", "24", lambda f: f),
    "frame_pitch_mm": ("-1", "give a number above 0", "1", lambda f: f),
    "depth_spacing_mm": ("wide", "give a number above 0", "0.01", lambda f: f),
    "seed": ("x", "give a whole number from 0 on", "0", lambda f: f),
    "split": ("0.8,0.2", "give three fractions, for instance 0.8,0.1,0.1", "0.8,0.1,0.1", lambda f: f),
    "frame_names": ("(", "mend it", "a", lambda f: f),
    "patient_regex": ("(", "mend it", "a", lambda f: f),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_a_value_that_is_refused_is_taken_in_the_form_that_is_told(tmp_path, run_command, prepared, name):
    wrong, told, right, expected = VALUES[name]
    frames = np.random.default_rng(0).integers(1, 200, (120, 24, 24)).astype(np.uint8)
    (tmp_path / "in").mkdir()
    if name == "frame_names":
        for k, frame in enumerate(frames):
            imsave(tmp_path / f"in/a{k}.png", frame, check_contrast=False)
    else:
        np.save(tmp_path / "in/a.npy", frames)
    option = f"--{name.split(',')[0]}"
    (fault,) = run_command(*COMMON, option, wrong).errors
    assert told in fault and option in fault, fault
    assert not list((tmp_path / "out").glob("*.nii.gz"))
    assert run_command(*COMMON, option, right).errors == []
    voxels, sizes = prepared()
    np.testing.assert_array_equal(voxels, expected(frames.transpose(1, 2, 0)))
    if name.endswith("_mm"):
        assert sizes[2 if name == "frame_pitch_mm" else 1] == float(right)


RANGES = {
    "section": ("teaching=0:4", "choose from training, validation, test", "training=0:4", {"training": [0, 4]}),
    "form": ("training=4", RANGE, "training=0:4", {"training": [0, 4]}),
    "shared": ("training=0:4,test=3:5", "keep them apart", "training=0:3,test=3:5",
               {"training": [0, 3], "test": [3, 5]}),
    "too many": ("training=0:9", "a.npy: has 6 frames, --ranges asks for 9; shorten the ranges", "training=0:6",
                 {"training": [0, 6]}),
    "a number": ("3", "choose from training, validation, test", "validation=1:3", {"validation": [1, 3]}),
}  # fmt: skip


@pytest.mark.parametrize("name", RANGES)
def test_ranges_that_are_refused_are_taken_when_mended(tmp_path, discs, run_command, name):
    wrong, told, right, expected = RANGES[name]
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in/a.npy", discs(6))
    (fault,) = run_command(*COMMON, "--ranges", wrong, source="in/a.npy").errors
    assert fault.endswith(told) and "--ranges" in fault
    assert run_command(*COMMON, "--ranges", right, source="in/a.npy").errors == []
    listed = json.loads((tmp_path / "out/datalist.json").read_text())
    assert {name: entry["frames"] for name, part in listed.items() for entry in part} == expected


def test_ranges_of_several_pullbacks_are_a_split_by_patient(tmp_path, discs, run_command, patients):
    (tmp_path / "in").mkdir()
    for k in range(3):
        np.save(tmp_path / f"in/{k}.npy", discs(seed=k))
    (fault,) = run_command(*COMMON, "--ranges", "training=0:2").errors
    assert fault.endswith("in: holds 3 pullbacks; --ranges is for one; use --split by patient")
    assert run_command(*COMMON, "--split", "0.4,0.3,0.3").errors == []
    listed = json.loads((tmp_path / "out/datalist.json").read_text())
    assert [len(part) for part in listed.values()] == [1, 1, 1]


@pytest.mark.parametrize("suffix", ["png", "npy"])
def test_a_mask_that_cannot_be_read_is_given_as_an_image_or_array(tmp_path, run_command, prepared, suffix):
    frames, mask = np.full((4, 48, 48), 100, np.uint8), np.zeros((48, 48), np.uint8)
    frames[0, 0, :20], frames[:, 20, 20], mask[20, 20] = np.arange(20), 250, 255
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in/a.npy", frames)
    path = tmp_path / f"mask.{suffix}"

    def write(mask):
        opaque = np.stack([mask, mask, mask, np.full_like(mask, 255)], axis=-1)
        np.save(path, mask) if suffix == "npy" else imsave(path, opaque, check_contrast=False)

    write(mask)
    for content in (b"row 20", b"", path.read_bytes()[:40] + b"    " + path.read_bytes()[44:]):
        path.write_bytes(content)
        (fault,) = run_command("--overlay_mask", path).errors
        assert fault.endswith(f"mask.{suffix}: cannot be read as an overlay mask; give an image or a .npy file")
    write(mask | 1)
    (fault,) = run_command("--overlay_mask", path).errors
    assert "marks every pixel; give a mask that is 0 where a frame shows what it should" in fault
    write(mask)
    assert run_command("--layout", "polar", "--overlay_mask", path).errors == []
    assert (prepared()[0][20, 20] == 100).all()


def test_images_named_like_masks_are_chosen_by_their_names(tmp_path, discs, save_images, run_command, prepared):
    frames, masks = discs(4), discs(4, seed=1)
    save_images(tmp_path / "in", [f"f{k}.png" for k in range(4)], frames)
    save_images(tmp_path / "in", [f"f{k}_mask.png" for k in range(4)], masks)
    (line,) = run_command(*COMMON).warnings
    assert "in: 4 images named like masks (f#_mask) are left out (--frame_names)" in line
    with open(tmp_path / "out/sources.csv", newline="") as file:
        reasons = {row["source"]: row["reason"] for row in csv.DictReader(file)}
    assert reasons["f0_mask.png"] == "its name says mask, not frame; --frame_names chooses"
    for pattern, expected in (("mask", masks), (r"^f\d+.png", frames)):
        told = run_command(*COMMON, "--frame_names", pattern, out=pattern[:2])
        assert not [line for line in told.warnings if "masks" in line]
        np.testing.assert_array_equal(prepared(out=pattern[:2])[0], expected.transpose(1, 2, 0))


def test_frames_whose_names_do_not_count_are_renamed(tmp_path, discs, save_images, run_command, prepared):
    frames, names = discs(3), ["first.png", "second.png", "last.png"]
    save_images(tmp_path / "in", names, frames)
    (line,) = run_command(*COMMON).warnings
    assert "the names carry no numbers: frames are in the order of the names; rename them if that is wrong" in line
    np.testing.assert_array_equal(prepared()[0], frames[[0, 2, 1]].transpose(1, 2, 0))
    for k, name in enumerate(names):
        (tmp_path / "in" / name).rename(tmp_path / f"in/{k}.png")
    assert run_command(*COMMON, out="new").warnings == []
    np.testing.assert_array_equal(prepared(out="new")[0], frames.transpose(1, 2, 0))


def test_numbers_in_steps_and_gaps_are_settled_by_their_options(tmp_path, discs, save_images, run_command, prepared):
    save_images(tmp_path / "in", [f"{k}.png" for k in (0, 2, 4, 8, 10)], discs(5))
    told = " ".join(run_command(*COMMON, "--gaps", "split").warnings)
    assert "frame numbers go in steps of 2: the frame pitch must be that of the folder (--frame_pitch_mm)" in told
    assert "each run is a pullback (--gaps keep)" in told and len(list((tmp_path / "out").glob("*.nii.gz"))) == 2
    told = " ".join(run_command(*COMMON, "--gaps", "keep", "--frame_pitch_mm", "0.4", out="new").warnings)
    assert "each run is a pullback" not in told and "--frame_pitch_mm" not in told
    voxels, sizes = prepared(out="new")
    assert voxels.shape[2] == 5 and sizes[2] == 0.4


ANONYMOUS, STUDY = {"PatientID": "ANON"}, {"StudyInstanceUID": "1.2.3"}
WHOSE = {
    "placeholder, folder": ({"p": ANONYMOUS}, "PatientID is ANON: the patient is named after the folder, p",
                            "--patient_from folder", {"p": "p"}),
    "placeholder, header": ({"p": ANONYMOUS}, "(--patient_from, --patient_regex)", "--patient_from header",
                            {"p": "ANON"}),
    "placeholder, pattern": ({"p7": ANONYMOUS}, "(--patient_from, --patient_regex)", r"--patient_regex \d",
                             {"p7": "7"}),
    "a number": ({"x7": ANONYMOUS}, "(--patient_from, --patient_regex)", "--patient_regex 7", {"x7": "7"}),
    "nobody": ({"p": {}}, "the header states no PatientID", "--patient_from file", {"p": "a"}),
    "study, folder": ({"p": STUDY, "q": STUDY}, "is of the same study as p: taken for the same patient",
                      "--patient_from folder", {"p": "p", "q": "q"}),
    "study, pattern": ({"p": STUDY, "q": STUDY}, "is of the same study as p", "--patient_regex [pq]",
                       {"p": "p", "q": "q"}),
    "shared": ({"p": {"PatientID": "S"}, "q": {"PatientID": "S"}}, "2 folders (p, q) have PatientID S: taken for one "
               "patient; if each is one, say --patient_from folder", "--patient_from folder", {"p": "p", "q": "q"}),
    "several": ({"p/1": {"PatientID": "S"}, "p/2": {"PatientID": "T"}}, "the folder p holds 2 PatientIDs: taken for as "
                "many patients; if the folder is one, say --patient_from folder", "--patient_from folder",
                {"p/1": "p", "p/2": "p"}),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOSE)
def test_whose_a_pullback_is_has_the_options_that_a_doubt_names(
    tmp_path, discs, save_dicom, run_command, patients, name
):
    folders, told, options, expected = WHOSE[name]
    for k, (folder, fields) in enumerate(folders.items()):
        save_dicom(tmp_path / "in" / folder / "a.dcm", discs(seed=k), **fields)
    warnings = run_command(*COMMON).warnings
    assert any(told in line and "a.dcm: " in line for line in warnings), warnings
    assert run_command(*COMMON, *options.split(), out="new").warnings == []
    with open(tmp_path / "new/sources.csv", newline="") as file:
        found = [row["patient"] for row in csv.DictReader(file)]
    assert found == list(expected.values()) and sorted(patients("new").values()) == sorted(found)


def test_a_path_that_an_expression_misses_is_read_when_it_is_mended(tmp_path, discs, run_command, patients):
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in/heart-3.npy", discs())
    (fault,) = run_command(*COMMON, "--patient_regex", r"p(\d)").errors
    assert re.fullmatch(r"heart-3.npy: does not match --patient_regex p\(\\d\); mend the expression", fault)
    assert run_command(*COMMON, "--patient_regex", r"-(\d)").errors == [] and patients() == {"3_heart-3": "3"}
