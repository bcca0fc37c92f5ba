# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The cardiac MR benchmark with networks of a few channels: what is counted, what is compared, what is written."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import cmr_cases, cmr_inference  # noqa: E402
from custom.errors import InputError  # noqa: E402
from custom.networks.neighbour_denoiser import NeighbourDenoiser  # noqa: E402

TINY = {
    "num_inference_steps": 2,
    "network_def#autoencoder#channels": [8, 8, 8],
    "network_def#denoiser#channels": [8, 8],
    "network_def#denoiser#attention": [False, True],
    "network_def#denoiser#condition_attention": [False, True],
    "network_def#denoiser#num_head_channels": 8,
    "network_def#denoiser#norm_num_groups": 8,
    "network_def#denoiser#num_res_blocks": 1,
    "network_def#denoiser#pair_channels": [8, 8, 8],
}
ROW = {"repeats": 1, "device": "cpu", "overrides": TINY}


@pytest.fixture(scope="module")
def heart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four slices, three phases, 32 x 32 pixels."""
    path = tmp_path_factory.mktemp("heart") / "heart.nii.gz"
    cmr_cases.write_heart(path, size=32, slices=4, phases=3)
    return path


def test_simulated_heart_is_a_sparse_cine(heart: Path) -> None:
    image = nib.load(heart)
    assert image.shape == (32, 32, 4, 3)
    np.testing.assert_allclose(image.header.get_zooms()[:3], (230 / 32, 230 / 32, 8), rtol=1e-5)


def test_methods_fill_the_same_gap(heart: Path) -> None:
    rows = cmr_cases.compare_methods(heart, ("calid", "calid_cine"), 2, (1, 2), 2, "cpu", TINY)
    assert [row["method"] for row in rows] == [
        "linear",
        "TV-L1 flow midpoint",
        "CaLID (2D), 1 step",
        "CaLID (2D), 2 steps",
        "CaLID+ (2D), 2 steps",
        "CaLID (2D+T), 1 step",
        "CaLID (2D+T), 2 steps",
        "CaLID+ (2D+T), 2 steps",
    ]
    by_name = {row["method"]: row for row in rows}
    assert by_name["CaLID (2D), 2 steps"]["ratio"] == by_name["CaLID (2D), 2 steps"]["own_ratio"] == 1
    assert by_name["CaLID (2D+T), 2 steps"]["own_ratio"] == 1 and by_name["linear"]["own_ratio"] == "-"
    assert by_name["linear"]["ratio"] < 0.1  # of a network
    for row in rows:
        assert row["synthetic"] == 2 and row["seconds_per_slice"] == row["seconds"] / 2
        assert row["seconds_min"] <= row["seconds"] <= row["seconds_max"] and len(row["timings"].split()) == 2


@pytest.fixture
def network_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batch size of every noise estimate."""
    calls, estimate = [], NeighbourDenoiser.estimate

    def counted(self: NeighbourDenoiser, z: Any, *args: Any) -> Any:
        calls.append(len(z))
        return estimate(self, z, *args)

    monkeypatch.setattr(NeighbourDenoiser, "estimate", counted)
    return calls


@pytest.mark.parametrize(
    ("bundle", "method", "changed", "file_calls"),
    [
        ("calid", "CaLID", {}, [9, 9]),  # 3 gaps x 3 phases, in two steps
        ("calid", "CaLID+", {}, [9] * 6),  # two inversions besides
        ("calid", "CaLID", {"batch_size": 3}, [3] * 6),
        ("calid", "CaLID", {"batch_size": 6}, [6, 6, 3, 3]),
        ("calid_cine", "CaLID", {}, [1, 1] * 3),
        ("calid_cine", "CaLID", {"batch_size": 3}, [3, 3]),
        ("calid", "linear", {}, []),
    ],
)
def test_rows_measure_what_they_name(
    heart: Path, network_calls: list[int], bundle: str, method: str, changed: dict, file_calls: list[int]
) -> None:
    row = cmr_cases.measure_stack(heart, bundle, method, slices=4, phases=3, factor=2, **ROW, **changed)
    warm_up = 0 if method == "linear" else 6 if method == "CaLID+" else 2
    assert network_calls[warm_up:] == file_calls
    assert row["synthetic"] == 9 and row["seconds_per_slice"] == row["seconds"] / 9
    assert {name: row[name] for name in changed} == changed
    assert row["peak_mib"] >= row["idle_mib"] > 0 and row["tiles"] == 1


def test_parts_of_a_file(heart: Path) -> None:
    """The middle slices; a cine that is too short goes round; padding is told."""
    image = np.asarray(nib.load(heart).dataobj)
    part = heart.with_name("part.nii.gz")
    cmr_cases._write_part(heart, part, 2, 5)
    np.testing.assert_array_equal(np.asarray(nib.load(part).dataobj), image[:, :, 1:3][..., [0, 1, 2, 0, 1]])
    row = cmr_cases.measure_stack(heart, "calid_cine", "CaLID", slices=2, phases=5, factor=4, **ROW)
    unit = cmr_cases.build_network("calid_cine", TINY, "cpu")[0].divisor[0]
    assert unit > 1, "the test needs a network that pads 5 phases"
    assert row["size"] == "32x32" and row["computed"] == f"{-(-5 // unit) * unit}x32x32" and row["synthetic"] == 15


def test_plans() -> None:
    rows = cmr_inference.growth(("calid", "calid_cine"), (3, 6), (16, 1))
    sizes = [(row["bundle"], row["method"], row["slices"], row["phases"]) for row in rows]
    assert sizes == [
        ("calid", "CaLID", 3, 16),
        ("calid", "CaLID", 6, 16),
        ("calid", "CaLID", 3, 1),
        ("calid", "CaLID+", 3, 16),
        ("calid_cine", "CaLID", 3, 16),  # one phase is no cine
        ("calid_cine", "CaLID", 6, 16),
        ("calid_cine", "CaLID+", 3, 16),
        ("calid", "linear", 3, 16),
    ]
    axes = {"batch_size": (1, 64)}
    rows = cmr_inference.batches(("calid", "calid_cine"), (3, 6), (16, 1), axes)
    values = [(row["bundle"], row["batch_size"]) for row in rows]
    assert values == [
        ("calid", None),
        ("calid", 1),
        ("calid", 32),
        ("calid_cine", None),  # two windows
        ("calid_cine", 1),
        ("calid_cine", 2),
    ]


def test_quick_run_writes_tables(heart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def in_this_process(function: Any, **arguments: Any) -> Any:
        return function(**arguments)

    monkeypatch.setattr(cmr_inference, "in_fresh_process", in_this_process)
    output = tmp_path / "cost"
    cmr_inference.main(("methods", "growth"), str(heart), "calid", quick=True, repeats=1, output=str(output), **TINY)
    text = (output / "cmr_inference.md").read_text()
    assert "torch threads" in text and "million parameters" in text
    assert all(f"## {title}" in text for title in list(cmr_inference.PARTS.values())[:2])
    with open(output / "cmr_inference_growth.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows].count("linear") == 1
    assert {row["method"] for row in rows} == {"CaLID (2D), 2 steps", "CaLID+ (2D), 2 steps", "linear"}
    assert all("torch threads" in row["machine"] for row in rows)
    assert len(list(output.iterdir())) == 3


def test_bad_options_are_one_line(heart: Path) -> None:
    for options in ({"parts": "method"}, {"bundles": "cine"}, {"slices": 1}, {"phases": 1}, {"repeats": 0}):
        with pytest.raises(SystemExit, match="^error: [^\n]*$"):
            cmr_inference.main(input=str(heart), **options)
    with pytest.raises(InputError, match="has 4 slices"):
        cmr_inference.main(input=str(heart), slices=9)
    with pytest.raises(InputError, match="has no stepz"):
        cmr_inference.main(input=str(heart), slices=2, parts="methods", stepz=3)
