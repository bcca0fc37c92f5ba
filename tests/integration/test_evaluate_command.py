# Copyright 2026 The CardioInterp Bundles Authors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

from __future__ import annotations

import csv


def test_evaluation_writes_scores_summary_and_figures(bundle, trained, tmp_path):
    done = bundle.run(
        "evaluate.json", tmp_path, **bundle.network, **bundle.data(trained / "phantom"),
        checkpoint=trained / "models" / "model.pt", output_dir=tmp_path / "eval", num_samples=2,
        max_windows_per_pullback=1,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    with (tmp_path / "eval" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    methods = {"Nearest", "Linear", "CardioInterp", "Autoencoder"}
    assert methods <= {row["method"] for row in rows}
    assert {row["factor"] for row in rows} == {"2", "4", "6"}
    assert {row["patient"] for row in rows} == {"OCT03", "OCT04"}, "the test patients, and only those"
    scores = {m: [float(r["psnr"]) for r in rows if r["method"] == m] for m in ("Nearest", "Linear")}
    assert sum(scores["Linear"]) / len(scores["Linear"]) > sum(scores["Nearest"]) / len(scores["Nearest"]) > 5
    summary = (tmp_path / "eval" / "summary.md").read_text()
    assert all(method in summary for method in methods)
    assert len(list((tmp_path / "eval" / "figures").glob("*.png"))) >= 3


def test_missing_weights_are_one_line_and_write_nothing(bundle, trained, tmp_path):
    overrides = {**bundle.network, **bundle.data(trained / "phantom"), "checkpoint": "nowhere.pt"}
    done = bundle.run("evaluate.json", tmp_path, **overrides, output_dir="eval")
    assert done.returncode == 1 and "Traceback" not in done.stdout, done.stdout
    assert "error: nowhere.pt: no trained weights; train first" in done.stdout
    assert not list(tmp_path.iterdir())
