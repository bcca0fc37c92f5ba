# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from custom.data.datalist import SECTIONS, load_datalist, split_by_patient, write_datalist
from custom.errors import InputError
from custom.scans.provenance import sha256_of, sidecar_path, synthetic_record, write_json


def items(num_patients, pullbacks_each=2):
    return [
        {"image": f"P{p}_{k}.nii.gz", "patient": f"P{p}"} for p in range(num_patients) for k in range(pullbacks_each)
    ]


@pytest.mark.parametrize("num_patients", [0, 1, 2, 3, 4, 10, 37])
def test_no_patient_is_in_two_sections(num_patients):
    split = split_by_patient(items(num_patients), seed=3)
    patients = [{entry["patient"] for entry in split[section]} for section in SECTIONS]
    assert sum(map(len, patients)) == num_patients == len(set.union(*patients))
    assert sum(len(split[section]) for section in SECTIONS) == 2 * num_patients
    if num_patients >= 3:
        assert all(patients)
    if num_patients:
        assert patients[0]


def test_fractions_are_met_and_zero_stays_empty():
    sizes = [len(section) for section in split_by_patient(items(40, 1), (0.8, 0.1, 0.1)).values()]
    assert sizes == [32, 4, 4]
    sizes = [len(section) for section in split_by_patient(items(3, 1), (0.5, 0, 0.5)).values()]
    assert sizes == [2, 0, 1]


def test_split_depends_on_the_seed_only():
    assert split_by_patient(items(9), seed=1) == split_by_patient(items(9), seed=1)
    assert split_by_patient(items(9), seed=1) != split_by_patient(items(9), seed=2)


def test_datalist_is_read_back_with_absolute_paths(tmp_path, monkeypatch):
    (tmp_path / "P1").mkdir()
    (tmp_path / "P1/a.nii.gz").touch()
    entry = {"image": str(tmp_path / "P1/a.nii.gz"), "patient": "P1", "frames": [0, 9]}
    path = write_datalist(tmp_path / "datalist.json", {"training": [entry], "validation": [], "test": []})
    assert json.loads(path.read_text())["training"][0]["image"] == "P1/a.nii.gz"
    monkeypatch.chdir(tmp_path)
    assert load_datalist("datalist.json", "training") == [entry]


def test_a_leaking_datalist_is_not_written(tmp_path):
    leak = {"training": [{"image": "a.nii", "patient": "P1"}], "test": [{"image": "b.nii", "patient": "P1"}]}
    with pytest.raises(ValueError, match="P1"):
        write_datalist(tmp_path / "datalist.json", leak)


def test_datalist_faults_are_told(tmp_path):
    path = tmp_path / "datalist.json"
    with pytest.raises(InputError, match="not a readable datalist"):
        load_datalist(path, "training")
    path.write_text("{]")
    with pytest.raises(InputError, match="not a readable datalist"):
        load_datalist(path, "training")
    path.write_text('{"training": [{"image": "gone.nii.gz", "patient": "P1"}]}')
    with pytest.raises(InputError, match='no section "test"'):
        load_datalist(path, "test")
    with pytest.raises(InputError, match=r"1 missing image.*gone\.nii\.gz"):
        load_datalist(path, "training")


@pytest.mark.parametrize("synthetic", [[False, True, True, False], np.array([False, True, True, False])])
def test_sidecar_names_synthetic_frames_and_no_folder(tmp_path, synthetic):
    source = tmp_path / "in.nii.gz"
    source.write_bytes(b"frames" * 1000)
    made = {"bundle": "cardiointerp", "input_sha256": sha256_of(source), "sample": 1}
    output = tmp_path / "in_interp.nii.gz"
    path = write_json(sidecar_path(output), synthetic_record(made, source, output, synthetic))
    written = json.loads(path.read_text())
    assert path.name == "in_interp.json" and [p.name for p in tmp_path.glob(".*")] == []
    assert written["synthetic_slices"] == [1, 2] and written["input"] == "in.nii.gz" and written["sample"] == 1
    assert written["input_sha256"] == hashlib.sha256(b"frames" * 1000).hexdigest()
    assert str(tmp_path) not in path.read_text()
