# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A whole comparison on a tiny phantom: tables, speed, page; killed and run again, it measures nothing twice."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser

import pytest
import torch
from matplotlib.figure import Figure

from custom.errors import InputError
from custom.evaluation import cells
from custom.evaluation import compare as compare_module
from custom.evaluation.compare import Settings
from custom.networks.medformer import MedFormer
from custom.papers.compare import compare
from custom.phantoms.cmr import CmrPhantomConfig, write_cmr_dataset
from custom.pictures.plotting import save
from custom.report.page import Page, PageTable, render
from custom.weights import save_model
from tests.interpolators.test_calid import calid

TINY = {
    "_target_": "tests.interpolators.test_calid.calid",
    "trained": True,
    "num_inference_steps": "@num_inference_steps",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    config = CmrPhantomConfig(num_phases=1, matrix=40, pixel_mm=4.0, pitch_mm=4.0, thickness_mm=2.0, extent_mm=32.0)
    write_cmr_dataset(folder, 4, config)
    # By the datalist the through-plane axis is the last: pixels and slices are equally far apart.
    entries = json.loads((folder / "datalist.json").read_text())
    for entry in (entry for section in entries.values() for entry in section):
        entry |= {"axis": 2, "label": f"labels/{entry['image']}"}
    (folder / "datalist.json").write_text(json.dumps(entries))
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A bundle with a tiny CaLID."""
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    config = {"bundle_root": "", "checkpoint": "$@bundle_root + '/models/model.pt'"}
    config |= {"num_inference_steps": 2, "network_def": TINY}
    image = {"modality": "MR", "spatial_shape": ["16*n", "16*n"]}
    metadata = {"name": "A tiny network (Tiny)", "network_data_format": {"inputs": {"image": image}, "outputs": {}}}
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    save_model(calid(), folder / "models" / "model.pt")
    return folder


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    """A bundle with a tiny MedFormer."""
    folder = tmp_path_factory.mktemp("segmenters") / "tiny"
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    network = {"_target_": "custom.networks.medformer.MedFormer", "base_channels": 4, "channels": [8, 8, 8, 8]}
    network |= {"heads": [2, 2, 2], "fusion_width": 16, "fusion_heads": 2, "fusion_depth": 1}
    config = {"bundle_root": "", "checkpoint": "$@bundle_root + '/models/model.pt'", "network_def": network}
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    save_model(MedFormer(**{k: v for k, v in network.items() if k != "_target_"}), folder / "models" / "model.pt")
    return folder


def run(folder, data, methods, **options):
    compare("cmr", str(folder), str(data), methods, max_windows=1, crop_size=[32, 32], dense_factors=[2], **options)


def draw_little(examples, rows, folder, *rest):
    """In place of the benchmark's figures, which have tests of their own and take seconds."""
    figure = Figure(figsize=(1, 1))
    figure.subplots().plot([0, 1])
    save(figure, folder / "comparison.png")


@pytest.fixture(scope="module")
def compared(tmp_path_factory, data, bundle, segmenter):
    folder = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("custom.report.results.draw_benchmark", draw_little)
        run(folder, data, f"nearest,linear,cubic,{bundle}", segmenter=str(segmenter))
        yield folder


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_method_is_measured_on_the_same_slices_with_its_inputs(compared):
    rows = read(compared / "metrics.csv")
    methods = {row["method"] for row in rows}
    assert methods == {"Nearest", "Linear", "Cubic", "Tiny", "Autoencoder of Tiny"}
    slices = {m: {(r["patient"], r["first"]) for r in rows if r["method"] == m} for m in methods}
    assert len(set(map(frozenset, slices.values()))) == 1 and len(slices["Linear"]) == 2
    inputs = {line["method"]: line["inputs"] for line in read(compared / "summary.csv")}
    assert inputs["Linear"] == "2" and inputs["Cubic"].startswith("4")
    assert (compared / "dense" / "metrics.csv").exists()


def test_speed_is_measured_at_own_and_at_equal_steps(compared):
    rows = {row["method"]: row for row in read(compared / "speed.csv")}
    assert rows["Tiny"]["steps"] == "2" and rows["Linear"]["steps"] == ""
    # Eight steps cost more than two, and a batch less than its slices one by one.
    assert float(rows["Tiny"]["alone_equal"]) > float(rows["Tiny"]["alone"]) > float(rows["Linear"]["alone"])
    assert float(rows["Tiny"]["parameters"]) > 0 == float(rows["Linear"]["parameters"])


class Checked(HTMLParser):
    """Collects what a page asks for, and whether its tags match."""

    def __init__(self):
        super().__init__()
        self.open, self.sources, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href", "srcset")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_whole_and_needs_nothing_else(compared):
    page = (compared / "index.html").read_text(encoding="utf-8")
    parser = Checked()
    parser.feed(page)
    assert not parser.open
    assert len(parser.sources) == 3 and all(s.startswith("data:image/png;base64,") for s in parser.sources)
    assert "http://" not in page and "https://" not in page and "@import" not in page and "url(" not in page
    text = " ".join(parser.text)
    assert "N = 2 patients (no test: it takes 6); 2 unknown slices" in text and "4 (1 replicated)" in text
    assert "Inputs of Tiny" in text and "Research only" in text and "--modality cmr" in text
    assert page.index("Verdict") < page.index("<table>")


def test_interpolated_slices_are_segmented_and_measured_against_true_labels(compared):
    rows = read(compared / "anatomy.csv")
    assert {row["method"] for row in rows} == {"Nearest", "Linear", "Cubic", "Tiny", "Original"}
    assert {row["patient"] for row in rows} == {"CMR03", "CMR04"}
    for name in ("anatomy.md", "anatomy.tex", "index.html"):
        text = (compared / name).read_text(encoding="utf-8")
        assert "Original" in text and "ASSD" in text and "0.861" in text  # the paper's Dice of CaLID+


def test_a_second_run_measures_nothing_and_one_more_method_only_itself(compared, data, bundle, monkeypatch):
    before = (compared / "metrics.csv").read_bytes()
    measured = []
    score, time = cells.Scorer.score, cells.Scorer.generation_time

    def counted_score(self, cell, *rest):
        measured.append(cell.method)
        return score(self, cell, *rest)

    def counted_time(self, method, items):
        measured.append(f"time of {type(method).__name__}")
        return time(self, method, items)

    monkeypatch.setattr(cells.Scorer, "score", counted_score)
    monkeypatch.setattr(cells.Scorer, "generation_time", counted_time)
    run(compared, data, f"nearest,linear,cubic,{bundle}")
    assert measured == [] and (compared / "metrics.csv").read_bytes() == before
    run(compared, data, f"nearest,linear,cubic,{bundle},Tiny1={bundle}?num_inference_steps=1")
    assert {m for m in measured if not m.startswith("time")} == {"Tiny1"}
    assert {m for m in measured if m.startswith("time")} == {"time of CaLID"}


def test_a_method_apart_gives_the_same_numbers(tmp_path, compared, data, monkeypatch):
    started = []

    monkeypatch.setattr("custom.report.results.draw_benchmark", draw_little)

    def as_a_process(command):
        started.append(command[command.index("--only") + 1])
        run(tmp_path, data, "nearest,linear", only=started[-1])
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(compare_module.subprocess, "run", as_a_process)
    run(tmp_path, data, "nearest,linear", separate=True)
    assert started == ["Nearest", "Linear"]
    kept = [row for row in read(compared / "metrics.csv") if row["method"] in started]
    for row in (apart := read(tmp_path / "metrics.csv")) + kept:
        row.pop("seconds")
    assert apart == kept


def test_the_command_of_a_comparison_says_all_that_differs_from_the_defaults():
    settings = Settings("oct", "out", methods="a=linear", max_windows=3, steps=(1, 2), options={"crop_size": [32, 32]})
    words = settings.command()
    assert words[:5] == ["compare", "--modality", "oct", "--output_dir", "out"]
    assert words[5:] == ["--methods", "a=linear", "--max_windows", "3", "--steps", "[1, 2]", "--crop_size", "[32, 32]"]


@pytest.mark.parametrize(
    ("options", "fault"),
    [({"cropsize": 3}, "no option 'cropsize'"), ({"baseline": "None such"}, "--baseline"), ({"only": "x"}, "--only")],
)
def test_bad_settings_are_told_in_one_line(tmp_path, data, options, fault):
    with pytest.raises(InputError, match=fault):
        run(tmp_path / "out", data, "linear", **options)
    assert not (tmp_path / "out" / "metrics.csv").exists()


def test_what_a_page_is_given_is_text_and_not_markup():
    table = PageTable("", ["Method"], [["<script>alert(1)</script>"]])
    page = render(Page("a < b", "", {}, {"T": [table]}, {}, {}, "x"))
    assert "alert(1)" in page and "<script>alert" not in page and "a &lt; b" in page
