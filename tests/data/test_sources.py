# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import pytest

from custom.data.sources import cmr_datalist, cmr_phantom_scan
from custom.data.triplets import RandomTripletDataset
from custom.errors import InputError
from custom.scans.stacks import inspect_stack

TINY = {"num_phases": 1, "matrix": 48, "pixel_mm": 2.5, "pitch_mm": 1.0, "extent_mm": 12.0}


def test_phantom_is_sliced_along_its_slices_though_its_pixels_are_larger(tmp_path):
    sections = {name: cmr_datalist(None, str(tmp_path), name, 4, TINY) for name in ("training", "validation", "test")}
    assert [len(entries) for entries in sections.values()] == [1, 1, 2]
    assert len({entry["patient"] for entries in sections.values() for entry in entries}) == 4
    dataset = RandomTripletDataset(sections["training"], 1, crop_size=(48, 48))
    info = dataset.stacks.infos[0]
    assert info.axis == 2 and info.spacing_mm == pytest.approx(1.0, rel=1e-4) and info.plane == (48, 48)
    assert {dataset[i]["stride"] for i in range(60)} >= {2, 3, 4}


def test_folder_without_a_usable_datalist_is_told(tmp_path):
    with pytest.raises(InputError, match="prepare_cmr"):
        cmr_datalist(str(tmp_path), "unused", "training")
    (tmp_path / "datalist.json").write_text(json.dumps({"training": []}))
    with pytest.raises(InputError, match='no stacks in "training"'):
        cmr_datalist(str(tmp_path), "unused", "training")


def test_phantom_scan_is_a_sparse_cine_of_a_test_patient_made_once(tmp_path):
    scan = cmr_phantom_scan(tmp_path / "scan", {"matrix": 48, "pixel_mm": 3.0, "num_phases": 2}) / "CMR01.nii.gz"
    info = inspect_stack(scan)
    assert info.spacing_mm == pytest.approx(8.0, rel=1e-4) and info.axis == 2 and info.num_phases == 2
    assert 8 <= info.num_slices <= 20
    seed = json.loads(scan.with_name("CMR01.json").read_text())["seed"]
    cmr_datalist(None, str(tmp_path / "set"), "test", 4, TINY)
    assert json.loads((tmp_path / "set" / "CMR03.json").read_text())["seed"] == seed
    before = scan.stat().st_mtime_ns
    cmr_phantom_scan(tmp_path / "scan", {"matrix": 48, "pixel_mm": 3.0, "num_phases": 2})
    assert scan.stat().st_mtime_ns == before
