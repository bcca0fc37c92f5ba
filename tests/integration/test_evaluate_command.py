# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import csv

import pytest

EVALUATE = ("train.json", "evaluate.json")


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def patients(bundle):
    """The test patients of the phantom: the third and the fourth."""
    return {bundle.patient[:-1] + number for number in "34"}


@pytest.fixture(scope="module")
def evaluated(bundle, trained, tmp_path_factory):
    """The results folder of the finished command."""
    folder = tmp_path_factory.mktemp("evaluated")
    done = bundle.run(
        EVALUATE, folder, **bundle.network, **bundle.data(trained / "phantom"), **bundle.evaluation,
        checkpoint=trained / "models" / "model.pt", output_dir=folder / "eval",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return folder / "eval"


def test_evaluation_writes_scores_summary_and_figures(bundle, evaluated):
    scores = rows(evaluated / "metrics.csv")
    assert set(bundle.methods) <= {row["method"] for row in scores}
    assert {row["factor"] for row in scores} == set(bundle.factors)
    assert {row["patient"] for row in scores} == patients(bundle), "the test patients, and only those"
    nearest, linear = (
        [float(row["psnr"]) for row in scores if row["method"] == method] for method in bundle.methods[:2]
    )
    assert sum(linear) / len(linear) > sum(nearest) / len(nearest) > 5
    summary = (evaluated / "summary.md").read_text()
    assert all(method in summary for method in bundle.methods)
    assert len(list((evaluated / "figures").glob("*.png"))) >= 3


@pytest.mark.parametrize("bundle", ["calid", "calid_cine"], indirect=True)
def test_table_1_has_the_papers_numbers_in_columns_of_their_own(evaluated):
    lines = [line.strip("| ").split(" | ") for line in (evaluated / "summary.md").read_text().splitlines()]
    table = lines[lines.index(next(line for line in lines if line[0] == "Method")) :]
    header, ours = table[0], "PSNR (dB)"
    theirs = next(name for name in header if name.startswith("PSNR (dB), paper"))
    found = {row[0]: dict(zip(header, row, strict=True)) for row in table[2 : table.index([""])]}
    for method in ("CaLID", "CaLID+"):
        assert float(found[method][ours]) > 0 and float(found[method][theirs]) > 20
    assert float(found["CaLID, one sample"]["Time per slice, 128 steps (s)"]) > 0  # the likeliest takes one step
    theirs_alone = [row for row in found.values() if row[ours] == "-"]
    assert theirs_alone and all(float(row[theirs]) > 15 for row in theirs_alone)


@pytest.mark.parametrize("bundle", ["calid", "calid_cine"], indirect=True)
def test_evaluation_sweeps_steps_and_scores_dense_truth(bundle, evaluated):
    sweep = rows(evaluated / "steps" / "steps.csv")
    assert {(row["method"], row["steps"]) for row in sweep} >= {
        (m, n) for m in ("CaLID, one sample", "CaLID+") for n in "12"
    }
    assert (evaluated / "steps" / "figures" / "steps.png").is_file()
    dense = rows(evaluated / "dense" / "metrics.csv")
    assert {row["patient"] for row in dense} == patients(bundle) and {row["factor"] for row in dense} == {"2"}


def test_missing_weights_are_one_line_and_write_nothing(bundle, trained, tmp_path):
    overrides = {**bundle.network, **bundle.data(trained / "phantom"), "checkpoint": "nowhere.pt"}
    done = bundle.run(EVALUATE, tmp_path, **overrides, output_dir="eval")
    assert done.returncode == 1 and "Traceback" not in done.stdout, done.stdout
    assert "error: nowhere.pt: no trained weights; train first" in done.stdout
    assert not list(tmp_path.iterdir())
