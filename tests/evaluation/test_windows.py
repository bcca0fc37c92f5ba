# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Which windows the protocol has: dense ones where there is a truth, and none of scans that are too short."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from custom.errors import InputError
from custom.evaluation.windows import pullback_windows, stack_windows
from custom.papers.compare import compare


def entry(path, patient="P", **fields):
    return {"image": str(path), "patient": patient, **fields}


@pytest.fixture
def stacks(stack_file):
    """Slices 2, 4 and 10 mm apart, and a localizer of two slices."""
    shapes = {"fine": (20, 2.0), "middle": (10, 4.0), "acquired": (8, 10.0), "localizer": (2, 8.0)}
    return {name: stack_file(f"{name}.nii", (24, 24, n), (1.4, 1.4, mm)) for name, (n, mm) in shapes.items()}


def test_dense_windows_are_of_the_stacks_that_are_dense_enough_for_most_factors(stacks):
    windows = stack_windows([entry(stacks["fine"], "A"), entry(stacks["acquired"], "B")], crop_size=None)
    assert {factor: dataset.strides for factor, dataset in windows.dense.items()} == {2: [2], 4: [1]}
    for factor, dataset in windows.dense.items():
        assert dataset[0]["image"].shape[0] == factor + 1 and dataset[0]["half_gap_mm"] == pytest.approx(4)
    assert windows.main[2].strides == [4, 1] and set(windows.groups) == {"", "dense"}
    coarser = stack_windows([entry(stacks["middle"])], crop_size=None)
    assert list(coarser.dense) == [2]
    assert set(stack_windows([entry(stacks["acquired"])], crop_size=None).groups) == {""}


def test_a_sweep_has_windows_of_its_own_where_it_is_asked_for(stacks):
    data = [entry(stacks["fine"])]
    assert stack_windows(data).sweep == {}
    windows = stack_windows(data, max_windows_per_stack=4, sweep_windows_per_stack=1)
    assert len(windows.main[2]) == 4 and len(windows.sweep[2]) == 1


def test_a_stack_that_is_too_short_is_left_out_and_named(stacks, caplog):
    windows = stack_windows([entry(stacks["localizer"], "A"), entry(stacks["acquired"], "B")])
    assert {item["patient"] for item in windows.main[2]} == {"B"}
    assert list(windows.left_out) == ["localizer.nii"]
    assert "localizer.nii is left out: 2 usable slices" in caplog.text
    with pytest.raises(InputError, match="2 usable slices"):
        stack_windows([entry(stacks["localizer"])])


def test_a_pullback_that_is_too_short_is_left_out_of_all_factors(tmp_path):
    for name, frames in (("long", 14), ("short", 5)):
        frames = np.random.default_rng(0).integers(0, 255, (32, 32, frames), dtype=np.uint8)
        nib.save(nib.Nifti1Image(frames, np.eye(4)), tmp_path / f"{name}.nii.gz")
    data = [entry(tmp_path / f"{name}.nii.gz", name) for name in ("long", "short")]
    windows = pullback_windows(data, crop_size=(16, 16))
    assert [{item["patient"] for item in windows.main[factor]} for factor in (2, 4, 6)] == [{"long"}] * 3
    assert list(windows.left_out) == ["short.nii.gz"] and windows.dataset is windows.main[6]


def test_a_comparison_goes_on_without_a_stack_of_two_slices(stacks, tmp_path, capsys):
    """It ended with an error about the two slices, and nothing was compared."""
    folder = tmp_path / "prepared"
    folder.mkdir()
    entries = [entry(stacks[name], patient) for name, patient in (("localizer", "A"), ("acquired", "B"))]
    (folder / "datalist.json").write_text(json.dumps({"training": [], "validation": [], "test": entries}))
    compare("cmr", str(tmp_path / "out"), str(folder), "nearest,linear", max_windows=2, crop_size=[24, 24])
    assert "localizer.nii is left out: 2 usable slices" in capsys.readouterr().out
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "Left out: " in page and "localizer.nii" in page and "1 patient(s), 2 unknown slices" in page
