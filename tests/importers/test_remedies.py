# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What every script that takes in data says of options and folders: each advice is followed, as it is typed."""

from __future__ import annotations

import json
import logging
import re

import fire
import nibabel as nib
import numpy as np
import pytest

from custom.errors import InputError
from custom.importers.intake import as_typed, check_arguments
from data_scripts import prepare_cmr, prepare_oct


@pytest.fixture
def run(tmp_path, capsys):
    """Function of a script and its options as they are typed: the line that refuses them, "" if none does."""

    def go(script, typed):
        words = [word.replace("TMP", str(tmp_path)) for word in typed.split()]
        capsys.readouterr()
        try:
            check_arguments(script.prepare, words)
            fire.Fire(as_typed(script.prepare), command=words)
        except InputError as error:
            return str(error).replace(str(tmp_path), "TMP")
        except SystemExit:
            return capsys.readouterr().err.strip()
        return ""

    return go


def pullbacks(root, *names, patients=False):
    for k, name in enumerate(names):
        path = root / (f"{name}/a.npy" if patients else f"{name}.npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.random.default_rng(k).integers(1, 200, (4, 24, 24)).astype(np.uint8))


def stacks(root, *names):
    root.mkdir(parents=True, exist_ok=True)
    for k, name in enumerate(names):
        values = np.random.default_rng(k).integers(0, 900, (20, 16, 5)).astype(np.int16)
        nib.save(nib.Nifti1Image(values, np.diag([1.4, 1.4, 8, 1])), root / f"{name}.nii.gz")


def sections(folder):
    listed = json.loads((folder / "datalist.json").read_text())
    return {entry["patient"]: name for name, part in listed.items() for entry in part}


OCT, CMR = (prepare_oct, pullbacks), (prepare_cmr, stacks)
CMR_OPTIONS = "--input TMP/in --output_dir TMP/out --size 0 --spacing 0"
OPTIONS = {
    "near": (OCT, "--input TMP/in --output_dri TMP/out", "--output_dri: no such option; did you mean --output_dir?",
             "--input TMP/in --output_dir TMP/out"),
    "no dashes": (OCT, "TMP/in TMP/out polar " + "x " * 30, "33 values without an option; write --name value",
                  "--input TMP/in --output_dir TMP/out --layout polar"),
    "inside": (OCT, "--input TMP/in --output_dir TMP/in/out", "TMP/in/out: lies inside --input TMP/in, outputs and "
               "inputs would mix; choose an --output_dir beside it, for instance a new folder",
               "--input TMP/in --output_dir TMP/new"),
    "itself": (CMR, "--input TMP/in --output_dir TMP/in --size 0 --spacing 0", "TMP/in: is --input TMP/in, outputs and "
               "inputs would mix; choose an --output_dir beside it, for instance a new folder", CMR_OPTIONS),
    "around": (CMR, "--input TMP/in --output_dir TMP --size 0 --spacing 0", "TMP: holds --input TMP/in, outputs and "
               "inputs would mix; choose an --output_dir beside it, for instance a new folder", CMR_OPTIONS),
    "fractions": (CMR, f"{CMR_OPTIONS} --fractions 0.8,0.2", "--fractions: is (0.8, 0.2); give three fractions, for "
                  "instance 0.8,0.1,0.1", f"{CMR_OPTIONS} --fractions 0.8,0.1,0.1"),
    "no fractions": (CMR, f"{CMR_OPTIONS} --fractions most", "--fractions: is most; give three fractions, for instance "
                     "0.8,0.1,0.1", f"{CMR_OPTIONS} --fractions 0.8,0.1,0.1"),
    "pairs": (CMR, f"{CMR_OPTIONS} --same_patient p", "--same_patient: is p; give pairs, for instance "
              "SCD0000301=SC-HF-I-04", f"{CMR_OPTIONS} --same_patient p=q"),
    "twice": (CMR, f"{CMR_OPTIONS} --test_patients p,r --val_patients p", "--test_patients: names p, as --val_patients "
              "does; keep them apart", f"{CMR_OPTIONS} --test_patients r --val_patients p"),
    "seed": (CMR, f"{CMR_OPTIONS} --seed -1", "--seed: is -1; give a whole number from 0 on",
             f"{CMR_OPTIONS} --seed 1"),
    "whose": (CMR, f"{CMR_OPTIONS} --patient_from name", "--patient_from: is name; choose from auto, header, folder, "
              "file", f"{CMR_OPTIONS} --patient_from file"),
    "no expression": (CMR, f"{CMR_OPTIONS} --patient_pattern (", "--patient_pattern: is not an expression (missing ), "
                      "unterminated subpattern at position 0); mend it", f"{CMR_OPTIONS} --patient_pattern [pqr]"),
    "no match": (CMR, f"{CMR_OPTIONS} --patient_pattern \\d", "p.nii.gz: does not match --patient_pattern \\d; mend "
                 "the expression", f"{CMR_OPTIONS} --patient_pattern [pqr]"),
}  # fmt: skip
EXPECTED = {
    "fractions": ["test", "training", "validation"],
    "no fractions": ["test", "training", "validation"],
    "twice": {"p": "validation", "q": "training", "r": "test"},
    "pairs": {"q", "r"},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_what_is_refused_is_taken_as_the_refusal_says(tmp_path, run, name):
    (script, make), wrong, told, right = OPTIONS[name]
    make(tmp_path / "in", "p", "q", "r")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    line = run(script, wrong)
    assert line.removeprefix("ERROR ") == told
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before, "nothing was written"
    assert run(script, right) == ""
    found = sections(tmp_path / ("new" if name == "inside" else "out"))
    expected = EXPECTED.get(name, {"p", "q", "r"})
    kind = {dict: found, set: set(found), list: sorted(found.values())}[type(expected)]
    assert kind == expected


def test_an_option_unlike_any_is_found_in_the_list_that_is_named(tmp_path, run):
    line = run(prepare_oct, "--input TMP/in --output_dir TMP/out --zzz 3")
    assert line == "ERROR --zzz: no such option; --help lists the options"
    with pytest.raises(fire.core.FireExit) as shown:
        fire.Fire(as_typed(prepare_oct.prepare), command=["--help"])
    assert shown.value.code == 0 and "frame_pitch_mm" in shown.value.trace.GetResult().__doc__


def test_a_folder_named_by_a_number_is_a_folder(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pullbacks(tmp_path / "2024", "p")
    stacks(tmp_path / "1e3", "p")
    assert run(prepare_oct, "--input 2024 --output_dir 7 --patient_regex None") == ""
    assert run(prepare_cmr, "--input 1e3 --output_dir 8 --size 0 --spacing 0") == ""
    assert (tmp_path / "7/p.nii.gz").is_file() and len(list((tmp_path / "8").glob("*.nii.gz"))) == 1


REMEDIES = {
    "mend it": lambda out: (out / "datalist.json").write_text(json.dumps({"training": []})),
    "move it away": lambda out: (out / "datalist.json").rename(out / "mine.json"),
    "or choose another --output_dir": None,
}


@pytest.mark.parametrize("advice", REMEDIES)
@pytest.mark.parametrize("content", ["no JSON", "[]", '{"training": [{"image": "a"}]}'])
def test_a_datalist_that_is_none_is_dealt_with_as_its_refusal_says(tmp_path, run, advice, content):
    pullbacks(tmp_path / "in", "p")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/datalist.json").write_text(content)
    line = run(prepare_oct, "--input TMP/in --output_dir TMP/out")
    assert line.startswith("TMP/out/datalist.json: is there and is no datalist (") and advice in line
    assert (tmp_path / "out/datalist.json").read_text() == content
    if REMEDIES[advice]:
        REMEDIES[advice](tmp_path / "out")
    folder = tmp_path / ("out" if REMEDIES[advice] else "other")
    assert run(prepare_oct, f"--input TMP/in --output_dir {folder}") == ""
    assert sections(folder) == {"p": "training"} and (folder / "p.nii.gz").is_file()


def test_sections_are_dealt_anew_with_the_option_that_is_named(tmp_path, run, caplog):
    caplog.set_level(logging.INFO)
    pullbacks(tmp_path / "in", *"abcdefgh")
    typed = "--input TMP/in --output_dir TMP/out --split 0.5,0.25,0.25"
    assert run(prepare_oct, typed) == ""
    first = sections(tmp_path / "out")
    assert run(prepare_oct, f"{typed} --seed 3") == "" and sections(tmp_path / "out") == first
    assert re.search(r"sections of earlier runs are kept \(patients: 8\); --resplit deals all anew", caplog.text)
    assert run(prepare_oct, f"{typed} --seed 3 --resplit") == "" and sections(tmp_path / "out") != first
    pullbacks(tmp_path / "in", *"abcdefgh")
    assert run(prepare_oct, typed.replace("/out", "/new") + " --seed 3") == ""
    assert sections(tmp_path / "out") == sections(tmp_path / "new")


def test_a_file_that_names_nobody_has_the_patient_that_an_option_names(tmp_path, run, caplog):
    stacks(tmp_path / "in", "stack")
    assert run(prepare_cmr, CMR_OPTIONS) == "" and sections(tmp_path / "out").keys() == {"in"}
    assert "the file name stack names nobody: the patient is named after the folder, in (--patient_from" in caplog.text
    for typed, patient in (("--patient_from file", "stack"), ("--patient_pattern st(.)", "a")):
        caplog.clear()
        assert run(prepare_cmr, f"{CMR_OPTIONS.replace('TMP/out', f'TMP/{patient}')} {typed}") == ""
        assert sections(tmp_path / patient).keys() == {patient} and "names nobody" not in caplog.text


def test_scans_of_one_folder_are_of_several_patients_with_the_option(tmp_path, run, caplog):
    stacks(tmp_path / "in/clinic", "adam_x", "berta_y")
    assert run(prepare_cmr, CMR_OPTIONS) == "" and sections(tmp_path / "out").keys() == {"clinic"}
    assert "if each is a patient, say --patient_from file, or --patient_pattern" in caplog.text
    for typed, patients in (("file", {"adam_x", "berta_y"}), ("pattern adam|berta", {"adam", "berta"})):
        caplog.clear()
        option = "--patient_from file" if typed == "file" else f"--patient_{typed}"
        assert run(prepare_cmr, f"{CMR_OPTIONS.replace('TMP/out', f'TMP/{min(patients)}')} {option}") == ""
        assert sections(tmp_path / min(patients)).keys() == patients and "if each is a patient" not in caplog.text
